"""Zone clusters on several machines: agents join, clusters hang, agents and daemon die, hosts are revoked.

The machines are addresses of the loopback network, each with an agent and a state directory of its own.
"""

import os
import signal
from collections.abc import Iterator

import pytest

from tests.embedded_servers import wait_until
from tests.end_to_end.conftest import Introduce
from tests.end_to_end.hosts import Machine, add_cluster, add_host
from tests.end_to_end.stack import Stack
from tests.end_to_end.test_outages import BACK_S, reach_other_zone, settled
from waystone_client import Player

pytestmark = pytest.mark.end_to_end

WAIT_S = 120.0
ADDRESSES = {"south": "127.0.0.2", "north": "127.0.0.3"}


def is_alive(stack: Stack, cluster: str) -> bool:
    """Whether the daemon has heard a cluster in the last seconds."""
    rows = stack.query(
        "select 1 from worlds_zonecluster where name = %s and last_seen_at > now() - interval '5 seconds'",
        cluster,
    )
    return bool(rows)


def enable(stack: Stack, is_enabled: bool, *clusters: str) -> None:
    stack.query(
        "update worlds_zonecluster set is_enabled = %s where name = any(%s) returning id",
        is_enabled,
        list(clusters),
    )


def cluster_of(stack: Stack, player: Player) -> str:
    """Return where the daemon says that a player is."""
    rows = stack.query(
        "select cluster from worlds_playsession where character_name = %s and ended_at is null", player.name
    )
    return rows[0][0] if rows else ""


def open_alarms(stack: Stack) -> set[str]:
    return {key for (key,) in stack.query("select key from worlds_alarm where ended_at is null")}


def is_silent(stack: Stack, cluster: str) -> bool:
    return not is_alive(stack, cluster)


@pytest.fixture(scope="module")
def machines(stack: Stack) -> Iterator[dict[str, Machine]]:
    """Two machines that have joined, with a cluster on each; nothing is left of them afterwards."""
    made = {name: Machine(stack, name) for name in ("second", "third")}
    try:
        wait_until(
            lambda: stack.query(
                "select host_status->'door'->>'address' from worlds_world where slug = 'demo'"
            )[0][0],
            WAIT_S,
            "door",
        )
        address = stack.environment["WAYSTONE_HOSTS_BIND"]
        for machine, cluster in zip(made.values(), ADDRESSES, strict=True):
            code = add_host(stack, machine.name, address)
            add_cluster(stack, cluster, machine.name, ADDRESSES[cluster])
            machine.start("--join", code)
        for machine, cluster in zip(made.values(), ADDRESSES, strict=True):
            machine.says(f"knows us as host {machine.name}")
            wait_until(lambda cluster=cluster: is_alive(stack, cluster), WAIT_S, f"{cluster} lives")
        yield made
    except BaseException:
        for machine in made.values():
            print(machine.logs())  # noqa: T201  (pytest shows it with the failure)
        raise
    finally:
        enable(stack, True, "east", "west")
        for machine in made.values():
            machine.stop()
        for cluster in ("east", "west"):
            wait_until(lambda cluster=cluster: is_alive(stack, cluster), WAIT_S, f"{cluster} is back")
        stack.query("delete from worlds_zonecluster where name = any(%s) returning id", list(ADDRESSES))
        stack.query("delete from worlds_host returning id")


async def back_on(stack: Stack, player: Player, clusters: set[str], zones: int) -> None:
    """Wait until a player is in play again by itself, on one of these clusters."""
    await player.wait_until(
        lambda: (
            player.zones_entered > zones
            and player.snapshot is not None
            and cluster_of(stack, player) in clusters
        ),
        BACK_S,
        f"{player.name} to be back on one of {clusters}",
    )
    await settled(player)
    assert player.link.resumed == 0, "the world link never broke"


async def test_players_go_on_on_other_machines_whatever_dies(
    stack: Stack, machines: dict[str, Machine], introduce: Introduce
) -> None:
    person = await introduce("Alice")
    alice = await person.enter()
    second, third = machines["second"], machines["third"]

    # Rows that are disabled stop here, without a restart of `up`: play goes on on the other machines.
    zones = alice.zones_entered
    enable(stack, False, "east", "west", "north")
    await back_on(stack, alice, {"south"}, zones)
    await alice.wait_until(lambda: stack.pid_of("zonecluster-east") is None, WAIT_S, "east has stopped")

    # Its agent keeps a cluster running while the daemon is dead, and finds the next daemon.
    cluster, daemon = second.pid_of("south"), stack.pid_of("worlddaemon")
    stack.kill("worlddaemon")
    await alice.wait_until(
        lambda: stack.pid_of("worlddaemon") not in (None, daemon), WAIT_S, "the daemon is back"
    )
    await settled(alice)
    await alice.wait_until(
        lambda: second.output.read_text().count("knows us as host") == 2, WAIT_S, "the agent is back"
    )
    assert second.pid_of("south") == cluster and alice.zones_entered == zones + 1

    # A process that hangs is killed by order of the daemon, and started again by its agent.
    zones = alice.zones_entered
    assert cluster is not None
    os.kill(cluster, signal.SIGSTOP)
    await back_on(stack, alice, {"south"}, zones)
    assert second.pid_of("south") not in (None, cluster)
    assert "cluster_hung:south" in open_alarms(stack)

    # kill -9 of the agent: its clusters end with it, and the players go to another machine.
    enable(stack, True, "north")
    await alice.wait_until(lambda: is_alive(stack, "north"), WAIT_S, "north lives")
    zones = alice.zones_entered
    second.kill()
    await back_on(stack, alice, {"north"}, zones)
    second.start()
    await alice.wait_until(lambda: is_alive(stack, "south"), WAIT_S, "south is back with its agent")
    assert third.pid_of("north") is not None
    await reach_other_zone(alice)
    # Whether that was all depends on whether the zone has told a new document since its cluster's death.
    assert (await alice.log_out()).reason


