"""What the core answers, step by step: one player, one cluster, a master that is the test."""

from dataclasses import replace
from datetime import UTC, datetime
from random import Random
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest

from tests.unit.worlds.daemon.simulation import catalog
from worlds.daemon.core.daemon import DaemonCore
from worlds.daemon.core.effects import (
    Call,
    CloseSession,
    Effect,
    Journal,
    RecordSession,
    SendToCluster,
    SendToGateway,
)
from worlds.daemon.core.events import (
    Answered,
    BusLost,
    FromBus,
    Journaled,
    Recorded,
    SessionsLoaded,
    Tick,
    Unreachable,
)
from worlds.daemon.core.saving import Offer, Outcome, WriteHead
from worlds.daemon.core.session import IllegalMove, Phase, Session
from worlds.uplink import messages as uplink
from zonecluster.protocol import bus
from zonecluster.protocol.character import GENESIS_CHAIN, CharacterState, encode_state, next_chain, state_hash
from zonecluster.protocol.from_client import Enter, Hello, Logout, ZoneTokenRequest
from zonecluster.protocol.to_client import (
    CharacterSummary,
    Entered,
    Goodbye,
    Notice,
    Refused,
    Welcome,
    ZoneAssigned,
)

ALICE, HERO, LOCKED, LINE = uuid4(), uuid4(), uuid4(), uuid4()
TICKET = "a ticket that is long enough"
CHARACTERS = [
    CharacterSummary(id=HERO, name="Rowan", level=3, line="main"),
    CharacterSummary(id=LOCKED, name="Extra", level=9, line="main", is_locked=True),
]


class Core:
    """The core with a clock and a memory of what it did last."""

    def __init__(self) -> None:
        self.core = DaemonCore(catalog(), datetime(2026, 11, 23, tzinfo=UTC), 0)
        self.now, self.rng = 100.0, Random(1)
        self.effects: list[Effect] = []
        self.has_journal = True  # what it is given is on the disk at once
        self.do(SessionsLoaded([]))
        self.hear(bus.ClusterAlive("east", 1, [], 0, 1.0), bus.ClusterAlive("west", 2, [], 0, 1.0))

    def do(self, *events: Any) -> None:
        self.effects = []
        waiting = list(events)
        while waiting:
            effects = self.core.handle(waiting.pop(0), self.now, self.rng)
            self.effects += effects
            if self.has_journal:
                waiting += [Journaled((e.ticket,)) for e in effects if isinstance(e, Journal)]

    def hear(self, *messages: bus.BusMessage) -> None:
        self.do(*(FromBus(message) for message in messages))

    def say(self, message: Any, link: int = 7) -> None:
        self.hear(bus.LinkMessage("g", 1, link, message))

    def wait(self, seconds: float) -> None:
        """Let time pass, with living clusters and gateway; keep all effects."""
        end, effects = self.now + seconds, []
        while self.now < end:
            self.now += 0.5
            self.hear(
                bus.ClusterAlive("east", 1, [1001, 2001], 0, 1.0),
                bus.ClusterAlive("west", 2, [3001, 4001], 0, 1.0),
                bus.GatewayAlive("g", 1),
            )
            effects += self.effects
            self.do(Tick())
            effects += self.effects
        self.effects = effects

    def told(self, kind: type, link: int = 7) -> Any:
        """Return the last message of a kind to a link."""
        return self.all_told(kind, link)[-1]

    def all_told(self, kind: type | tuple[type, ...], link: int = 7) -> list[Any]:
        sent = [e.message for e in self.effects if isinstance(e, SendToGateway)]
        return [
            m.message
            for m in sent
            if isinstance(m, bus.ToLinks) and link in m.links and isinstance(m.message, kind)
        ]

    def asked(self, kind: type) -> Any:
        """Return the last call of a kind."""
        return [e for e in self.effects if isinstance(e, Call) and isinstance(e.request, kind)][-1]

    def ordered(self, kind: type) -> Any:
        """Return the last message of a kind to a cluster."""
        return [
            e.message for e in self.effects if isinstance(e, SendToCluster) and isinstance(e.message, kind)
        ][-1]

    def answer(self, call: Call, answer: Any) -> None:
        self.do(Answered(call.id, answer))

    # ---- the usual way

    def log_in(self, link: int = 7, ticket: str = TICKET) -> Welcome:
        self.say(Hello(1, "test", ticket), link)
        admission = uplink.Admission(uuid4(), ALICE, "free", uplink.Limits(15), CHARACTERS)
        self.answer(self.asked(uplink.Redeem), admission)
        return self.told(Welcome, link)

    def enter(self, link: int = 7, **changes) -> Session:
        """Let the player in. Args: changes: of the lease that the master grants."""
        self.log_in(link)
        self.say(Enter(HERO), link)
        self.answer(self.asked(uplink.Acquire), msgspec.structs.replace(lease(), **changes))
        record = next(e for e in self.effects if isinstance(e, RecordSession))
        self.do(Recorded(record.row.id))
        self.hear(bus.InstanceOpened("east", 1, 1001))
        self.admitted(self.ordered(bus.Admit))
        return self.core.world.sessions[record.row.id]

    def admitted(self, admit: bus.Admit, cluster: str = "east", incarnation: int = 1) -> None:
        self.hear(bus.Admitted(cluster, incarnation, admit.session, admit.request, 5, b"token"))


