"""Compiled or plain: one choice for packets, interest and snapshots, made at the start of a cluster.

The setting is WAYSTONE_PACKET_PATH; docs/packets.md tells what runs where. Importing this needs no numba.
"""

from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Literal, TypeVar

Choice = Literal["auto", "batch", "plain"]

_Way = TypeVar("_Way")


def choose_way(
    choice: Choice, part: str, compiled: Callable[[ModuleType], _Way], plain: Callable[[], _Way]
) -> tuple[_Way, str]:
    """Return what `compiled` makes of the module `part`, or else what `plain` makes, and why it is that one.

    Args: choice: "auto" takes compiled code where it can run; the others insist.
    Raises: ImportError, RuntimeError or OSError: "batch" was insisted on and cannot run here.
    """
    if choice == "plain":
        return plain(), "asked for"
    try:
        # By name: the import needs numba, and fails where it is not.
        seconds = import_module("zonecluster.compiled").warm_up(part)
        return compiled(import_module(part)), f"numba is here, compiled code ready in {seconds:.1f} s"
    except (ImportError, RuntimeError, OSError) as error:
        if choice == "batch":
            raise
        return plain(), f"{type(error).__name__}: {error}"