def test_a_cluster_moves_to_another_host(stack: Stack, machines: dict[str, Machine]) -> None:
    second, third = machines["second"], machines["third"]
    move = (
        "update worlds_zonecluster set udp_host = '127.0.0.1',"
        " host_id = (select id from worlds_host where name = 'third') where name = 'south' returning id"
    )
    stack.query(move)
    wait_until(lambda: third.pid_of("south") is not None, WAIT_S, "south runs on the third machine")
    assert second.pid_of("south") is None
    wait_until(lambda: is_alive(stack, "south"), WAIT_S, "south lives there")
    capacities = stack.query(
        "select (status->>'cores')::float > 0, (status->>'memory_mb')::int > 0 from worlds_host"
    )
    assert capacities == [(True, True), (True, True)]


def test_a_second_process_of_a_name_is_told_to_end(stack: Stack, machines: dict[str, Machine]) -> None:
    """Somebody starts a cluster by hand that an agent runs already."""
    by_hand = Machine(stack, "by-hand")
    try:
        by_hand.run("zonecluster", "south")
        assert by_hand.ended() != 0
        by_hand.says("Told to end by the world daemon: Cluster south runs already")
        wait_until(lambda: "cluster_twice:south" in open_alarms(stack), WAIT_S, "the alarm")
        assert machines["third"].pid_of("south") is not None and is_alive(stack, "south")
    finally:
        by_hand.stop()


def test_a_wrong_key_and_a_revoked_one(stack: Stack, machines: dict[str, Machine]) -> None:
    """Mallory has taken another machine's place, by a copy of its files but for the key."""
    second, third = machines["second"], machines["third"]
    mallory = Machine(stack, "mallory")
    try:
        mallory.start("--join", add_host(stack, "mallory", stack.environment["WAYSTONE_HOSTS_BIND"]))
        mallory.says("knows us as host mallory")
        mallory.kill()
        file = mallory.state_dir / "host.json"
        file.write_text(file.read_text().replace('"mallory"', '"second"'))
        mallory.start()
        mallory.says("This is not the key of host second")
        wait_until(lambda: "host_refused:second" in open_alarms(stack), WAIT_S, "the alarm")
        assert "refused" not in second.output.read_text()
    finally:
        mallory.stop()
    stack.query("update worlds_host set public_key = null where name = 'third' returning id")
    third.says("refused by the world daemon")
    wait_until(lambda: third.pid_of("north") is None, WAIT_S, "its clusters end")
    wait_until(lambda: is_silent(stack, "north"), WAIT_S, "nobody hears them")


def test_a_bad_code_says_what_to_do(stack: Stack, machines: dict[str, Machine]) -> None:
    late = Machine(stack, "late")
    try:
        code = add_host(stack, "second", stack.environment["WAYSTONE_HOSTS_BIND"])
        stack.query("update worlds_host set join_until = now() returning id")
        late.start("--join", code)
        assert late.ended() == 1
        late.says("older than an hour")
        late.start("--join", code[:-5])
        assert late.ended() == 1
        late.says("copy the line from the admin again")
        late.start()
        assert late.ended() == 1
        late.says("has not joined a world yet")
    finally:
        late.stop()


def test_a_second_daemon_of_the_world_is_refused(stack: Stack, machines: dict[str, Machine]) -> None:
    daemon = stack.pid_of("worlddaemon")
    twin = Machine(stack, "twin")
    try:
        (twin.state_dir / "keys").mkdir()
        key = (stack.state_dir / "keys" / "world-demo.pem").read_bytes()
        (twin.state_dir / "keys" / "world-demo.pem").write_bytes(key)
        twin.run("worlddaemon")
        assert twin.ended() == 1
        twin.says("Another world daemon of this world is running")
        wait_until(lambda: "two_daemons" in open_alarms(stack), WAIT_S, "the alarm")
        assert stack.pid_of("worlddaemon") == daemon
    finally:
        twin.stop()