def lease(money: int = 10) -> uplink.Lease:
    state = CharacterState(money=money)
    return uplink.Lease(HERO, "Rowan", LINE, "main", 1, 120.0, 4, GENESIS_CHAIN, state)


def saved(call: Call) -> uplink.Saved:
    save = call.request
    hash_of_state = state_hash(encode_state(save.state))
    chain = next_chain(save.prev_chain, save.version + 1, save.op_id, hash_of_state)
    return uplink.Saved(save.op_id, save.version + 1, chain, "receipt")


@pytest.fixture
def core() -> Core:
    return Core()


# ---------------------------------------------------------------- the way in


def test_enter_tells_the_client_where_to_go(core: Core) -> None:
    session = core.enter()
    assert session.phase is Phase.PLAYING
    assert core.told(Entered).name == "Rowan"
    zone = core.told(ZoneAssigned)
    assert (zone.zone, zone.instance, zone.entity, zone.connect_token) == ("a", 1001, 5, b"token")


def test_cluster_is_asked_only_when_the_row_is_durable(core: Core) -> None:
    core.log_in()
    core.say(Enter(HERO))
    core.answer(core.asked(uplink.Acquire), lease())
    core.wait(9.0)
    assert not [e for e in core.effects if isinstance(e, SendToCluster) and isinstance(e.message, bus.Admit)]
    core.wait(2.0)
    core.answer(core.asked(uplink.Release), uplink.Released(True))
    assert core.told(Refused).code == "world_unavailable"


@pytest.mark.parametrize(
    ("hello", "code"),
    [
        (Hello(99, "test", TICKET), "bad_protocol_version"),
        (Hello(1, "test"), "bad_frame"),
        (Hello(1, "test", TICKET, "a resume token too"), "bad_frame"),
        (Hello(1, "test", None, "a resume token nobody gave"), "bad_resume_token"),
    ],
)
def test_hello_that_cannot_be_taken(core: Core, hello: Hello, code: str) -> None:
    core.say(hello)
    refused = core.told(Refused)
    assert refused.code == code and refused.reason and refused.advice
    assert core.core.world.sessions == {}


@pytest.mark.parametrize("code", ["bad_ticket", "ticket_expired", "ticket_used"])
def test_ticket_the_master_refuses(core: Core, code: str) -> None:
    core.say(Hello(1, "test", TICKET))
    core.answer(core.asked(uplink.Redeem), uplink.Refusal(code, "No."))
    assert core.told(Refused).code == code
    assert core.log_in(), "the link may try again with another ticket"


def test_master_away_refuses_new_entries(core: Core) -> None:
    core.say(Hello(1, "test", TICKET))
    core.answer(core.asked(uplink.Redeem), Unreachable("down"))
    assert core.told(Refused).code == "master_unavailable"


def test_hello_before_the_sessions_are_loaded(core: Core) -> None:
    core.core.world.is_loaded = False
    core.say(Hello(1, "test", TICKET))
    assert core.told(Refused).code == "world_unavailable"


@pytest.mark.parametrize(
    ("character", "code"), [(uuid4(), "unknown_character"), (LOCKED, "character_locked")]
)
def test_character_that_cannot_be_played(core: Core, character: UUID, code: str) -> None:
    core.log_in()
    core.say(Enter(character))
    assert core.told(Refused).code == code


