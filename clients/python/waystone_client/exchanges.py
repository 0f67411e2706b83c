"""Trade, giving and mail of the character in play, as methods. Part of a `Player`.

Each raises Refusal or LinkLost. What changes hands is answered once the master has it: after a LinkLost ask
`goods.inventory` for what is.
"""

from collections.abc import Sequence
from uuid import UUID

from waystone_client.world_link import Event, LinkUp, WorldLink
from zonecluster.protocol.from_client import (
    FromClient,
    Give,
    MailDiscard,
    MailList,
    MailSend,
    MailTake,
    OfferedItem,
    TradeAnswer,
    TradeCancel,
    TradeConfirm,
    TradeInvite,
    TradeLock,
    TradeOffer,
)
from zonecluster.protocol.to_client import MailIs, Result, TradeChanged, TradeEnded

CONFIRM_S = 330.0  # the other one has five minutes to confirm, too
COMMIT_S = 60.0  # the master may be slow: the world keeps asking it

Items = Sequence[OfferedItem]


class Trade:
    """A trade with another player. `now` is what was told last; None: there is none."""

    def __init__(self, link: WorldLink) -> None:
        self._link = link
        self.now: TradeChanged | None = None
        self.ended: TradeEnded | None = None  # the last one that was over

    def hear(self, event: Event) -> None:
        """Note what the world says of the trade."""
        match event:
            case TradeChanged():
                self.now, self.ended = event, None
            case TradeEnded():
                self.now, self.ended = None, event
            case LinkUp():
                self.now = None  # told again, if it is not over

    async def invite(self, name: str) -> Result:
        """Ask a character of this world to trade."""
        return await _result(self._link, TradeInvite, name=name)

    async def accept(self, inviter: str) -> Result:
        """Trade with whoever has asked."""
        return await _result(self._link, TradeAnswer, name=inviter, accept=True)

    async def decline(self, inviter: str) -> Result:
        """Do not trade with whoever has asked."""
        return await _result(self._link, TradeAnswer, name=inviter, accept=False)

    async def offer(self, items: Items = (), money: int = 0) -> Result:
        """Say all that would be given, in place of what was offered before."""
        return await _result(self._link, TradeOffer, items=list(items), money=money)

    async def lock(self, revision: int) -> Result:
        """Leave the own offer as it is. Args: revision: of the TradeChanged that was looked at."""
        return await _result(self._link, TradeLock, revision=revision)

    async def confirm(self, revision: int) -> Result:
        """Agree to exactly the two offers of that revision; answered once the trade is over, either way."""
        return await _result(self._link, TradeConfirm, CONFIRM_S, revision=revision)

    async def cancel(self) -> Result:
        """Have no trade."""
        return await _result(self._link, TradeCancel)

    async def give(self, name: str, items: Items = (), money: int = 0) -> Result:
        """Give something to a member of the own alliance, for nothing."""
        return await _result(self._link, Give, COMMIT_S, name=name, items=list(items), money=money)


class Mail:
    """The letters of the character."""

    def __init__(self, link: WorldLink) -> None:
        self._link = link

    async def letters(self) -> MailIs | Result:
        """Ask for the letters, the newest first; a Result tells why not."""
        answer = await self._link.command(MailList)
        assert isinstance(answer, MailIs | Result)
        return answer

    async def send(self, to: str, subject: str, text: str = "", items: Items = (), money: int = 0) -> Result:
        """Write to a character of any player, with things and coins or without."""
        fields = {"to": to, "subject": subject, "text": text, "items": list(items), "money": money}
        return await _result(self._link, MailSend, COMMIT_S, **fields)

    async def take(self, letter: UUID) -> Result:
        """Take all that lies in a letter."""
        return await _result(self._link, MailTake, COMMIT_S, letter=letter)

    async def discard(self, letter: UUID) -> Result:
        """Throw away a letter in which nothing lies."""
        return await _result(self._link, MailDiscard, letter=letter)


async def _result(
    link: WorldLink, kind: type[FromClient], patience_s: float | None = None, /, **fields: object
) -> Result:
    answer = await link.command(kind, patience_s, **fields)
    assert isinstance(answer, Result)
    return answer
