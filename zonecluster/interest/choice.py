"""The choice between both ways to find the nearest, at the start of a cluster."""

from typing import cast

import structlog

from zonecluster.hot_code import Choice, choose_way
from zonecluster.interest.scene import Interest
from zonecluster.interest.tree import TreeInterest

log = structlog.get_logger(__name__)

GRID = "zonecluster.interest.grid"


def open_interest(choice: Choice) -> Interest:
    """Return what finds the nearest on this machine, and say in the log which one it is.

    Args: choice: "auto" takes compiled code where it can run; the others insist.
    Raises: ImportError, RuntimeError or OSError: "batch" was insisted on and cannot run here.
    """
    interest, reason = choose_way(
        choice, GRID, lambda grid: cast(Interest, grid.GridInterest()), lambda: cast(Interest, TreeInterest())
    )
    log.info("interest_chosen", interest=interest.name, reason=reason)
    return interest
