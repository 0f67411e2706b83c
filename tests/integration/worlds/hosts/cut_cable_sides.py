"""The two ends of test_cut_cable.py, each a program in a network namespace of its own: a door, a link to it.

Usage: cut_cable_sides.py daemon|agent FOLDER ADDRESS PORT; waits for a line on its standard input to begin.
"""

import asyncio
import sys
import time
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from waystone.supervisor.host_link import HostLink, LinkDown, OtherMachine
from worlds.daemon.core.hosts import HostHeard, HostLost
from worlds.daemon.host_door import Admitted, Door, Place
from worlds.hosts.certificate import load_or_create_certificate
from worlds.hosts.handshake import Claimed, Identity
from worlds.hosts.messages import ClusterRun, Report, Wanted, Welcome
from worlds.uplink.keys import key_pair

KEY = key_pair(Ed25519PrivateKey.from_private_bytes(b"k" * 32))
REPORT = Report(
    clusters=[ClusterRun(name="east", generation=0, state="ready", run=1)], cores=2.0, memory_mb=4096
)


def say(words: str) -> None:
    """Tell the test."""
    sys.stdout.write(words + "\n")
    sys.stdout.flush()


async def daemon(folder: Path, address: str, port: int) -> None:
    """Run a door; say what is heard there."""

    async def admit(claim: Claimed) -> Admitted:
        assert claim.is_proven(KEY.public_bytes)
        return Admitted(claim.hello.host, KEY.public_bytes)

    def handle(event: HostHeard | HostLost) -> None:
        match event:
            case HostHeard(host, report):
                say(f"heard {host}: {len(report.clusters)} clusters")
            case HostLost(host):
                say(f"lost {host}")

    certificate = load_or_create_certificate(folder / "c.pem", "demo")
    place = Place(folder / "run" / "h.sock", (address, port), certificate)
    door = Door("demo", place, admit, handle, lambda key, text, advice: None)
    running = asyncio.create_task(door.run())
    while not running.done():
        await asyncio.sleep(1.0)
        door.tell("second", Wanted(clusters={"east": 0}))


def agent(folder: Path, address: str, port: int) -> None:
    """Keep a link up; say how it goes."""
    certificate = load_or_create_certificate(folder / "c.pem", "demo")
    identity = Identity("demo", "second", KEY.private.sign)
    link = HostLink(OtherMachine(address, port, certificate.fingerprint), lambda: identity)
    report_at = 0.0
    while True:
        now = time.monotonic()
        for heard in link.step(now):
            if isinstance(heard, Welcome):
                say(f"welcome as {heard.host}")
            elif isinstance(heard, LinkDown):
                say(f"down: {heard.cause}")
        if now >= report_at:
            report_at = now + 1.0
            link.report(REPORT, now)
        time.sleep(0.05)


def main() -> None:
    """Run one side."""
    side, folder, address, port = sys.argv[1], Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
    say("waiting for the network")
    sys.stdin.readline()
    if side == "daemon":
        asyncio.run(daemon(folder, address, port))
    else:
        agent(folder, address, port)


if __name__ == "__main__":
    main()
