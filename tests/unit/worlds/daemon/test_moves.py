"""Live moves, stage by stage: players stand in a zone of a world without faults, and then one is made."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.unit.worlds.daemon.model_cluster import Cluster
from tests.unit.worlds.daemon.simulation import Faults, Simulation
from worlds.daemon.core import moves, placement
from worlds.daemon.core.catalog import ClusterInfo
from worlds.daemon.core.effects import SendToCluster
from worlds.daemon.core.moving import Stage
from worlds.daemon.core.session import Phase
from worlds.daemon.core.upkeep import MoveRow
from zonecluster.protocol import bus
from zonecluster.protocol.from_client import Logout
from zonecluster.protocol.to_client import Goodbye, Notice

NONE = Faults(*([0.0] * len(Faults.__dataclass_fields__)))
ZONE, HOME = "a", 1001  # on east; west is where it goes
PLAYERS = 5
ASKS = {
    Stage.OPENING: bus.OpenInstance,
    Stage.EXPORTING: bus.ExportInstance,
    Stage.IMPORTING: bus.ImportInstance,
}
BEFORE_IT_COUNTS = [Stage.OPENING, Stage.EXPORTING, Stage.IMPORTING]


class Standing(Simulation):
    """Everybody stands in zone a with things around them, and does nothing."""

    def __init__(self, players: int = PLAYERS, faults: Faults = NONE) -> None:
        super().__init__(3, faults, players)
        self.heard: list[object] = []
        self.lost: type | None = None
        for player in self.players:
            player.trade_on = lambda rng: None
            player.get = self.listening(player.get)
        self.reach(lambda: all(player.zone is not None for player in self.players))
        self.run(self.now + 10)  # a daemon first learns who is where
        self.heard.clear()
        self.east.copies.ground[HOME] = [1001, 1002, 1003]

    def step(self) -> None:
        for cluster in self.clusters.values():
            if cluster is not None:
                cluster.live = lambda rng: None
        super().step()

    def listening(self, get: Callable) -> Callable:
        def both(message: object) -> None:
            self.heard.append(message)
            get(message)

        return both

    @property
    def east(self) -> Cluster:
        return self.clusters["east"]

    @property
    def west(self) -> Cluster:
        return self.clusters["west"]

    @property
    def world(self):
        return self.core.world

    @property
    def move(self):
        return self.world.moves.get(HOME)

    def ask(self, **changes: object) -> int:
        row = len(self.moved) + len(self.move_rows) + 1
        fields = {"zone": ZONE, "instance": HOME, "source": "", "target": "west", **changes}
        self.move_rows[row] = MoveRow(row, **fields, reason="a test", state="waiting")
        return row

    def reach(self, condition: Callable[[], object], seconds: float = 60.0) -> None:
        """Run until something is so."""
        end = self.now + seconds
        while not condition():
            assert self.now < end, "it has not come about"
            self.run(self.now + self.step_s)

    def reach_stage(self, stage: Stage) -> None:
        """Ask for the move, and run until it is there: its first request of that stage is lost."""
        self.ask()
        self.lost = ASKS.get(stage)
        self.reach(lambda: self.move is not None and self.move.stage is stage)
        self.lost = None

    def carry_out(self, effect: object) -> None:
        is_lost = isinstance(effect, SendToCluster) and self.lost is not None
        if not (is_lost and isinstance(effect.message, self.lost)):
            super().carry_out(effect)

    def outcome(self, row: int = 1) -> tuple[str, int, str]:
        self.reach(lambda: row in [note.row for note in self.moved], 200.0)
        note = next(note for note in self.moved if note.row == row)
        return note.state, note.players, note.error

    def ground(self) -> dict[str, list[int]]:
        """Return what lies where for all to see."""
        return {
            name: lying
            for name, cluster in self.clusters.items()
            if cluster is not None
            and (lying := cluster.copies.ground.get(HOME))
            and not cluster.copies.is_still(HOME)
        }

    def where(self) -> list[str]:
        return [cluster.name for cluster in self.clusters.values() for _ in cluster.entities]

    def check(self, where: str) -> None:
        """Everybody plays, on that cluster alone, and nothing of a move is left."""
        self.check_all_play()
        assert self.where() == [where] * len(self.players)
        assert not self.world.moves and not self.world.clusters.split
        for cluster in self.clusters.values():
            assert not cluster.copies.vacant and not cluster.copies.exported
            assert (HOME in cluster.instances) == (cluster.name == where)
        assert not any(isinstance(message, Goodbye) for message in self.heard)


@pytest.fixture
def sim() -> Standing:
    return Standing()


# ---------------------------------------------------------------- as it should be


def test_everybody_and_everything_goes_over_and_nobody_is_told(sim: Standing) -> None:
    before = [player.link for player in sim.players]
    sim.ask()
    assert sim.outcome() == ("done", PLAYERS, "")
    sim.run(sim.now + 3)
    sim.check("west")
    assert sim.ground() == {"west": [1001, 1002, 1003]}
    assert [player.link for player in sim.players] == before
    assert not any(isinstance(message, Notice) for message in sim.heard)
    assert sim.moved[0].source == "east"


def test_each_player_keeps_its_very_place(sim: Standing) -> None:
    places = {}
    for number, entity in enumerate(sim.east.entities.values()):
        sim.east.walk(entity, 10.0 + number)
        places[entity.character] = entity.state.places["demo"]
    sim.ask()
    sim.outcome()
    sim.run(sim.now + 1)
    assert {e.character: e.state.places["demo"] for e in sim.west.entities.values()} == places


def test_only_so_many_are_on_their_way_at_once() -> None:
    sim, most = Standing(players=2 * moves.MOST_FOLLOWING + 3), 0
    sim.ask()
    while not sim.moved:
        sim.run(sim.now + sim.step_s)
        following = [s for s in sim.world.sessions.values() if s.is_following]
        most = max(most, len(following))
    assert 0 < most <= moves.MOST_FOLLOWING
    assert sim.outcome() == ("done", 2 * moves.MOST_FOLLOWING + 3, "")


def test_entries_and_recoveries_during_a_move_go_to_the_target(sim: Standing) -> None:
    late = sim.players[0]
    late.wants_to_play = False
    sim.gateway.forward(late.link, Logout())
    sim.run(sim.now + 10)  # out of the world
    assert len(sim.where()) == PLAYERS - 1
    late.wants_to_play = True
    sim.reach_stage(Stage.FILLING)
    late.open_link()
    sim.reach(lambda: late.zone is not None)
    entity = next(e for e in sim.west.entities.values() if e.character == late.character)
    assert entity.instance == HOME
    sim.outcome()
    sim.run(sim.now + 2)
    sim.check("west")


def test_a_portal_gone_into_on_the_way_leads_on(sim: Standing) -> None:
    sim.reach_stage(Stage.FILLING)
    sim.reach(lambda: any(s.phase is Phase.FREEZING for s in sim.world.sessions.values()))
    s = next(s for s in sim.world.sessions.values() if s.phase is Phase.FREEZING)
    sim.to_daemon(bus.PortalEntered("east", s.id, "to-b", s.here.order))
    sim.outcome()
    sim.reach(lambda: s.phase is Phase.PLAYING and s.place.zone == "b")


def test_players_without_a_link_and_whoever_leaves(sim: Standing) -> None:
    sim.players[0].cut()
    sim.players[0].wants_to_play = False
    sim.reach_stage(Stage.FILLING)
    sim.players[1].wants_to_play = False
    sim.gateway.forward(sim.players[1].link, Logout())
    assert sim.outcome()[0] == "done"
    sim.run(sim.now + 5)
    assert sim.where().count("west") == len(sim.where()) >= PLAYERS - 2


def test_there_and_back_again(sim: Standing) -> None:
    sim.ask()
    assert sim.outcome(1)[0] == "done"
    sim.ask(target="east", source="west")
    assert sim.outcome(2) == ("done", PLAYERS, "")
    sim.run(sim.now + 3)
    sim.check("east")
    assert sim.ground() == {"east": [1001, 1002, 1003]}


# ---------------------------------------------------------------- what goes wrong


@pytest.mark.parametrize("stage", BEFORE_IT_COUNTS)
def test_the_target_dies_before_it_counts(sim: Standing, stage: Stage) -> None:
    sim.reach_stage(stage)
    sim.kill_cluster("west")
    sim.reborn_at["west"] = sim.now + 8
    state, _, error = sim.outcome()
    assert state == "failed" and "west has died" in error
    sim.run(sim.now + 15)
    sim.check("east")
    assert sim.ground() == {"east": [1001, 1002, 1003]}
    assert not any(isinstance(message, Notice) for message in sim.heard), "nobody has noticed"


def test_the_target_dies_while_players_follow(sim: Standing) -> None:
    sim.reach_stage(Stage.FILLING)
    sim.reach(lambda: sim.where().count("west") >= 1)
    sim.kill_cluster("west")
    sim.reborn_at["west"] = sim.now + 8
    sim.run(sim.now + 30)
    sim.check_all_play()
    assert not sim.world.moves and set(sim.where()) == {"east"}
    assert sim.outcome()[0] == "failed" or sim.outcome()[1] == PLAYERS


@pytest.mark.parametrize("stage", [*BEFORE_IT_COUNTS, Stage.FILLING])
def test_the_source_dies(sim: Standing, stage: Stage) -> None:
    sim.reach_stage(stage)
    sim.kill_cluster("east")
    sim.reborn_at["east"] = sim.now + 8
    is_told = stage in (Stage.IMPORTING, Stage.FILLING)  # what is in it
    assert sim.outcome()[0] == ("done" if is_told else "failed")
    sim.run(sim.now + 30)
    sim.check_all_play()
    assert len(set(sim.where())) == 1 and not sim.world.moves
    assert not any(cluster.copies.vacant for cluster in sim.clusters.values())


@pytest.mark.parametrize(
    ("lost", "stage"),
    [
        (bus.OpenInstance, Stage.OPENING),
        (bus.ExportInstance, Stage.EXPORTING),
        (bus.ImportInstance, Stage.IMPORTING),
    ],
)
def test_no_answer_and_the_source_goes_on(sim: Standing, lost: type, stage: Stage) -> None:
    for name in ("east", "west"):
        cluster = sim.clusters[name]
        take = cluster.take
        cluster.take = lambda m, take=take: None if isinstance(m, lost) else take(m)
    sim.ask()
    state, players, error = sim.outcome()
    assert (state, players) == ("failed", 0) and str(stage) in error
    sim.run(sim.now + 5)
    sim.check("east")
    assert sim.ground() == {"east": [1001, 1002, 1003]}


def test_a_target_that_cannot_open_it_says_why(sim: Standing) -> None:
    sim.west.copies.open = lambda m: sim.west.say(
        bus.InstanceOpened("west", sim.west.incarnation, m.instance, "no such zone")
    )
    sim.ask()
    assert sim.outcome() == ("failed", 0, "west cannot open it: no such zone")
    sim.run(sim.now + 3)
    sim.check("east")


def test_a_target_that_cannot_take_it_over_says_why(sim: Standing) -> None:
    sim.reach_stage(Stage.IMPORTING)
    sim.west.copies.vacant[HOME] = (1, False)
    state, _, error = sim.outcome()
    assert state == "failed" and "not vacant" in error
    sim.run(sim.now + 3)
    sim.check("east")
    assert sim.ground() == {"east": [1001, 1002, 1003]}


@pytest.mark.parametrize("stage", list(Stage)[:4])
@pytest.mark.parametrize("late", [0.0, 0.3])
def test_the_daemon_dies_in_it(sim: Standing, stage: Stage, late: float) -> None:
    """The next one finds players on one or two clusters; each plays on, the row ends, nothing is doubled."""
    sim.reach_stage(stage)
    sim.run(sim.now + late)
    sim.kill_daemon()
    sim.core_reborn_at = sim.now + 2
    state, _, error = sim.outcome()
    assert state == "done" or "restarted" in error
    sim.run(sim.now + 15)
    sim.check(sim.where()[0])
    assert sum(map(len, sim.ground().values())) in (0, 3), "all of it or, if nobody can know, nothing"


# ---------------------------------------------------------------- what is not begun


def test_while_the_master_is_away_no_move_begins(sim: Standing) -> None:
    sim.master.down_until = sim.now + 30
    sim.reach(lambda: not sim.world.is_master_up)
    sim.ask()
    sim.run(sim.now + 10)
    assert not sim.world.moves and not sim.moved
    assert sim.outcome()[0] == "done"


@pytest.mark.parametrize(
    ("asked", "error"),
    [
        ({"zone": "nowhere"}, "no zone 'nowhere'"),
        ({"instance": 2001}, "none of zone"),
        ({"target": "north"}, "no cluster 'north'"),
        ({"source": "west"}, "runs on east"),
    ],
)
def test_what_makes_no_sense_fails_with_the_reason(sim: Standing, asked: dict, error: str) -> None:
    sim.ask(**asked)
    state, players, said = sim.outcome()
    assert (state, players) == ("failed", 0) and error in said


def test_a_pinned_zone_stays(sim: Standing) -> None:
    zones = sim.catalog.zones
    zones[ZONE] = replace(zones[ZONE], is_pinned=True)
    sim.ask()
    assert "pinned to east" in sim.outcome()[2]
    sim.check("east")


@pytest.mark.parametrize(
    "info", [ClusterInfo("west", 100, is_enabled=False), ClusterInfo("west", PLAYERS - 1)]
)
def test_a_target_that_takes_nobody(sim: Standing, info: ClusterInfo) -> None:
    sim.catalog.clusters["west"] = info
    sim.ask()
    state, _, error = sim.outcome()
    assert state == "failed" and ("full" in error or "no room" in error)


def test_where_it_is_already_nothing_happens(sim: Standing) -> None:
    sim.ask(target="east")
    assert sim.outcome() == ("done", 0, "")


def test_a_zone_that_is_in_no_instance_opens_where_it_was_asked(sim: Standing) -> None:
    sim.ask(zone="b", instance=0)
    assert sim.outcome() == ("done", 0, "")
    zone = sim.catalog.zones["b"]
    cluster = placement.choose_cluster(sim.world, zone, zone.instance())
    assert cluster is not None and cluster.name == "west"


# ---------------------------------------------------------------- emptying a cluster


def test_a_cluster_is_emptied_and_nothing_is_opened_there(sim: Standing) -> None:
    assert not moves.is_empty(sim.world, "east") and moves.why_not_empty(sim.world, "east") == ""
    moves.empty(sim.world, "east", "a restart")
    sim.reach(lambda: moves.is_empty(sim.world, "east"))
    sim.check("west")
    zone = sim.catalog.zones["b"]
    chosen = placement.choose_cluster(sim.world, zone, zone.instance())
    assert chosen is not None and chosen.name == "west", "its home is being emptied"
    moves.fill(sim.world, "east")
    chosen = placement.choose_cluster(sim.world, zone, zone.instance())
    assert chosen is not None and chosen.name == "east"


def test_without_another_cluster_nothing_can_be_emptied(sim: Standing) -> None:
    sim.catalog.clusters["west"] = ClusterInfo("west", 100, is_enabled=False)
    moves.empty(sim.world, "east", "a restart")
    sim.run(sim.now + 5)
    assert "No other cluster" in moves.why_not_empty(sim.world, "east")
    assert not sim.world.moves and not moves.is_empty(sim.world, "east")
    sim.check("east")


def test_a_move_that_hangs_is_tried_again_while_a_cluster_is_emptied(sim: Standing) -> None:
    take, refused = sim.west.take, []

    def take_once(m: bus.BusMessage) -> None:
        if isinstance(m, bus.ImportInstance) and not refused:
            refused.append(m)
            sim.west.say(bus.InstanceImported("west", sim.west.incarnation, m.instance, m.move, "no room"))
        else:
            take(m)

    sim.west.take = take_once
    moves.empty(sim.world, "east", "a restart")
    sim.reach(lambda: moves.is_empty(sim.world, "east"))
    assert sim.counts["move_failed"] == 1 and sim.counts["move_done"] == 1
    assert sim.ground() == {"west": [1001, 1002, 1003]}
