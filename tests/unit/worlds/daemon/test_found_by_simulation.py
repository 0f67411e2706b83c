"""What the simulation of several worlds has found, each as its shortest story. See docs/simulation.md."""

from dataclasses import replace
from uuid import uuid4

import msgspec
import pytest

from tests.unit.worlds.daemon.test_core import ALICE, HERO, LINE, Core, lease, saved
from worlds.daemon.core import departure, gateways, recovery
from worlds.daemon.core.effects import HailAll, SendToCluster, StoreTokens
from worlds.daemon.core.events import Answered, FromBus, OpenSession, SessionsLoaded, Tick
from worlds.daemon.core.session import Phase, Session
from worlds.uplink import messages as uplink
from zonecluster.protocol import bus
from zonecluster.protocol.character import CharacterState
from zonecluster.protocol.from_client import Enter, Hello, Logout, ZoneTokenRequest
from zonecluster.protocol.to_client import Goodbye, Refused, Welcome


@pytest.fixture
def core() -> Core:
    return Core()


def leave(core: Core) -> None:
    """Let the master take everything."""
    call = core.asked(uplink.Save)
    core.answer(call, saved(call))
    core.answer(core.asked(uplink.Release), uplink.Released(True))


def test_goodbye_does_not_call_all_saved_what_a_silent_cluster_never_told(core: Core) -> None:
    core.enter()
    core.say(Logout())
    core.wait(3.5)  # no Frozen comes
    leave(core)
    assert not core.told(Goodbye).is_saved


def test_goodbye_after_a_cluster_died_and_nothing_was_played_since(core: Core) -> None:
    session = core.enter()
    core.hear(bus.ClusterAlive("east", 77, [1001], 0, 1.0))
    core.do(Tick())
    admit = core.ordered(bus.Admit)
    core.admitted(admit, incarnation=77)
    core.say(Logout())
    freeze = core.ordered(bus.Freeze)
    core.hear(bus.Frozen("east", session.id, freeze.request, CharacterState(money=10), 1))
    leave(core)
    assert not core.told(Goodbye).is_saved


def test_goodbye_after_a_cluster_died_and_the_next_was_silent_for_a_while(core: Core) -> None:
    """Seed 481625: what the silent one had is there again, what the dead one had is not."""
    session = core.enter()
    core.hear(bus.ClusterAlive("east", 77, [1001], 0, 1.0))
    core.do(Tick())
    core.admitted(core.ordered(bus.Admit), incarnation=77)
    recovery.home_lost(core.core.world, session)
    assert session.phase is Phase.RECOVERING
    here = bus.Resident(session.id, 1001, (1.0, 2.0, 0.0), 0.0, False, session.here.order)
    core.hear(bus.Residents("east", 77, [here]))
    assert session.phase is Phase.PLAYING
    core.say(Logout())
    freeze = core.ordered(bus.Freeze)
    core.hear(bus.Frozen("east", session.id, freeze.request, CharacterState(money=10), 1))
    leave(core)
    assert not core.told(Goodbye).is_saved


def test_goodbye_after_a_cluster_died_and_the_player_went_on(core: Core) -> None:
    session = core.enter()
    core.hear(bus.ClusterAlive("east", 77, [1001], 0, 1.0))
    core.do(Tick())
    core.admitted(core.ordered(bus.Admit), incarnation=77)
    core.hear(bus.Checkpoint("east", session.id, CharacterState(money=11), "item", 1, session.here.order))
    call = core.asked(uplink.Save)
    core.answer(call, saved(call))
    core.say(Logout())
    freeze = core.ordered(bus.Freeze)
    core.hear(bus.Frozen("east", session.id, freeze.request, CharacterState(money=12), 2))
    leave(core)
    assert core.told(Goodbye).is_saved


def test_a_silent_cluster_is_not_told_that_what_it_has_is_kept(core: Core) -> None:
    """Seed 202466: after a restart the daemon knows the serial of a document, but not the document."""
    session = core.enter()
    session.serial = 11  # as a report of residents told it
    core.say(Logout())
    core.wait(3.5)  # no Frozen comes
    call, effects = core.asked(uplink.Save), core.effects  # it is journaled
    core.answer(call, saved(call))
    told = [e.message for e in effects + core.effects if isinstance(e, SendToCluster)]
    assert not [m for m in told if isinstance(m, bus.Journaled | bus.Saved)]


