"""The deployment's own files: waystone.env, made and completed on a start, and embedded.env."""

import os
import secrets
import socket
from collections.abc import Mapping
from pathlib import Path

from waystone.config import read_env_file
from waystone.supervisor.ports import reserve_again, reserve_block

HEADER = """\
# Settings of this clone. The environment wins over this file. All settings: docs/operating.md
# Written by `manage.py up` on the first start; a line that is missing is added again.
"""
# Offsets of the ports in the block of ten that a first start chooses.
PORT_OFFSETS = {
    "WAYSTONE_WEB_PORT": 0,
    "WAYSTONE_GATEWAY_PORT": 1,
    "WAYSTONE_POSTGRES_PORT": 2,
    "WAYSTONE_VALKEY_PORT": 3,
    "WAYSTONE_UDP_PORT_BASE": 4,  # and those after it, one for each zone cluster
}


def complete_env_file(path: Path, environment: Mapping[str, str]) -> list[socket.socket]:
    """Add what neither the file nor the environment says: a secret key, and free ports.

    Returns: the reservations of the blocks that the ports are in; keep them open as long as this clone runs.
    Raises: ValueError: the file has a line that cannot be read. NoFreePorts.
    """
    known = {**read_env_file(path), **environment}
    added: dict[str, str] = {}
    if not known.get("WAYSTONE_SECRET_KEY"):
        added["WAYSTONE_SECRET_KEY"] = secrets.token_urlsafe(48)
    reservations: list[socket.socket] = []
    missing = [name for name in PORT_OFFSETS if name not in known]
    if missing:
        start, chosen = reserve_block(known.get("WAYSTONE_BIND", "127.0.0.1"))
        reservations.append(chosen)
        added.update({name: str(start + PORT_OFFSETS[name]) for name in missing})
    if added:
        before = path.read_text() if path.exists() else HEADER
        lines = [f"{name}={value}" for name, value in added.items()]
        write_private(path, before.rstrip("\n") + "\n" + "\n".join(lines) + "\n")
    ports = [known[name] for name in PORT_OFFSETS if name in known]
    return reservations + reserve_again(int(port) for port in ports if port.isdecimal())


def write_private(path: Path, text: str) -> None:
    """Write a 0600 file by way of a temporary name."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    temporary.replace(path)