@pytest.mark.parametrize(
    ("refusal", "code"),
    [
        ("held_elsewhere", "character_elsewhere"),
        ("character_locked", "character_locked"),
        ("world_suspended", "world_unavailable"),
        ("not_admitted", "bad_ticket"),
    ],
)
def test_lease_the_master_refuses(core: Core, refusal: str, code: str) -> None:
    core.log_in()
    core.say(Enter(HERO))
    core.answer(core.asked(uplink.Acquire), uplink.Refusal(refusal, "No."))
    assert core.told(Refused).code == code
    core.say(Enter(HERO))
    assert core.asked(uplink.Acquire), "the player may choose again"


def test_full_world_without_a_queue(core: Core) -> None:
    core.core.world.catalog = replace(catalog(), max_queue=0)
    core.core.world.by_character = {uuid4(): uuid4() for _ in range(100)}
    core.log_in()
    core.say(Enter(HERO))
    assert core.told(Refused).code == "world_full"


def test_world_without_clusters(core: Core) -> None:
    core.now += 10
    core.do(Tick())
    core.log_in()
    core.say(Enter(HERO))
    assert core.told(Refused).code == "world_unavailable"


def test_late_lease_is_given_back(core: Core) -> None:
    core.log_in()
    core.say(Enter(HERO))
    call = core.asked(uplink.Acquire)
    core.wait(11.0)
    assert core.told(Refused).code == "master_unavailable"
    core.answer(call, lease())
    assert core.asked(uplink.Release).request == uplink.Release(LINE, 1)


def test_mallory_cannot_take_alices_character(core: Core) -> None:
    """A master that listed it twice would be wrong; the daemon compares the accounts all the same."""
    core.enter()
    core.say(Hello(1, "test", TICKET + " of Mallory"), 8)
    admission = uplink.Admission(uuid4(), uuid4(), "free", uplink.Limits(15), CHARACTERS)
    core.answer(core.asked(uplink.Redeem), admission)
    core.say(Enter(HERO), 8)
    assert core.told(Refused, 8).code == "unknown_character"
    assert not core.all_told(Goodbye, 7)


# ---------------------------------------------------------------- coming back


def test_resume_with_a_token_that_is_good_once(core: Core) -> None:
    core.enter()
    token = core.log_in(8, TICKET + " two").resume
    core.hear(bus.LinkClosed("g", 1, 8))
    core.say(Hello(1, "test", None, token), 9)
    assert core.told(Welcome, 9).resume != token
    core.say(ZoneTokenRequest(), 9)
    core.say(Hello(1, "test", None, token), 10)
    assert core.told(Refused, 10).code == "bad_resume_token"


def test_resume_again_with_the_old_token_when_the_welcome_was_lost(core: Core) -> None:
    core.enter()
    token = core.log_in(8, TICKET + " two").resume
    for link in (9, 10, 11):  # the answers on 9 and 10 go down with their gateway
        core.say(Hello(1, "test", None, token), link)
    newest = core.told(Welcome, 11).resume
    core.say(Hello(1, "test", None, newest), 12)
    assert core.told(Welcome, 12)
    core.say(Hello(1, "test", None, token), 13)
    assert core.told(Refused, 13).code == "bad_resume_token"


def test_a_link_whose_ticket_is_not_redeemed_yet_is_welcomed_by_nothing_else(core: Core) -> None:
    core.say(Hello(1, "test", TICKET), 8)
    core.say(Hello(1, "test", None, "a resume token nobody gave"), 8)
    assert core.told(Refused, 8).code == "bad_resume_token"
    assert not core.all_told(Welcome, 8)


def test_resume_in_play_brings_a_fresh_zone_link(core: Core) -> None:
    session = core.enter()
    session_token = core.core.world.new_resume_token(session)
    core.hear(bus.LinkClosed("g", 1, 7))
    assert core.ordered(bus.Attach).link is None
    core.say(Hello(1, "test", None, session_token), 8)
    assert core.told(Welcome, 8).playing == HERO
    assert core.told(Entered, 8)
    mint = core.ordered(bus.MintToken)
    core.hear(bus.Admitted("east", 1, mint.session, mint.request, 5, b"fresh"))
    assert core.told(ZoneAssigned, 8).connect_token == b"fresh"


def test_newer_link_wins(core: Core) -> None:
    session = core.enter()
    token = core.core.world.new_resume_token(session)
    core.say(Hello(1, "test", None, token), 8)
    assert core.told(Goodbye, 7)
    assert session.link.link == 8


