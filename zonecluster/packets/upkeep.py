"""Compiled: what time does to all links at once."""

import numpy as np

from zonecluster.compiled import compiled
from zonecluster.packets.arrivals import ALLOWED_BURST, ALLOWED_PER_S
from zonecluster.packets.table import CONNECTED
from zonecluster.protocol.netcode import wire


@compiled
def end_tick(table):
    """Charge each link with the packets of this tick."""
    for slot in range(table.state.shape[0]):
        table.allowance[slot] -= table.opened[slot]
        table.opened[slot] = 0


@compiled
def look_over(table, silent, due, flooding, now, passed):
    """List links that were silent too long, that are due a keep-alive, or that send more than they may.

    Args: passed: seconds since the last call, for the allowances. silent, due, flooding: (slots,) i8, filled.
    Returns: how many of each.
    """
    silent_count = due_count = flooding_count = np.int64(0)
    for slot in range(table.state.shape[0]):
        if table.state[slot] != CONNECTED:
            continue
        if now >= table.heard_at[slot] + table.timeout[slot]:
            silent[silent_count] = slot
            silent_count += 1
            continue
        if table.allowance[slot] < 0:
            flooding[flooding_count] = slot
            flooding_count += 1
            continue
        table.allowance[slot] = min(ALLOWED_BURST, table.allowance[slot] + passed * ALLOWED_PER_S)
        if now >= table.sent_at[slot] + wire.SEND_INTERVAL_S:
            due[due_count] = slot
            due_count += 1
    return silent_count, due_count, flooding_count
