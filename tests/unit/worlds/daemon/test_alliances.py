"""Alliances, step by step: who may invite whom, who leads, and what ends one."""

from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.unit.worlds.daemon.test_core import Core
from worlds.daemon.core.alliances import MOST_MEMBERS
from worlds.daemon.core.effects import Call, RecordSession, SendToCluster
from worlds.daemon.core.events import OpenSession, Recorded, SessionsLoaded
from worlds.daemon.core.meeting import INVITATION_S, MOST_INVITATIONS
from worlds.daemon.core.session import GRACE_S, Phase, Session
from worlds.uplink import messages as uplink
from zonecluster.protocol import bus
from zonecluster.protocol.character import GENESIS_CHAIN, CharacterState
from zonecluster.protocol.from_client import (
    AllianceAnswer,
    AllianceInvite,
    AllianceLeave,
    Enter,
    Hello,
    Logout,
)
from zonecluster.protocol.to_client import (
    AllianceChanged,
    AllianceInvited,
    CharacterSummary,
    Notice,
    Refused,
    Result,
)


class Players:
    """Several players of one core, by their names; each has a link of the same number as its place."""

    def __init__(self, core: Core) -> None:
        self.core = core
        self.links: dict[str, int] = {}
        self.sessions: dict[str, Session] = {}

    def come(self, *names: str) -> None:
        for name in names:
            link = self.links[name] = 10 + len(self.links)
            character = uuid4()
            self.core.say(Hello(1, "test", f"a ticket of {name} that is long"), link)
            summary = CharacterSummary(id=character, name=name, level=1, line="main")
            self.core.answer(
                self.core.asked(uplink.Redeem),
                uplink.Admission(uuid4(), uuid4(), "free", uplink.Limits(15), [summary]),
            )
            self.core.say(Enter(character), link)
            self.core.answer(self.core.asked(uplink.Acquire), lease_of(character, name))
            record = next(e for e in self.core.effects if isinstance(e, RecordSession))
            self.core.do(Recorded(record.row.id))
            if self.core.core.world.sessions[record.row.id].phase is Phase.OPENING:
                self.core.hear(bus.InstanceOpened("east", 1, 1001))
            self.core.admitted(self.core.ordered(bus.Admit))
            self.sessions[name] = self.core.core.world.sessions[record.row.id]
            assert self.sessions[name].phase is Phase.PLAYING

    def say(self, name: str, message: Any) -> Result:
        self.core.say(message, self.links[name])
        return self.core.told(Result, self.links[name])

    def invite(self, name: str, other: str) -> Result:
        return self.say(name, AllianceInvite(1, other))

    def accept(self, name: str, inviter: str) -> Result:
        return self.say(name, AllianceAnswer(2, inviter, True))

    def join(self, leader: str, *others: str) -> None:
        for other in others:
            assert self.invite(leader, other).ok
            assert self.accept(other, leader).ok

    def told(self, name: str, kind: type) -> Any:
        return self.core.told(kind, self.links[name])

    def members(self, name: str) -> list[str]:
        """Return the alliance that a client was last told, the leader first."""
        changed = self.told(name, AllianceChanged)
        names = [member.name for member in changed.members]
        assert changed.leader == (names[0] if names else "")
        return names

    def groups(self) -> dict[UUID, int]:
        """Return the last group that clusters were told of each session."""
        orders = [e.message for e in self.core.effects if isinstance(e, SendToCluster)]
        return {m.session: m.group for m in orders if isinstance(m, bus.Grouped)}


def lease_of(character: UUID, name: str) -> uplink.Lease:
    state = CharacterState()
    return uplink.Lease(
        character, name, uuid4(), "main", 1, 120.0, 4, GENESIS_CHAIN, state, receipt="of this world"
    )


@pytest.fixture
def players() -> Players:
    return Players(Core())


def test_who_accepts_an_invitation_is_in_the_alliance_and_everybody_is_told(players: Players) -> None:
    players.come("Alice", "Bob")
    assert players.invite("Alice", "bOB ").ok
    invited = players.told("Bob", AllianceInvited)
    assert (invited.inviter, invited.seconds) == ("Alice", 60)
    assert players.accept("Bob", "Alice") == Result(2, True, "You have joined.")
    assert players.members("Alice") == players.members("Bob") == ["Alice", "Bob"]
    groups = players.groups()
    assert set(groups) == {players.sessions["Alice"].id, players.sessions["Bob"].id}
    assert len(set(groups.values())) == 1 and 0 not in groups.values()


