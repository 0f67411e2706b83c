"""The master is restored from an old backup: what worlds hold comes back, along the hash chain."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

import pytest

from characters.core import Version
from tests.simulation.chaos import NONE
from tests.simulation.ledger import gains_of, has_all
from tests.simulation.simulation import Simulation
from zonecluster.protocol.character import decode_state

WANDERING = replace(NONE, travel=0.02, log_out=0.01, link_cut=0.01)  # lines go from world to world
AWAY_S = 30.0


def lost_versions(simulation: Simulation) -> Mapping[tuple, Version]:
    """What the master had accepted since the backup, of lines that were there then, by line and version."""
    known = simulation.master.repository.lines
    return {(each.line, each.version): each for each in simulation.ledger.lost.values() if each.line in known}


def restored(seed: int, *, missing: str | None = None) -> Simulation:
    """Play, go back to a backup of two minutes ago, and let worlds offer what they hold."""
    simulation = Simulation(seed, WANDERING)
    simulation.run(120.0)
    backup, since = simulation.master.backup(), simulation.master.now
    simulation.run(120.0)
    simulation.chaos.end()
    simulation.master.down_until = simulation.now + AWAY_S
    simulation.run(AWAY_S)
    for world in simulation.worlds:
        if world.slug == missing:  # its machines and what they held are gone for good
            world.receipts.clear()
            world.kill_daemon(1e9)
            simulation.ledger.excused.add(world.slug)
            simulation.ledger.promised.clear()  # what it had told its players, nobody can keep
    simulation.master.restore(backup, since)
    simulation.run(60.0)
    return simulation


@pytest.mark.parametrize("seed", range(6))
def test_everything_comes_back(seed: int) -> None:
    simulation = restored(seed)
    lost = lost_versions(simulation)
    assert len(lost) > 20
    repository = simulation.master.repository
    assert [each for each in lost.values() if each.op_id not in repository.journal] == []
    assert all(repository.journal[each.op_id].chain == each.chain for each in lost.values())
    assert repository.waiting == {}
    simulation.master.finish()
    simulation.run(180.0)  # leases that nobody renews run out first
    simulation.check_all_play()
    simulation.ledger.check_shown()


def test_nothing_is_granted_or_written_while_worlds_are_asked() -> None:
    simulation = restored(1)
    repository = simulation.master.repository
    new = [each for op_id, each in repository.journal.items() if op_id not in simulation.ledger.lost]
    assert all(each.at < repository.collects_since for each in new)
    assert simulation.counts["withheld"] == simulation.counts["put_out_unsaved"] == 0, "to worlds it is away"
    simulation.master.finish()
    simulation.run(60.0)
    grants = [line.head.epoch for line in repository.lines.values() if line.head.epoch > 2_000_000]
    writes = [
        each for each in repository.journal.values() if each.at > simulation.master.now.replace(microsecond=0)
    ]
    assert grants or not writes


def test_offers_twice_change_nothing() -> None:
    simulation = restored(2)
    repository = simulation.master.repository
    journal = dict(repository.journal)
    for world in simulation.worlds:
        world.core.world.reoffering = None  # as a restarted daemon has it
    simulation.run(60.0)
    assert simulation.counts["reoffered"] > len(simulation.worlds)
    assert repository.journal == journal


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("missing", ["aurora", "borealis"])
def test_one_world_is_gone_with_all_it_held(seed: int, missing: str) -> None:
    """What the others hold is not lost: the history may have a gap, the state lacks what nobody holds."""
    simulation = restored(seed, missing=missing)
    simulation.master.finish()
    newest: dict = {}
    for (line, number), version in lost_versions(simulation).items():
        if version.world != missing and number >= newest.get(line, version).version:
            newest[line] = version
    for line, version in newest.items():
        held = gains_of(decode_state(version.state))
        assert has_all(simulation.ledger.gains[line], held), f"{line}: {held}"
    for player in simulation.players.values():
        if player.world.slug == missing:
            player.quit()
            player.world = next(world for world in simulation.worlds if world.slug != missing)
    simulation.run(150.0)
    for line, version in newest.items():
        assert has_all(simulation.ledger.gains[line], gains_of(decode_state(version.state)))
    chains = Counter(line for line, _ in simulation.ledger.chains)
    heads = {line: simulation.master.repository.lines[line].head.version for line in chains}
    assert chains == heads, "numbers without a gap"
