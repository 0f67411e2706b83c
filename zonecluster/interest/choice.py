"""The choice between both ways to find the nearest, at the start of a cluster."""

from importlib import import_module
from typing import Literal, cast

import structlog

from zonecluster.interest.scene import Interest
from zonecluster.interest.tree import TreeInterest

log = structlog.get_logger(__name__)

Choice = Literal["auto", "batch", "plain"]  # as WAYSTONE_PACKET_PATH: one choice for all compiled code
GRID = "zonecluster.interest.grid"


def open_interest(choice: Choice) -> Interest:
    """Return what finds the nearest on this machine, and say in the log which one it is.

    Args: choice: "auto" takes compiled code where it can run; the others insist.
    Raises: ImportError, RuntimeError or OSError: "batch" was insisted on and cannot run here.
    """
    interest: Interest
    if choice == "plain":
        interest, reason = TreeInterest(), "asked for"
    else:
        try:
            # By name: the import fails only where this is wanted.
            seconds = import_module("zonecluster.compiled").warm_up(GRID)
            interest = cast(Interest, import_module(GRID).GridInterest())
            reason = f"numba is here, compiled code ready in {seconds:.1f} s"
        except (ImportError, RuntimeError, OSError) as error:
            if choice == "batch":
                raise
            interest, reason = TreeInterest(), f"{type(error).__name__}: {error}"
    log.info("interest_chosen", interest=interest.name, reason=reason)
    return interest
