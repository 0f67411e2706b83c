"""Ports: choose a free block on the first start, and say who holds one that is taken. Linux: reads /proc."""

import socket
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

BLOCK_START = 8000
BLOCK_SIZE = 10
BLOCKS = 200
_LISTENING = {"tcp": "0A", "udp": "07"}  # st column of /proc/net/*: LISTEN; an unconnected UDP socket


@dataclass(frozen=True)
class Claim:
    """One port that a process is going to listen on, and the setting that names it."""

    setting: str
    protocol: str  # tcp or udp
    address: str
    port: int


@dataclass(frozen=True)
class Holder:
    """The process that has a port."""

    pid: int
    command: str


class NoFreePorts(Exception):
    """Every block is taken."""


def is_free(claim: Claim) -> bool:
    """Return whether the port could be listened on now."""
    kind = socket.SOCK_STREAM if claim.protocol == "tcp" else socket.SOCK_DGRAM
    family = socket.AF_INET6 if ":" in claim.address else socket.AF_INET
    with socket.socket(family, kind) as probe:
        if claim.protocol == "tcp":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((claim.address, claim.port))
        except OSError:
            return False
    return True


def reserve_block(bind: str) -> tuple[int, socket.socket]:
    """Return the first port of a block that is free, and the socket that reserves it while it is open.

    Two clones that start for the first time together do not choose the same block.
    Raises: NoFreePorts.
    """
    for start in range(BLOCK_START, BLOCK_START + BLOCKS * BLOCK_SIZE, BLOCK_SIZE):
        reservation = _reserve(start)
        if reservation is None:
            continue
        if all(is_free(claim) for claim in _block_claims(start, bind)):
            return start, reservation
        reservation.close()
    raise NoFreePorts(f"no {BLOCK_SIZE} free ports together from {BLOCK_START} on")


def reserve_again(ports: Iterable[int]) -> list[socket.socket]:
    """Reserve the blocks that a clone's own ports are in: between a process's death and its next start its
    port is free, and a first start elsewhere would choose it.

    Returns: the reservations that could be had; settings may put the ports of two clones into one block.
    """
    end = BLOCK_START + BLOCKS * BLOCK_SIZE
    starts = {port - port % BLOCK_SIZE for port in ports if BLOCK_START <= port < end}
    return [held for start in sorted(starts) if (held := _reserve(start)) is not None]


def _reserve(start: int) -> socket.socket | None:
    """Return what holds a block's abstract Unix name, which the kernel gives to one process, and only as long
    as that runs; None if another has it."""
    reservation = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        reservation.bind(f"\0waystone-ports-{start}")
    except OSError:
        reservation.close()
        return None
    return reservation


def _block_claims(start: int, bind: str) -> Iterable[Claim]:
    for port in range(start, start + BLOCK_SIZE):
        for protocol in ("tcp", "udp"):
            yield Claim("", protocol, bind, port)


def find_holder(claim: Claim) -> Holder | None:
    """Return who has the port; None if that cannot be seen (another user's process, or it is gone)."""
    inodes: set[str] = set()
    for table in (claim.protocol, f"{claim.protocol}6"):
        path = Path("/proc/net") / table
        if path.exists():
            inodes |= socket_inodes(path.read_text(), claim.port, _LISTENING[claim.protocol])
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and _has_socket(process, inodes):
            return Holder(int(process.name), _command_line(process))
    return None


def socket_inodes(table: str, port: int, state: str) -> set[str]:
    """Return the inodes of the sockets on a port in the text of /proc/net/tcp, tcp6, udp or udp6."""
    found = set()
    for line in table.splitlines()[1:]:
        columns = line.split()
        if len(columns) > 9 and columns[3] == state and int(columns[1].rpartition(":")[2], 16) == port:
            found.add(columns[9])
    return found


def _has_socket(process: Path, inodes: set[str]) -> bool:
    try:
        return any(
            _link_target(descriptor) in {f"socket:[{inode}]" for inode in inodes}
            for descriptor in (process / "fd").iterdir()
        )
    except OSError:  # another user's process, or one that has just ended
        return False


def _link_target(descriptor: Path) -> str:
    try:
        return str(descriptor.readlink())
    except OSError:
        return ""


def _command_line(process: Path) -> str:
    try:
        return (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return "?"


def taken_message(claim: Claim, env_file: Path) -> str:
    """Return the error for a taken port: which, who has it, and how to change it."""
    holder = find_holder(claim)
    who = f"pid {holder.pid}: {holder.command}" if holder else "a process that this user may not look at"
    what = f"{claim.protocol.upper()} on {claim.address}, {claim.setting}"
    return (
        f"Port {claim.port} ({what}) is taken by {who}.\n"
        f"End that process, or choose another port: a line {claim.setting}=<port> in {env_file}"
    )