def test_new_log_in_takes_the_ghost_over(core: Core) -> None:
    session = core.enter()
    core.log_in(8, TICKET + " two")
    core.say(Enter(HERO), 8)
    assert core.told(Goodbye, 7)
    assert core.told(Entered, 8)
    assert session.link.link == 8 and session.phase is Phase.PLAYING
    assert len(core.core.world.sessions) == 1


def test_grace_ends_in_a_log_out(core: Core) -> None:
    core.enter()
    core.hear(bus.LinkClosed("g", 1, 7))
    core.wait(59.0)
    assert not [e for e in core.effects if isinstance(e, SendToCluster) and isinstance(e.message, bus.Freeze)]
    core.wait(2.0)
    assert core.ordered(bus.Freeze)


# ---------------------------------------------------------------- the way out


def test_log_out_freezes_saves_releases_removes(core: Core) -> None:
    core.enter()
    core.say(Logout())
    freeze = core.ordered(bus.Freeze)
    core.hear(bus.Frozen("east", freeze.session, freeze.request, CharacterState(money=12), 3))
    call = core.asked(uplink.Save)
    assert (call.request.kind, call.request.state.money) == ("logout", 12)
    core.answer(call, saved(call))
    release = core.asked(uplink.Release)
    assert not [e for e in core.effects if isinstance(e, SendToCluster) and isinstance(e.message, bus.Remove)]
    core.answer(release, uplink.Released(True))
    assert core.told(Goodbye).is_saved
    assert any(isinstance(e, CloseSession) for e in core.effects)
    remove = core.ordered(bus.Remove)
    core.hear(bus.Removed("east", 1, remove.session, remove.order))
    assert core.core.world.sessions == {}


def test_log_out_while_the_master_is_away(core: Core) -> None:
    """Told plainly, kept, and saved when the master is back."""
    session = core.enter()
    core.say(Logout())
    freeze = core.ordered(bus.Freeze)
    core.hear(bus.Frozen("east", freeze.session, freeze.request, CharacterState(money=12), 3))
    first = core.asked(uplink.Save)
    core.answer(first, Unreachable("down"))
    core.wait(11.0)
    assert not core.told(Goodbye).is_saved
    assert session.phase is Phase.KEEPING
    again = core.asked(uplink.Save)
    assert again.request == first.request, "the same op_id with the same content"
    core.answer(again, saved(again))
    assert core.asked(uplink.Release)


def test_stale_save_drops_the_character(core: Core) -> None:
    session = core.enter()
    core.hear(bus.Checkpoint("east", session.id, CharacterState(money=11), "item", 1, session.home.order))
    call = core.asked(uplink.Save)
    refused = uplink.Saved(call.request.op_id, refusal=uplink.Refusal("stale", "Moved on."))
    core.answer(call, refused)
    assert not core.told(Goodbye).is_saved
    assert core.ordered(bus.Remove)


def test_lost_lease_drops_the_character(core: Core) -> None:
    core.enter()
    core.wait(31.0)
    call = core.asked(uplink.Renew)
    core.answer(call, uplink.Renewed(120.0, [], [uplink.LeaseRef(LINE, 1)]))
    assert core.told(Goodbye)


def report(core: Core, **changes: Any) -> None:
    core.wait(6.0)
    fields = {"tier": "official", "is_suspended": False, "accounts": [], **changes}
    core.answer(core.asked(uplink.Report), uplink.Reported(**fields))


def test_banned_account_is_saved_and_put_out(core: Core) -> None:
    core.enter()
    report(core, accounts=[uplink.AccountNews(ALICE, "free", uplink.Limits(15), True)])
    assert core.ordered(bus.Freeze)


def test_new_edition_is_told_without_a_new_log_in(core: Core) -> None:
    session = core.enter()
    report(core, accounts=[uplink.AccountNews(ALICE, "premium", uplink.Limits(None), False)])
    assert "Premium" in core.told(Notice).text
    assert (session.edition, session.limits.level_cap, session.phase) == ("premium", None, Phase.PLAYING)


def test_suspended_world_puts_everybody_out(core: Core) -> None:
    core.enter()
    report(core, is_suspended=True)
    assert core.ordered(bus.Freeze)
    assert core.core.world.is_suspended


# ---------------------------------------------------------------- handoff and recovery


def test_portal_to_nowhere_is_told_and_harms_nobody(core: Core) -> None:
    session = core.enter()
    core.hear(bus.PortalEntered("east", session.id, "no-such-link", session.home.order))
    assert core.told(Notice).level == "warning"
    assert core.ordered(bus.Thaw).session == session.id, "or the cluster asks again"
    assert session.phase is Phase.PLAYING


