"""Players with goods, one core, a master and clusters that are the test: for trades, gifts and letters."""

from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import msgspec

from tests.unit.worlds.daemon.test_core import Core, saved
from worlds.daemon.core.commerce import Step
from worlds.daemon.core.effects import Call, Effect, RecordSession, SendToCluster, SendToGateway
from worlds.daemon.core.events import CatalogLoaded, Recorded
from worlds.daemon.core.session import Phase, Session
from worlds.uplink import messages as uplink
from zonecluster.protocol import bus
from zonecluster.protocol.character import GENESIS_CHAIN, CharacterState, Item, Place
from zonecluster.protocol.from_client import Enter, Hello
from zonecluster.protocol.to_client import CharacterSummary, Result
from zonecluster.rules.items import INVENTORY, ItemKind

KINDS = {
    kind.slug: kind
    for kind in (
        ItemKind("bread", "loaf of bread", stack_size=20, value=2),
        ItemKind("crown", "crown", value=900, is_valuable=True, slot="head"),
    )
}
CROWN = UUID(int=7)
CLUSTERS = {"a": ("east", 1, 1001), "c": ("west", 2, 3001)}  # by zone: cluster, incarnation, instance


def owning(*items: Item, money: int = 10, zone: str = "a") -> CharacterState:
    place = Place(zone=zone, position=(50.0, 50.0, 0.0))
    return CharacterState(bags={INVENTORY: list(items)} if items else {}, money=money, places={"demo": place})


class Market(Core):
    """Alice in the east with bread and a crown, Bob in the west with coins; whoever else comes."""

    def __init__(self) -> None:
        super().__init__()
        self.links: dict[str, int] = {}
        self.sessions: dict[str, Session] = {}
        self.seen: list[Effect] = []  # all effects since `forget`
        self.do(CatalogLoaded(replace(self.core.world.catalog, kinds=KINDS)))

    def do(self, *events: Any) -> None:
        super().do(*events)
        if hasattr(self, "seen"):
            self.seen += self.effects

    def forget(self) -> None:
        self.seen = []

    # ---------------------------------------------------------------- players

    def open(self) -> None:
        self.come("Alice", owning(Item("bread", 7), Item("crown", 1, CROWN)))
        self.come("Bob", owning(money=50, zone="c"))

    def come(self, name: str, state: CharacterState, **lease: Any) -> Session:
        link = self.links[name] = 10 + len(self.links)
        character = uuid4()
        self.say(Hello(1, "test", f"a ticket of {name} that is long"), link)
        summary = CharacterSummary(id=character, name=name, level=1, line="main")
        admission = uplink.Admission(uuid4(), uuid4(), "free", uplink.Limits(15), [summary])
        self.answer(self.asked(uplink.Redeem), admission)
        self.say(Enter(character), link)
        fields = {"line_kind": "main", **lease}
        granted = uplink.Lease(
            character=character, name=name, line=uuid4(), epoch=1, lease_s=120.0, version=4,
            chain=GENESIS_CHAIN, state=state, **fields,
        )  # fmt: skip
        self.answer(self.asked(uplink.Acquire), granted)
        record = next(e for e in self.effects if isinstance(e, RecordSession))
        self.do(Recorded(record.row.id))
        s = self.sessions[name] = self.core.world.sessions[record.row.id]
        cluster, incarnation, instance = CLUSTERS[state.places["demo"].zone]
        if s.phase is Phase.OPENING:
            self.hear(bus.InstanceOpened(cluster, incarnation, instance))
        self.admitted(self.ordered(bus.Admit), cluster, incarnation)
        assert s.phase is Phase.PLAYING
        return s

    def tell(self, name: str, message: Any) -> None:
        self.say(message, self.links[name])

    def ask(self, name: str, message: Any) -> Result:
        """Say something that is answered at once."""
        self.tell(name, message)
        return self.told(Result, self.links[name])

    def heard(self, name: str, kind: type) -> list[Any]:
        """Return all messages of a kind that a player was told since `forget`."""
        sent = [e.message for e in self.seen if isinstance(e, SendToGateway)]
        return [
            m.message
            for m in sent
            if isinstance(m, bus.ToLinks) and self.links[name] in m.links and isinstance(m.message, kind)
        ]

    # ---------------------------------------------------------------- clusters

    def orders(self, name: str, kind: type) -> list[Any]:
        """Return the messages of a kind about a player to clusters since `forget`."""
        sent = [e.message for e in self.seen if isinstance(e, SendToCluster)]
        return [m for m in sent if isinstance(m, kind) and m.session == self.sessions[name].id]

    def hold(self, name: str, state: CharacterState | None = None, **changes: Any) -> None:
        """Answer the last Hold, with what the head has if nothing else is said."""
        s, asked = self.sessions[name], self.orders(name, bus.Hold)[-1]
        fields = {"serial": s.serial + 1, "after": s.head.after, "stay": s.here.order, **changes}
        self.hear(bus.Held(s.here.cluster, s.id, asked.exchange, state or s.head.state, **fields))

    def show(self, name: str, **changes: Any) -> None:
        """Report where a player is, as its cluster does once a second."""
        s = self.sessions[name]
        resident = bus.Resident(
            s.id, s.here.instance, (50.0, 50.0, 0.0), 0.0, False, s.here.order, False, self.links[name]
        )
        resident = msgspec.structs.replace(
            resident, **{"after": s.head.after, "line": s.line_kind, **changes}
        )
        self.hear(bus.Residents(s.here.cluster, s.here.incarnation, [resident]))

    # ---------------------------------------------------------------- the master

    def calls(self, kind: type) -> list[Call]:
        return [e for e in self.seen if isinstance(e, Call) and isinstance(e.request, kind)]

    def save(self) -> None:
        """Accept the last write."""
        call = self.calls(uplink.Save)[-1]
        self.answer(call, saved(call))

    def accept(self, call: Call | None = None) -> uplink.Exchange:
        """Accept the exchange."""
        call = call or self.calls(uplink.Exchange)[-1]
        self.answer(call, accepted(call))
        return call.request

    def refuse(
        self, code: str, line: UUID | None = None, call: Call | None = None, *, is_fenced: bool = True
    ) -> None:
        """Refuse the exchange, and accept the fence, if there is one."""
        refusal = uplink.Refusal(code, f"Because of {code}.")
        call = call or self.calls(uplink.Exchange)[-1]
        self.answer(call, uplink.Exchanged(refusal=refusal, line=line))
        if is_fenced and any(x.step is Step.FENCING for x in self.core.world.exchanges.values()):
            self.save()

    def report(self, **changes: Any) -> None:
        fields = {"tier": "official", "is_suspended": False, "accounts": [], **changes}
        self.wait(6.0)
        self.answer(self.asked(uplink.Report), uplink.Reported(**fields))


def accepted(call: Call, **changes: Any) -> uplink.Exchanged:
    results = [saved(Call(call.id, save)) for save in call.request.writes]
    return uplink.Exchanged([msgspec.structs.replace(result, **changes) for result in results])