def test_who_declines_is_out_of_it_and_not_asked_again_for_a_minute(players: Players) -> None:
    players.come("Alice", "Bob")
    players.invite("Alice", "Bob")
    assert players.say("Bob", AllianceAnswer(3, "Alice", False)) == Result(3, True, "Declined.")
    assert "Bob" in players.told("Alice", Notice).text
    assert not players.accept("Bob", "Alice").ok
    assert not players.invite("Alice", "Bob").ok
    assert players.sessions["Alice"].alliance == players.sessions["Bob"].alliance == 0
    players.core.wait(INVITATION_S)
    assert players.invite("Alice", "Bob").ok


def test_an_invitation_ends(players: Players) -> None:
    players.come("Alice", "Bob")
    players.invite("Alice", "Bob")
    players.core.wait(INVITATION_S)
    assert not players.accept("Bob", "Alice").ok
    assert players.core.core.world.invitations == {}


def test_nobody_is_invited_who_is_not_there_or_oneself_or_taken(players: Players) -> None:
    players.come("Alice", "Bob", "Mallory")
    assert "Nobody" in players.invite("Mallory", "Eve").text
    assert "yourself" in players.invite("Mallory", "Mallory").text
    players.join("Alice", "Bob")
    assert "another alliance" in players.invite("Mallory", "Bob").text
    assert "your alliance" in players.invite("Alice", "Bob").text
    assert not players.accept("Mallory", "Alice").ok  # nobody asked


def test_only_the_leader_invites(players: Players) -> None:
    players.come("Alice", "Bob", "Mallory")
    players.join("Alice", "Bob")
    assert "leader" in players.invite("Bob", "Mallory").text


def test_six_are_the_most(players: Players) -> None:
    names = [f"Player {number}" for number in range(MOST_MEMBERS + 1)]
    players.come(*names)
    players.invite(names[0], names[-1])  # before it is full
    players.join(*names[:-1])
    assert len(players.members(names[3])) == MOST_MEMBERS
    assert not players.accept(names[-1], names[0]).ok
    assert "at most 6" in players.invite(names[0], names[-1]).text


def test_open_invitations_of_one_player_are_few(players: Players) -> None:
    names = [f"Player {number}" for number in range(MOST_INVITATIONS + 1)]
    players.come("Mallory", *names)
    assert [players.invite("Mallory", name).ok for name in names] == [True] * MOST_INVITATIONS + [False]


def test_who_is_in_an_alliance_cannot_accept_another(players: Players) -> None:
    players.come("Alice", "Bob", "Mallory")
    players.invite("Mallory", "Bob")
    players.join("Alice", "Bob")
    assert "leave" in players.accept("Bob", "Mallory").text


def test_an_inviter_who_joined_another_alliance_takes_nobody_into_it(players: Players) -> None:
    players.come("Alice", "Bob", "Mallory")
    players.invite("Mallory", "Bob")
    players.join("Alice", "Mallory")
    assert "Only the leader" in players.accept("Bob", "Mallory").text
    assert players.sessions["Bob"].alliance == 0


def test_the_leader_passes_on_and_the_last_one_is_in_none(players: Players) -> None:
    players.come("Alice", "Bob", "Carol")
    players.join("Alice", "Bob", "Carol")
    assert players.say("Alice", AllianceLeave(4)) == Result(4, True, "You have left the alliance.")
    assert players.members("Alice") == []
    assert players.members("Bob") == players.members("Carol") == ["Bob", "Carol"]
    assert players.groups()[players.sessions["Alice"].id] == 0
    players.say("Carol", AllianceLeave(5))
    assert players.members("Bob") == players.members("Carol") == []
    assert players.core.core.world.alliances == {}
    assert not players.say("Carol", AllianceLeave(6)).ok


def test_logout_ends_it_and_the_next_one_leads(players: Players) -> None:
    players.come("Alice", "Bob", "Carol")
    players.join("Alice", "Bob", "Carol")
    players.core.say(Logout(), players.links["Alice"])
    players.core.wait(0.5)
    assert players.members("Bob") == ["Bob", "Carol"]
    assert "Nobody" in players.invite("Bob", "Alice").text