def test_failed_handoff_returns_to_the_source(core: Core) -> None:
    session = core.enter()
    home = session.home
    core.hear(bus.PortalEntered("east", session.id, "to-c", home.order))
    core.hear(bus.InstanceOpened("west", 2, 3001))
    freeze = core.ordered(bus.Freeze)
    core.hear(bus.Frozen("east", session.id, freeze.request, CharacterState(money=12), 3))
    call = core.asked(uplink.Save)
    assert call.request.kind == "handoff" and call.request.state.places["demo"].zone == "c"
    core.answer(call, saved(call))
    admit = core.ordered(bus.Admit)
    core.hear(bus.AdmitRefused("west", session.id, admit.request, "full"))
    thaw = core.ordered(bus.Thaw)
    assert thaw.text and thaw.instance == home.instance
    assert session.phase is Phase.PLAYING and session.home == home


def test_dead_cluster_is_recovered_with_what_was_reported(core: Core) -> None:
    """The checkpoint that the master has not answered yet is not lost."""
    session = core.enter()
    core.hear(bus.Checkpoint("east", session.id, CharacterState(money=99), "item", 1, session.home.order))
    call = core.asked(uplink.Save)
    core.hear(bus.ClusterAlive("east", 77, [1001], 0, 1.0))
    assert core.told(Notice).level == "warning"
    core.answer(call, saved(call))
    admit = core.ordered(bus.Admit)
    assert (admit.state.money, admit.incarnation) == (99, 77)
    core.admitted(admit, incarnation=77)
    assert core.told(ZoneAssigned)


def test_an_instance_that_ran_before_is_opened_as_such(core: Core) -> None:
    """Its chests begin empty: who makes a cluster die gains nothing by it."""
    session = core.enter()
    opened = bus.InstanceOpened("east", 1, 1001)
    assert core.core.world.clusters.ran == {1001}, "it was opened, and not asked for again"
    core.hear(opened, bus.ClusterAlive("east", 77, [], 0, 1.0))
    core.do(Tick())
    assert session.phase is Phase.RECOVERING
    assert core.ordered(bus.OpenInstance) == bus.OpenInstance(1001, "a", is_again=True)


def test_silence_means_nothing_while_the_bus_is_down(core: Core) -> None:
    session = core.enter()
    core.do(BusLost())
    for _ in range(40):
        core.now += 0.5
        core.do(Tick())
    assert session.phase is Phase.PLAYING
    assert all(cluster.is_alive for cluster in core.core.world.clusters.by_name.values())


# ---------------------------------------------------------------- the parts


def test_answer_counts_only_for_the_outstanding_op_id() -> None:
    head = WriteHead.of_lease(lease())
    head.offer(Offer(uuid4(), "periodic", CharacterState(money=11)))
    head.journaled(head.to_journal(), is_kept=True)
    save = head.next_attempt(uuid4(), 0.0)
    stranger = uplink.Saved(uuid4(), save.version + 1, bytes(32), "receipt")
    assert head.answered(stranger, 0.0, Random(1)) is Outcome.IGNORED
    assert head.version == 4 and head.outstanding is not None


def test_answer_with_another_chain_loses_the_head() -> None:
    head = WriteHead.of_lease(lease())
    head.offer(Offer(uuid4(), "periodic", CharacterState(money=11)))
    head.journaled(head.to_journal(), is_kept=True)
    save = head.next_attempt(uuid4(), 0.0)
    assert head.answered(uplink.Saved(save.op_id, 5, bytes(32), "r"), 0.0, Random(1)) is Outcome.LOST


def test_newer_state_waits_and_keeps_the_stronger_kind() -> None:
    head = WriteHead.of_lease(lease())
    for money, kind in ((11, "periodic"), (12, "level"), (13, "periodic")):
        head.offer(Offer(uuid4(), kind, CharacterState(money=money)))
        head.journaled(head.to_journal(), is_kept=True)
        head.next_attempt(uuid4(), 0.0)
    assert head.outstanding.offer.state.money == 11
    assert (head.waiting.state.money, head.waiting.kind) == (13, "level")
    assert head.newest.money == 13


def test_move_against_the_table_raises() -> None:
    session = Session(uuid4(), Phase.PLAYING, 0.0, None)
    with pytest.raises(IllegalMove, match="playing → arriving"):
        session.move(Phase.ARRIVING, 1.0)
