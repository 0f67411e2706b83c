"""Characters that trade and write letters, for the repository's tests: what their worlds know and ask for."""

from dataclasses import dataclass
from uuid import UUID, uuid4

import msgspec

from characters.exchanges import IncomingExchange, exchange
from characters.letters import read_mailbox
from characters.saves import IncomingSave
from worlds.uplink import messages
from worlds.uplink.messages import Goods, LeaseRef
from zonecluster.protocol.character import CharacterState, Item, encode_state

ROPE, COIN = Item("rope", 3), Item("gem", 1, UUID(int=7))


@dataclass
class Playing:
    """A character in play: what its world knows of it."""

    operator: object
    lease: messages.Lease
    version: int
    chain: bytes
    state: CharacterState

    @property
    def ref(self) -> LeaseRef:
        return LeaseRef(self.lease.line, self.lease.epoch)

    @property
    def character(self) -> UUID:
        return self.lease.character

    def write(self, state, *, kind="trade", op_id=None, **changes) -> IncomingSave:
        """A write of this document on top of what the world knows."""
        raw = state if isinstance(state, bytes) else encode_state(state)
        fields = {
            "line": self.lease.line, "epoch": self.lease.epoch, "version": self.version,
            "prev_chain": self.chain, "op_id": op_id or uuid4(), "kind": kind, "state": msgspec.Raw(raw),
        }  # fmt: skip
        return IncomingSave(**{**fields, **changes})

    def took(self, saved, state) -> None:
        self.version, self.chain, self.state = saved.version, saved.chain, state

    def having(self, *items, money=0) -> CharacterState:
        """Its document, with these things and coins instead of those it has."""
        return msgspec.structs.replace(self.state, bags={"inventory": list(items)}, money=money)


def equip(playing, state, now):
    """Bring a character to a document by a plain save."""
    operator = playing.operator
    saved = operator.save(playing.lease, now, state=encode_state(state), version=playing.version,
                          prev_chain=playing.chain, op_id=uuid4())  # fmt: skip
    assert saved.refusal is None, saved.refusal
    playing.took(saved, state)
    return playing


def a_trade(rowan, sorrel, **changes) -> IncomingExchange:
    """The gem and a rope for 30 coins."""
    fields = {
        "id": uuid4(),
        "writes": [
            rowan.write(rowan.having(Item("rope", 2), money=130)),
            sorrel.write(sorrel.having(COIN, Item("rope", 1), money=20)),
        ],
    }
    return IncomingExchange(**{**fields, **changes})


def carry(playing, request, now):
    return exchange(world=playing.operator.world, request=request, now=now)


def a_letter(sender, *items, money=0, to="Sorrel", **changes) -> IncomingExchange:
    """A letter of a sender who keeps what it does not post."""
    letter = messages.Letter(uuid4(), sender.ref, to, "Hello", "As promised.", Goods(list(items), money))
    writes = []
    if letter.goods != Goods():
        kept = [item for item in sender.state.bags.get("inventory", []) if item not in items]
        writes = [sender.write(sender.having(*kept, money=sender.state.money - money), kind="mail")]
    return IncomingExchange(uuid4(), writes, post=msgspec.structs.replace(letter, **changes))


def a_taking(recipient, letter, *items, money=0) -> IncomingExchange:
    """Take these goods out of a letter."""
    has = recipient.state.bags.get("inventory", [])
    state = recipient.having(*has, *items, money=recipient.state.money + money)
    write = recipient.write(state, kind="mail")
    return IncomingExchange(uuid4(), [write], take=messages.Taking(letter, recipient.ref))


def mailbox(playing, now, discard=()):
    request = messages.Mailbox(playing.ref, list(discard))
    return read_mailbox(world=playing.operator.world, request=request, now=now)
