"""What hostile strangers and players cost the others. For `manage.py benchmark attack`.

Each part plays the same players in one run without and with the attack, on loopback only, for a bounded time.
The attacker is a process of its own on the clients' core.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from tests.benchmark.asked_process import ROOT
from tests.benchmark.machine import CannotMeasure, rss_mb
from tests.benchmark.strangers import byte_ratios
from tests.benchmark.zone import Server, Setting, joined, measure, play_window, summary

FORGED_PER_S = 50_000
FLOOD_PER_S = 100_000  # more would take the clients' core from the clients
STALLED, STALLED_OF = 10, 1000
PER_CLIENT = (1, 1000, 2000)
MARGIN_S = 3  # the attack begins before its window, and ends after it
PLAY_S = 8.0  # until memory no longer grows

Tell = Callable[[str], None]
Result = dict[str, Any]


class Attacker:
    """The hostile process, from its first datagram to its last."""

    def __init__(self, kind: str, server: Server, per_s: int, seconds: float, core: int | None) -> None:
        arguments = {
            "kind": kind,
            "port": server.port,
            "per_s": per_s,
            "seconds": seconds,
            "core": core,
            "token": server.tokens[-1].hex(),
        }
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.benchmark.attacker", json.dumps(arguments)],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )

    def wait_until_it_begins(self, meanwhile: Callable[[], None]) -> None:
        """Wait for its first datagram; `meanwhile` is called again and again: the players play on.

        Raises: CannotMeasure: it did not begin.
        """
        assert self._process.stdout is not None
        os.set_blocking(self._process.stdout.fileno(), False)
        while not self._process.stdout.readline():
            if self._process.poll() is not None:
                raise CannotMeasure(f"The attacker ended with {self._process.returncode} before it began.")
            meanwhile()

    def result(self) -> Result:
        """Wait for its end; returns how many datagrams it sent in how many seconds."""
        assert self._process.stdout is not None
        os.set_blocking(self._process.stdout.fileno(), True)
        line = self._process.stdout.readline()
        self._process.wait()
        if not line:
            raise CannotMeasure("The attacker ended without a word.")
        return json.loads(line)

    def stop(self) -> None:
        """End it, if it has not."""
        self._process.kill()
        self._process.wait()


def under_attack(kind: str, per_s: int, players: int, seconds: int, tell: Tell) -> Result:
    """Return the figures of one window without the attack and one with it, of the same players."""
    setting = Setting(players, spare=1, clean_seconds=seconds, most_seconds=seconds)
    with joined(setting, tell) as (server, clients, took):
        run = play_window(setting, server, clients, tell)
        without = summary(setting, server, run, took, clients)
        before = run.report["links"]
        tell("the attack begins")
        attacker = Attacker(kind, server, per_s, seconds + 2 * MARGIN_S, setting.client_core)
        try:
            attacker.wait_until_it_begins(lambda: clients.play(0.02))
            clients.play(1.0)
            run = play_window(setting, server, clients, tell)
            attacked = summary(setting, server, run, took, clients)
            sent = attacker.result()
        finally:
            attacker.stop()
        after = server.ask("report")["links"]
    changed = {name: count - before.get(name, 0) for name, count in after.items()}
    return {
        "test": f"attack-{kind}",
        "name": f"attack-{kind} {players}",
        "n": players,
        "attack_per_s": round(sent["sent"] / sent["seconds"]),
        "without": brief(without),
        "with": brief(attacked),
        "tick_p99_more_ms": round(attacked["server"]["tick"]["p99"] - without["server"]["tick"]["p99"], 2),
        "gap_p99_more_ms": round(attacked["gap"]["p99"] - without["gap"]["p99"], 2),
        "counted": {name: count for name, count in changed.items() if count and name.startswith("drop_")},
    }


def brief(result: Result) -> Result:
    """Return of a run what an attack may change."""
    server = result["server"]
    return {
        "clean": result["clean"],
        "snaps_mean": result["snaps_mean"],
        "snaps_min": result["snaps_min"],
        "gap": result["gap"],
        "tick": server["tick"],
        "work": server["work"],
        "phases_ms": {name: values.get("p50") for name, values in server["phases_ms"].items()},
        "server_cpu": result["server_cpu"],
        "unread": server["unread"],
        "load": {"cpu": result["load"]["cpu"], "limits": result["load"]["limits"]},
    }


def forged_handshakes(players: int, seconds: int, tell: Tell) -> Result:
    """50,000 forged connection requests a second, each from another address."""
    return under_attack("forge", FORGED_PER_S, players, seconds, tell)


def flooding_player(players: int, seconds: int, tell: Tell) -> Result:
    """One player sends 100,000 valid payloads a second."""
    return under_attack("flood", FLOOD_PER_S, players, seconds, tell)


def strangers_bytes(players: int, seconds: int, tell: Tell) -> Result:
    """Bytes out for bytes in, for each kind of datagram that a stranger may send."""
    del players, seconds
    tell("every kind of datagram")
    found = byte_ratios()
    worst = max(found, key=lambda name: found[name]["ratio"])
    return {"test": "attack-strangers", "worst": worst, "ratio": found[worst]["ratio"], "kinds": found}


def stalled_readers(players: int, seconds: int, tell: Tell) -> Result:
    """Ten of 1,000 players never acknowledge what they are sent: memory before and after."""
    del players, seconds
    setting = Setting(STALLED_OF)
    with joined(setting, tell) as (server, clients, _):
        tell("everybody acknowledges")
        clients.play(PLAY_S)
        before = rss_mb(server.pid)
        clients.silent = STALLED
        tell(f"{STALLED} no longer do")
        clients.play(2 * PLAY_S)
        after = rss_mb(server.pid)
    return {
        "test": "attack-stalled",
        "n": STALLED_OF,
        "stalled": STALLED,
        "rss_mb": [round(before, 1), round(after, 1)],
        "more_mb": round(after - before, 1),
    }


def memory_per_client(players: int, seconds: int, tell: Tell) -> Result:
    """Resident memory with 1, 1,000 and 2,000 players in play, each in a process of its own."""
    del players, seconds
    found = {
        count: measure(Setting(count, clean_seconds=1, most_seconds=int(PLAY_S)), tell)["rss_mb"]
        for count in PER_CLIENT
    }
    few, middle, many = (found[count] for count in PER_CLIENT)
    return {
        "test": "memory",
        "rss_mb": found,
        "kb_per_client": round((many - middle) * 1024 / (PER_CLIENT[2] - PER_CLIENT[1]), 1),
        "kb_per_client_from_none": round((many - few) * 1024 / (PER_CLIENT[2] - PER_CLIENT[0]), 1),
    }


PARTS: dict[str, Callable[[int, int, Tell], Result]] = {
    "forged handshakes": forged_handshakes,
    "a flooding player": flooding_player,
    "strangers' bytes": strangers_bytes,
    "stalled readers": stalled_readers,
    "memory per client": memory_per_client,
}


def line(result: Result) -> str:
    """Return one part's result for people."""
    match result["test"]:
        case "attack-strangers":
            return f"at most {result['ratio']} bytes out for one in ({result['worst']})"
        case "attack-stalled":
            return f"{result['stalled']} of {result['n']} stalled: {result['more_mb']} MB more"
        case "memory":
            return f"{result['kb_per_client']} KB for each of 1,000 more; {result['rss_mb']} MB"
    without, attacked = result["without"], result["with"]
    return (
        f"{result['attack_per_s']} datagrams/s against {result['n']} players: tick p99 "
        f"{without['tick']['p99']} ms without, {attacked['tick']['p99']} with; gap p99 "
        f"{without['gap']['p99']} without, {attacked['gap']['p99']} with; "
        f"{attacked['snaps_mean']} snapshots/s; "
        f"{attacked['unread']} datagrams unread; counted {result['counted']}"
    )