def test_who_logged_out_is_in_it_no_more_even_before_the_next_tick(players: Players) -> None:
    players.come("Alice", "Bob")
    players.join("Alice", "Bob")
    players.core.say(Logout(), players.links["Alice"])
    answer = players.say("Bob", AllianceLeave(7))
    assert not answer.ok and "no alliance" in answer.text


def test_a_lost_link_does_not_end_it_until_the_grace_is_over(players: Players) -> None:
    players.come("Alice", "Bob")
    players.join("Alice", "Bob")
    players.core.hear(bus.LinkClosed("g", 1, players.links["Alice"]))
    players.core.wait(GRACE_S - 5)
    assert players.sessions["Alice"].alliance == players.sessions["Bob"].alliance != 0
    players.core.wait(10)
    assert players.sessions["Bob"].alliance == 0


def test_two_who_go_at_once_leave_the_third_alone(players: Players) -> None:
    players.come("Alice", "Bob", "Carol")
    players.join("Alice", "Bob", "Carol")
    for name in ("Alice", "Bob"):
        players.core.say(Logout(), players.links[name])
    players.core.wait(0.5)
    assert players.members("Carol") == [] and players.core.core.world.alliances == {}


@pytest.mark.parametrize("names", [("Alice", "Bob"), ("Alice", "Bob", "Carol")])
def test_all_who_go_at_once_leave_nothing_behind(players: Players, names: tuple[str, ...]) -> None:
    players.come(*names)
    players.join(*names)
    for name in names:
        players.core.say(Logout(), players.links[name])
    players.core.wait(0.5)
    assert players.core.core.world.alliances == {}
    assert [players.sessions[name].alliance for name in names] == [0] * len(names)


def test_who_is_not_in_the_world_has_no_alliances(players: Players) -> None:
    players.core.log_in(link=9)
    for message in (AllianceInvite(1, "Bob"), AllianceAnswer(2, "Bob", True), AllianceLeave(3)):
        players.core.say(message, 9)
        refused = players.core.told(Refused, 9)
        assert (refused.code, refused.seq) == ("not_now", message.seq)


def test_the_cluster_is_told_again_what_it_has_otherwise(players: Players) -> None:
    players.come("Alice", "Bob")
    players.join("Alice", "Bob")
    alice = players.sessions["Alice"]
    players.core.wait(10)
    resident = bus.Resident(alice.id, 1001, (1.0, 2.0, 0.0), 0.0, False, alice.here.order, link=10)
    players.core.hear(bus.Residents("east", 1, [resident]))
    assert players.groups() == {alice.id: alice.alliance}


def test_a_new_cluster_is_told_at_once(players: Players) -> None:
    players.come("Alice", "Bob")
    players.join("Alice", "Bob")
    alice = players.sessions["Alice"]
    players.core.hear(bus.ClusterAlive("east", 99, [], 0, 1.0))  # it was restarted
    players.core.wait(0.5)
    players.core.hear(bus.InstanceOpened("east", 99, 1001))
    admits = [
        e.message
        for e in players.core.effects
        if isinstance(e, SendToCluster) and isinstance(e.message, bus.Admit) and e.message.session == alice.id
    ]
    players.core.admitted(admits[-1], incarnation=99)
    assert players.groups()[alice.id] == alice.alliance != 0


def test_a_restarted_daemon_learns_alliances_from_the_clusters() -> None:
    core = Core()
    rows = [
        OpenSession(uuid4(), uuid4(), uuid4(), uuid4(), name, "free", uuid4(), 1, "a", "east", name.encode())
        for name in ("Alice", "Bob", "Carol")
    ]
    core.do(SessionsLoaded(rows))
    calls = [e for e in core.effects if isinstance(e, Call)]
    leases = {e.request.character: e for e in calls if isinstance(e.request, uplink.Acquire)}
    for row in rows:
        core.answer(leases[row.character], lease_of(row.character, row.name))
    reports = [
        bus.Resident(row.id, 1001, (1.0, 2.0, 0.0), 0.0, False, 1, group=group)
        for row, group in zip(rows, (77, 77, 0), strict=True)
    ]
    for _ in range(12):
        core.hear(bus.Residents("east", 1, reports), bus.Residents("west", 2, []))
        core.wait(0.5)
    world = core.core.world
    assert [world.sessions[row.id].phase for row in rows] == [Phase.PLAYING] * 3
    assert [world.sessions[row.id].alliance for row in rows] == [77, 77, 0]
    assert world.alliances[77].members == [rows[0].id, rows[1].id]
