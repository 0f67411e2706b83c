"""The repository as a core without I/O: `handle(world, request, now) -> answer`, over plain values."""

from datetime import datetime, timedelta
from uuid import UUID

from characters.core.entries import redeem, report
from characters.core.exchanges import exchange
from characters.core.leases import acquire, release, renew
from characters.core.letters import mailbox
from characters.core.records import Line, Ticket
from characters.core.store import Store
from characters.core.writes import save
from worlds.uplink import messages as uplink
from worlds.uplink.messages import Refusal
from worlds.uplink.ticket import TICKET_LIFETIME_S
from zonecluster.protocol.character import GENESIS_CHAIN, encode_state
from zonecluster.rules.character import new_character_state

Request = (
    uplink.Redeem
    | uplink.Acquire
    | uplink.Renew
    | uplink.Save
    | uplink.SaveBatch
    | uplink.Exchange
    | uplink.Mailbox
    | uplink.Release
    | uplink.Report
)
Answer = (
    uplink.Admission
    | uplink.Lease
    | uplink.Renewed
    | uplink.Saved
    | uplink.SavedBatch
    | uplink.Exchanged
    | uplink.MailboxIs
    | uplink.Released
    | uplink.Reported
    | Refusal
)


class Repository(Store):
    """What players and worlds ask of it."""

    def create_character(self, *, account: UUID, character: UUID, name: str, now: datetime) -> Line:
        """Make a character with its main line."""
        self.names[character], self.owners[character] = name, account
        self.accounts[account].characters.append(character)
        state = encode_state(new_character_state())
        return self.begin_line(character, None, "create", (GENESIS_CHAIN, state), now)

    def issue_ticket(self, *, account: UUID, world: str, jti: UUID, now: datetime) -> str:
        """Return a ticket. It is the jti alone: checking the signature is the shell's."""
        expires_at = now.replace(microsecond=0) + timedelta(seconds=TICKET_LIFETIME_S)
        self.tickets[jti] = Ticket(account, world, expires_at)
        return str(jti)

    def handle(self, world: str, request: Request, now: datetime) -> Answer:  # noqa: PLR0911  # one a verb
        """Answer a request of a world whose proof was good."""
        if self.collects_since is not None and not isinstance(request, uplink.Report):
            return Refusal("master_fault", "the master was restored and collects what worlds hold")
        match request:
            case uplink.Redeem():
                return redeem(self, world, request, now)
            case uplink.Acquire():
                return acquire(self, world, request, now)
            case uplink.Renew():
                return renew(self, world, request, now)
            case uplink.Save():
                return save(self, world, [request], now)[0]
            case uplink.SaveBatch(saves):
                return uplink.SavedBatch(save(self, world, saves, now))
            case uplink.Exchange():
                return exchange(self, world, request, now)
            case uplink.Mailbox():
                return mailbox(self, world, request, now)
            case uplink.Release():
                return release(self, world, request)
            case uplink.Report():
                return report(self, world, request.waiting, now)