@pytest.mark.parametrize(("carried", "is_saved"), [(None, True), (uuid4(), False)])
def test_goodbye_to_a_link_whose_session_is_not_known(core: Core, carried: object, is_saved: bool) -> None:
    core.hear(bus.GatewayAlive("g", 1))
    core.hear(bus.LinksOpen("g", 1, [bus.OpenLink(9, carried)]))
    assert core.told(Goodbye, 9).is_saved is is_saved


def test_each_try_to_acquire_has_a_higher_order(core: Core) -> None:
    first = core.enter().acquire_order
    core.say(Logout())
    freeze = core.ordered(bus.Freeze)
    core.hear(bus.Frozen("east", freeze.session, freeze.request, CharacterState(money=10), 1))
    leave(core)
    remove = core.ordered(bus.Remove)
    core.hear(bus.Removed("east", 1, remove.session, remove.order))
    core.log_in(8)
    core.say(Enter(HERO), 8)
    assert 0 < first < core.asked(uplink.Acquire).request.order


ROW = OpenSession(
    id=uuid4(), account=ALICE, admission=uuid4(), character=HERO, name="Rowan", edition="free", line=LINE,
    epoch=1, zone="a", cluster="west", resume_digest=b"d" * 32, stay=50,
)  # fmt: skip


def own_lease(**changes: object) -> uplink.Lease:
    """The head is what this world wrote last."""
    return msgspec.structs.replace(lease(money=99), **{"receipt": "of this world", **changes})


@pytest.mark.parametrize(("stay", "is_taken_over"), [(49, False), (50, True), (51, True)])
def test_restarted_daemon_leaves_a_ghost_alone(core: Core, stay: int, is_taken_over: bool) -> None:
    """The entity of a cluster that was silent is older than what was saved from another that has died."""
    core.do(SessionsLoaded([replace(ROW)]))
    assert any(isinstance(effect, HailAll) for effect in core.effects)
    core.answer(core.asked(uplink.Acquire), own_lease())
    resident = bus.Resident(ROW.id, 1001, (1.0, 2.0, 0.0), 0.0, True, stay)
    session = core.core.world.sessions[ROW.id]
    for _ in range(9):
        core.hear(bus.Residents("east", 1, [resident]), bus.Residents("west", 2, []))
        core.wait(0.5)
    assert (session.phase is Phase.PLAYING) == is_taken_over
    if not is_taken_over:
        assert session.phase is Phase.READMITTING
        assert session.request.message.state.money == 99


@pytest.mark.parametrize(
    ("changes", "is_taken_over"),
    [
        ({}, True),
        ({"receipt": "", "version": 1}, True),  # nobody has written it yet
        ({"receipt": ""}, False),
        (
            {"receipt": "", "version": 1, "line": uuid4(), "line_kind": "fork"},
            False,
        ),  # begun from who knows what
        ({"line": uuid4(), "line_kind": "fork"}, True),  # its writes have fallen to it
    ],
)
@pytest.mark.parametrize("is_seen_first", [True, False])
def test_restarted_daemon_leaves_who_was_played_elsewhere_meanwhile(
    core: Core, is_seen_first: bool, changes: dict, is_taken_over: bool
) -> None:
    """The lease had lapsed, another world has written since: what stands here is older than that."""
    core.core.world.next_order = 60  # above all orders of the one before it
    core.do(SessionsLoaded([replace(ROW)]))
    acquire = core.asked(uplink.Acquire)
    reports = bus.Residents("east", 1, [bus.Resident(ROW.id, 1001, (1.0, 2.0, 0.0), 0.0, True, 50)])
    if is_seen_first:
        core.hear(reports, bus.Residents("west", 2, []))
    core.answer(acquire, own_lease(**changes))
    session = core.core.world.sessions[ROW.id]
    assert (session.row().stay > 60) == (not is_taken_over)
    for _ in range(9):
        core.hear(reports, bus.Residents("west", 2, []))
        core.wait(0.5)
    assert session.phase is (Phase.PLAYING if is_taken_over else Phase.READMITTING)
    if not is_taken_over:
        assert session.request.message.state.money == 99
        assert session.request.message.order > session.known_stay > 60


