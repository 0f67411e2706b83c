"""Restarts of a world under invented time: rolling and full, deaths half-way, and what is given up."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from tests.unit.worlds.daemon.restarting import Restarting
from worlds.daemon.core import restart_telling, restarts
from worlds.daemon.core.restart_work import Stage
from worlds.daemon.core.session import Phase
from zonecluster.protocol.to_client import Goodbye

SEED = 5
BOTH = pytest.mark.parametrize("kind", ["rolling", "full"])


@pytest.fixture
def sim() -> Restarting:
    made = Restarting(SEED)
    made.settle()
    return made


def slow() -> Restarting:
    """Return a world with two players, and larger steps: for tests of a quarter of an hour."""
    made = Restarting(SEED, players=2)
    made.settle()
    made.step_s = 0.25
    return made


def runs(sim: Restarting) -> dict[str, int]:
    return {name: cluster.incarnation for name, cluster in sim.clusters.items() if cluster}


def documents(sim: Restarting) -> dict[UUID, int]:
    return {character: line.state.money for character, line in sim.master.lines.items()}


# ---------------------------------------------------------------- the usual way


@BOTH
def test_every_cluster_and_process_is_another_and_nobody_was_put_out(sim: Restarting, kind: str) -> None:
    before, began = runs(sim), sim.starts
    money = documents(sim)
    sim.ask(kind, 3.0)
    sim.run_to(None)
    assert sim.row is not None and sim.row.state == "done", (sim.error, sim.whats)
    after = runs(sim)
    assert all(after[name] != before[name] for name in before)
    assert sim.processes == {"gateway": 1, "worlddaemon": 1} and sim.starts == began + 1
    sim.assert_nobody_was_put_out()
    assert all(documents(sim)[character] >= was for character, was in money.items())
    assert not sim.alarms


@BOTH
def test_the_daemon_goes_when_the_links_are_back_but_does_not_wait_for_ever(
    sim: Restarting, kind: str
) -> None:
    """A Welcome that is on its way by a new gateway would be lost with the daemon."""
    gone, away = sim.players[0], []
    kill_daemon = sim.kill_daemon

    def note() -> None:
        away.extend(s.character for s in sim.core.world.sessions.values() if s.link is None)
        kill_daemon()

    sim.kill_daemon = note
    sim.ask(kind, 3.0)
    sim.run_to(Stage.PROCESSES)
    sim.run_to(None)
    assert sim.processes["worlddaemon"] == 1 and away == []
    gone.cut()
    gone.wants_to_play = False
    sim.ask(kind, 3.0)
    sim.row = replace(sim.row, id=2)
    sim.run_to(Stage.PROCESSES)
    sim.run_to(None)
    assert sim.processes["worlddaemon"] == 2 and away in ([], [gone.character])


def test_a_rolling_restart_takes_one_cluster_after_the_other_and_empties_it_first(sim: Restarting) -> None:
    sim.ask("rolling", 1.0)
    for name in ("east", "west"):
        sim.run_to(Stage.RESTARTING)
        world = sim.core.world
        assert list(world.restart.batch) == [name]
        assert not [s for s in world.sessions.values() if s.home and s.home.cluster == name]
        assert not [s for s in world.sessions.values() if s.phase in (Phase.PAUSED, Phase.RECOVERING)]
        sim.run_to(Stage.RETURNING)
    sim.run_to(None)
    whats = [what for what in sim.whats if what != "notice"]
    each = ["cluster", "cluster_back"]
    assert whats == ["begun", *each, *each, "processes", "daemon_back", "done"]


def test_the_only_cluster_is_restarted_under_players_who_stand_still(sim: Restarting) -> None:
    clusters = {"east": replace(sim.catalog.clusters["east"])}
    zones = {slug: replace(zone, home_cluster="east") for slug, zone in sim.catalog.zones.items()}
    alone = Restarting(SEED)
    alone.catalog = replace(sim.catalog, clusters=clusters, zones=zones)
    alone.reborn_at = {"east": 0.0}
    alone.generations = {"east": 0}
    alone.settle()
    alone.ask("rolling", 1.0)
    alone.run_to(None)
    assert alone.row.state == "done" and {"frozen", "players_back"} <= set(alone.whats)
    alone.assert_nobody_was_put_out()


def test_a_full_restart_saves_everybody_before_a_process_goes_and_is_back_in_two_minutes(
    sim: Restarting,
) -> None:
    sim.ask("full", 3.0)
    sim.run_to(Stage.RESTARTING)
    world = sim.core.world
    assert {s.phase for s in world.sessions.values()} == {Phase.PAUSED}
    for s in world.sessions.values():
        line = sim.master.lines[s.chosen]
        assert s.head.is_idle and (s.head.version, s.head.chain) == (line.version, line.chain)
        (entity,) = [e for c in sim.clusters.values() if c for e in c.entities.values() if e.session == s.id]
        assert entity.is_frozen and entity.state.money == line.state.money
    sim.run_to(None)
    took = sim.steps[-1].at - next(step.at for step in sim.steps if step.what == "begun")
    assert took < timedelta(minutes=2)
    frozen = next(step for step in sim.steps if step.what == "frozen")
    assert frozen.text == "4 players frozen and saved, every receipt checked"


def test_players_are_admitted_again_where_they_were(sim: Restarting) -> None:
    sim.ask("full", 3.0)
    sim.run_to(Stage.RESTARTING)
    places = {s.id: s.place for s in sim.core.world.sessions.values()}
    sim.run_to(Stage.PROCESSES)
    for cluster in sim.clusters.values():
        cluster.live = lambda rng: None
    for s in sim.core.world.sessions.values():
        assert s.place.zone == places[s.id].zone
    sim.run_to(None)


# ---------------------------------------------------------------- telling, and entries


def test_players_are_told_in_time() -> None:
    sim = slow()
    sim.ask("full", 16 * 60.0, reason="new maps")
    sim.run_to(None, 18 * 60)
    told = [text for text in sim.notices() if "estart" in text]
    times = [step.minutes for step in sim.steps if step.what == "notice"]
    assert times == [30, 15, 5, 1]
    assert told[0].startswith("The world restarts in 16 minutes (new maps). You will be back by yourself")
    assert told[3].startswith("The world restarts in 1 minute (new maps).")
    assert told[-1] == restart_telling.OVER


def test_a_restarted_daemon_does_not_tell_it_again(sim: Restarting) -> None:
    sim.ask("rolling", 14 * 60.0)
    sim.run(sim.now + 5.0)
    sim.kill_daemon()
    sim.run(sim.now + 30.0)
    assert sim.whats == ["notice"]
    assert len([text for text in sim.notices() if "restarts in" in text]) == 1


def test_putting_it_off_and_calling_it_off_is_told(sim: Restarting) -> None:
    sim.ask("rolling", 4 * 60.0)
    sim.run(sim.now + 3.0)
    sim.row = replace(sim.row, due_at=sim.row.due_at + timedelta(minutes=30))
    sim.run(sim.now + 3.0)
    assert any("it is in 34 minutes now" in text for text in sim.notices())
    sim.row = replace(sim.row, state="cancelled")
    sim.run(sim.now + 3.0)
    assert "The restart has been called off." in sim.notices()
    assert sim.core.world.restart is None


def test_entries_are_refused_in_the_last_minute_of_a_full_one_only(sim: Restarting) -> None:
    sim.ask("full", 70.0)
    sim.run(sim.now + 5.0)
    assert not restart_telling.is_closed(sim.core.world)
    sim.run(sim.now + 10.0)
    assert restart_telling.is_closed(sim.core.world)
    sim.run_to(Stage.RETURNING)
    assert not restart_telling.is_closed(sim.core.world)


def test_nobody_is_kept_out_by_a_rolling_one(sim: Restarting) -> None:
    sim.ask("rolling", 10.0)
    while sim.row.state in ("planned", "running"):
        sim.run(sim.now + 0.5)
        assert (
            sim.core is None or sim.core.world.wall is None or not restart_telling.is_closed(sim.core.world)
        )
    assert sim.row.state == "done"


def test_the_master_is_told_of_the_next_restart(sim: Restarting) -> None:
    assert restart_telling.planned(sim.core.world) is None
    sim.ask("full", 600.0)
    sim.run(sim.now + 2.0)
    told = restart_telling.planned(sim.core.world)
    assert (told.at, told.kind) == (sim.row.due_at, "full")


# ---------------------------------------------------------------- staff and daemon at the same time


def test_one_that_is_put_off_while_it_is_claimed_does_not_begin(sim: Restarting) -> None:
    sim.ask("full", 2.0)
    sim.run_to(Stage.CLAIMING)
    later = sim.row.due_at + timedelta(minutes=10)
    sim.row = replace(sim.row, due_at=later)  # before the claim is written
    sim.run(sim.now + 5.0)
    assert (
        sim.stage is Stage.PLANNED
        and sim.row.state == "planned"
        and sim.core.world.restart.row.due_at == later
    )
    assert {s.phase for s in sim.core.world.sessions.values()} <= {Phase.PLAYING, Phase.CROSSING}


def test_one_that_is_called_off_while_it_is_claimed_does_not_begin(sim: Restarting) -> None:
    sim.ask("full", 2.0)
    sim.run_to(Stage.CLAIMING)
    sim.row = replace(sim.row, state="cancelled")
    sim.run(sim.now + 5.0)
    assert sim.core.world.restart is None and sim.generations == {"east": 0, "west": 0}


# ---------------------------------------------------------------- deaths half-way


STAGES = {
    "rolling": [Stage.CLAIMING, Stage.EMPTYING, Stage.RESTARTING, Stage.RETURNING, Stage.PROCESSES],
    "full": [Stage.CLAIMING, Stage.PAUSING, Stage.RESTARTING, Stage.RETURNING, Stage.PROCESSES],
}
HALF_WAY = [(kind, stage) for kind, stages in STAGES.items() for stage in stages]


@pytest.mark.parametrize(("kind", "stage"), HALF_WAY)
def test_a_daemon_that_dies_half_way_is_followed_by_one_that_goes_on(
    sim: Restarting, kind: str, stage: Stage
) -> None:
    before = runs(sim)
    sim.ask(kind, 2.0)
    sim.run_to(stage)
    sim.kill_daemon()
    sim.run_to(None, 300.0)
    assert sim.row.state == "done", (sim.error, sim.whats)
    after = runs(sim)
    assert all(after[name] != before[name] for name in before)
    assert all(generation <= 2 for generation in sim.generations.values())
    sim.assert_nobody_was_put_out()


@pytest.mark.parametrize(("kind", "stage"), [each for each in HALF_WAY if each[1] is not Stage.CLAIMING])
def test_a_cluster_that_dies_half_way_stops_nothing(sim: Restarting, kind: str, stage: Stage) -> None:
    sim.ask(kind, 2.0)
    sim.run_to(stage)
    living = [name for name, cluster in sim.clusters.items() if cluster]
    if living:
        sim.kill_cluster(living[0])
    sim.run_to(None, 300.0)
    assert sim.row.state in ("done", "failed") and (sim.row.state == "done" or sim.alarms)
    sim.assert_nobody_was_put_out()


@pytest.mark.parametrize("stage", STAGES["full"])
def test_a_gateway_that_dies_half_way_puts_nobody_out(sim: Restarting, stage: Stage) -> None:
    sim.ask("full", 2.0)
    sim.run_to(stage)
    sim.kill_gateway()
    sim.run_to(None, 300.0)
    assert sim.row.state == "done"
    sim.assert_nobody_was_put_out()


# ---------------------------------------------------------------- given up, openly


def test_a_master_that_goes_away_while_everybody_is_saved(sim: Restarting) -> None:
    before = runs(sim)
    sim.ask("full", 2.0)
    sim.run_to(Stage.PAUSING)
    sim.master.down_until = sim.now + 90.0
    sim.run_to(None)
    assert sim.row.state == "failed" and "could not be saved" in sim.error
    assert "restart_failed" in sim.alarms and runs(sim) == before
    sim.assert_nobody_was_put_out()
    assert "The restart was given up; go on playing." in sim.notices()


def test_a_master_that_is_away_when_it_is_due_is_waited_for(sim: Restarting) -> None:
    sim.master.down_until = sim.now + 60.0
    sim.ask("full", 10.0)
    sim.run(sim.now + 40.0)
    assert sim.row.state == "planned"
    sim.run_to(None)
    assert sim.row.state == "done"


def test_one_that_could_not_begin_in_time_is_missed() -> None:
    sim = slow()
    sim.master.down_until = sim.now + 5000.0
    sim.ask("full", 10.0)
    sim.run_to(None, 16 * 60.0)
    assert sim.row.state == "failed" and "the master was away" in sim.error and "restart_missed" in sim.alarms


def test_clusters_without_an_agent_are_not_restarted(sim: Restarting) -> None:
    sim.has_agent = False
    sim.run(sim.now + 5.0)
    sim.ask("full", 1.0)
    sim.run_to(None)
    assert sim.row.state == "failed" and "No host agent runs the clusters east, west" in sim.error
    sim.assert_nobody_was_put_out()


def test_a_cluster_that_does_not_come_back(sim: Restarting, monkeypatch: pytest.MonkeyPatch) -> None:
    sim.ask("full", 2.0)
    sim.run_to(Stage.RESTARTING)
    sim.run(sim.now + 0.2)
    sim.reborn_at["west"] = sim.now + 100.0
    sim.run_to(None)
    assert sim.row.state == "failed" and "clusters west were not back" in sim.error
    sim.run(sim.now + 60.0)
    sim.assert_nobody_was_put_out()
    assert not sim.heard(Goodbye)


def test_who_leaves_while_the_world_stands_still_leaves_saved(sim: Restarting) -> None:
    sim.ask("full", 2.0)
    sim.run_to(Stage.RESTARTING)
    first, *others = list(sim.core.world.sessions.values())
    player = next(player for player in sim.players if player.character == first.chosen)
    player.wants_to_play = False
    restarts.pausing.departure.begin(sim.core.world, first, restarts.pausing.departure.LOGOUT)
    sim.run_to(None)
    assert sim.row.state == "done"
    goodbye = [message for message in player.told if isinstance(message, Goodbye)]
    assert [message.is_saved for message in goodbye] == [True]


def test_steps_that_cannot_be_read_end_the_row(sim: Restarting) -> None:
    sim.ask("full", 100.0)
    sim.row = replace(sim.row, steps=({"what": "nonsense"},))
    sim.run(sim.now + 5.0)
    assert sim.row.state == "failed" and "cannot be read" in sim.alarms["restart_failed"]