def test_restarted_daemon_takes_no_document_from_before_its_start(core: Core) -> None:
    """The one before it may have saved a newer one; a late copy of an older one would roll that back."""
    core.do(SessionsLoaded([replace(ROW)]))
    core.answer(core.asked(uplink.Acquire), own_lease())
    here = bus.Resident(ROW.id, 1001, (1.0, 2.0, 0.0), 0.0, True, 50, serial=5)
    before = bus.Resident(ROW.id, 1001, (1.0, 2.0, 0.0), 0.0, True, 50, serial=2)  # late on the bus
    session = core.core.world.sessions[ROW.id]
    for _ in range(9):
        core.hear(bus.Residents("east", 1, [here]), bus.Residents("east", 1, [before]))
        core.wait(0.5)
    assert session.phase is Phase.PLAYING
    for serial, money, is_taken in ((3, 97, False), (5, 99, False), (6, 100, True)):
        core.hear(bus.Checkpoint("east", ROW.id, CharacterState(money=money), "item", serial, 50))
        assert (not session.head.is_idle) == is_taken, serial
    assert session.head.newest.money == 100


def test_a_cluster_that_did_not_answer_a_readmission_is_told_that_it_is_off(core: Core) -> None:
    """Else it admits the player when its inbox moves again, and the player may be elsewhere by then."""
    session = core.enter()
    core.hear(bus.ClusterAlive("east", 9, [1001], 0, 1.0))
    core.do(Tick())
    admit = core.ordered(bus.Admit)
    assert session.phase is Phase.READMITTING
    orders = []
    for _ in range(12):
        core.now += 0.5
        core.hear(bus.ClusterAlive("east", 9, [1001], 0, 1.0), bus.GatewayAlive("g", 1))
        core.do(Tick())
        orders += [e.message for e in core.effects if isinstance(e, SendToCluster)]
    (remove,) = [m for m in orders if isinstance(m, bus.Remove)]
    again = [m for m in orders if isinstance(m, bus.Admit)][-1]
    assert (remove.session, remove.instance) == (admit.session, admit.instance)
    assert admit.order < remove.order < again.order


def test_a_handoff_that_is_given_up_is_another_write_than_the_one_in_the_journal(core: Core) -> None:
    """The journal has the first, may not take the second, and after a death the first is handed in."""
    session = core.enter()
    core.hear(bus.Checkpoint("east", session.id, CharacterState(money=11), "item", 1, session.here.order))
    core.hear(bus.PortalEntered("east", session.id, "to-c", session.here.order))
    core.hear(bus.InstanceOpened("west", 2, 3001))
    freeze = core.ordered(bus.Freeze)
    core.hear(bus.Frozen("east", session.id, freeze.request, CharacterState(money=12), 3))
    assert session.phase is Phase.COMMITTING
    given_up = session.head.waiting
    assert given_up is not None and given_up.kind == "handoff"
    core.wait(6.0)  # the master does not answer the checkpoint
    assert session.phase is Phase.PLAYING
    waiting = session.head.waiting
    assert waiting is not None and waiting.kind == "periodic"
    assert waiting.op_id != given_up.op_id


@pytest.mark.parametrize(
    ("stay", "serial", "money", "is_saved"),
    [
        (50, 7, 99, True),
        (51, 7, 99, False),  # the dead daemon was just letting it in there, perhaps after a cluster's death
        (50, 0, 99, False),  # ... or had let it in
        (51, 7, 100, True),  # the player has acted since
    ],
)
def test_goodbye_after_daemon_and_cluster_died_together(
    core: Core, stay: int, serial: int, money: int, is_saved: bool
) -> None:
    core.core.world.next_order = 60
    core.do(SessionsLoaded([replace(ROW)]))
    core.answer(core.asked(uplink.Acquire), own_lease())
    here = bus.Resident(ROW.id, 1001, (1.0, 2.0, 0.0), 0.0, False, stay, serial=serial)
    session = core.core.world.sessions[ROW.id]
    session.link = gateways.LinkRef("g", 1, 7)
    for _ in range(9):
        core.hear(bus.Residents("east", 1, [here]), bus.Residents("west", 2, []))
        core.wait(0.5)
    assert session.phase is Phase.PLAYING
    core.hear(bus.Checkpoint("east", ROW.id, CharacterState(money=money), "periodic", serial + 1, stay))
    core.do(Tick())
    departure.begin(core.core.world, session, departure.LOGOUT)
    core.do(Tick())
    state = CharacterState(money=money)
    core.hear(bus.Frozen("east", session.id, session.request.id, state, serial + 2))
    while session.phase is Phase.SAVING_OUT:
        write = session.head.outstanding
        assert write is not None and session.head.call is not None
        accepted = uplink.Saved(write.offer.op_id, write.save.version + 1, write.chain, "r")
        core.do(Answered(session.head.call, accepted))
    core.answer(core.asked(uplink.Release), uplink.Released(True))
    assert core.told(Goodbye).is_saved is is_saved


def test_a_readmission_that_is_given_up_does_not_take_the_player_out_at_home(core: Core) -> None:
    """A late message of a dead process hid the living one: an order to its name goes to the living."""
    session = core.enter()
    core.hear(bus.ClusterAlive("east", 9, [1001], 0, 1.0))  # in truth it died before
    core.do(Tick())
    assert session.phase is Phase.READMITTING and (session.here.incarnation, session.there.incarnation) == (
        1,
        9,
    )
    core.now += 2.6
    core.do(FromBus(bus.ClusterAlive("west", 2, [], 0, 1.0)), Tick())
    assert session.phase is Phase.RECOVERING
    assert not [e for e in core.effects if isinstance(e, SendToCluster) and isinstance(e.message, bus.Remove)]
    resident = bus.Resident(session.id, 1001, (1.0, 2.0, 0.0), 0.0, True, session.here.order)
    core.hear(bus.ClusterAlive("east", 1, [1001], 1, 1.0), bus.Residents("east", 1, [resident]))
    assert session.phase is Phase.PLAYING


def test_who_is_dropped_in_play_is_not_told_that_all_is_saved(core: Core) -> None:
    """The cluster was not asked: what was gained in the last second is not known here."""
    session = core.enter()
    core.wait(31.0)
    assert session.phase is Phase.PLAYING and session.head.is_idle and not session.is_dirty
    core.answer(core.asked(uplink.Renew), uplink.Renewed(120.0, [], [uplink.LeaseRef(LINE, 1)]))
    assert not core.told(Goodbye).is_saved


def stored(core: Core) -> StoreTokens:
    """Return the tokens that were written last."""
    return [effect for effect in core.effects if isinstance(effect, StoreTokens)][-1]


def restarted(session: Session, tokens: StoreTokens) -> Core:
    """Return a daemon that has taken over what the row of a session says."""
    again = Core()
    digests = {"resume_digest": tokens.resume_digest, "proven_digest": tokens.proven_digest}
    again.do(SessionsLoaded([replace(ROW, id=session.id, **digests)]))
    return again


def test_a_restarted_daemon_knows_the_token_of_a_client_whose_welcome_was_lost(core: Core) -> None:
    """Found by restarts under bots: all links are new when the daemon goes, right after the gateway."""
    session = core.enter()
    old = core.core.world.new_resume_token(session)
    core.say(ZoneTokenRequest())
    core.say(Hello(1, "test", None, old), 9)
    new, written = core.told(Welcome, 9).resume, stored(core)
    for token in (old, new):
        again = restarted(session, written)
        again.say(Hello(1, "test", None, token), 10)
        assert again.told(Welcome, 10).resume not in (old, new)

    core.say(ZoneTokenRequest(), 9)  # the client has read it
    again = restarted(session, stored(core))
    again.say(Hello(1, "test", None, old), 10)
    assert again.told(Refused, 10).code == "bad_resume_token"


def test_a_daemon_that_dies_again_before_it_has_the_lease_has_kept_the_token_that_it_gave(core: Core) -> None:
    session = core.enter()
    old = core.core.world.new_resume_token(session)
    first = restarted(session, StoreTokens(session.id, session.resume_digest, session.proven_digest))
    first.say(Hello(1, "test", None, old), 10)
    new = first.told(Welcome, 10).resume
    second = restarted(session, stored(first))
    second.say(Hello(1, "test", None, new), 11)
    assert second.told(Welcome, 11)
