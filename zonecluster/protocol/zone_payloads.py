"""Zone link payloads: what rides inside NETCODE payload packets, both ways. Little-endian throughout.

Source: docs/protocol.md, section "Zone link".

Snapshot (server to client), at most 1,150 bytes:
    header, 32 bytes (SNAPSHOT_HEADER), then `count` records of 16 bytes (ENTITY). The first record is the
    player's own entity; the rest are the nearest others, nearest first. `baseline_tick` 0 means complete;
    any other value is reserved for deltas (protocol version 2).

Input (client to server): INPUT_HEADER, then `count` records (INPUT), newest last; older ones repeat what may
have been lost. The server applies those with a `seq` above the last it processed.
"""

import numpy as np

MAX_PAYLOAD_BYTES = 1150
MAX_NEAREST = 64
SNAPSHOT = 1
INPUT = 2
MAX_INPUTS_PER_PACKET = 16

SNAPSHOT_HEADER = np.dtype(
    [
        ("kind", "u1"),  # SNAPSHOT
        ("flags", "u1"),  # bit 0: the player is frozen (a handoff or a save is under way)
        ("count", "<u2"),  # records that follow
        ("tick", "<u4"),  # server tick of this state, 20 a second
        ("baseline_tick", "<u4"),  # 0: complete
        ("input_ack", "<u4"),  # seq of the last input processed for this player
        ("time_ms", "<u8"),  # server's monotonic time of the tick
        ("dilation", "<u2"),  # game seconds per second × 1000 (1000 = full speed)
        ("instance", "<u4"),  # zone instance
        ("corrections", "<u2"),  # how often the server has corrected this player's movement, modulo 2^16
    ]
)
ENTITY = np.dtype(
    [
        ("id", "<u4"),  # row | generation << 16, within the zone instance
        ("x", "<u2"),  # 0..65535 of the zone's size
        ("y", "<u2"),
        ("z", "<i2"),  # 1/64 m
        ("heading", "u1"),  # 0..255 of a turn, 0 = +y, clockwise
        ("speed", "u1"),  # 1/8 m/s
        ("animation", "u1"),  # 0 stand, 1 walk, 2 run, 3 frozen
        ("health", "u1"),  # 0..255 of the maximum
        ("kind", "u1"),  # 0 player, 1 creature
        ("flags", "u1"),  # bit 0: the player has no zone link at the moment
    ]
)
INPUT_HEADER = np.dtype(
    [
        ("kind", "u1"),  # INPUT
        ("count", "u1"),  # 1..16 records that follow
        ("snapshot_ack", "<u4"),  # tick of the newest snapshot the client has
    ]
)
INPUT_RECORD = np.dtype(
    [
        ("seq", "<u4"),  # rises by one for each input
        ("move_x", "i1"),  # wished velocity as a fraction of the top speed, -127..127; longer than 127 is cut
        ("move_y", "i1"),
        ("heading", "u1"),
        ("buttons", "u1"),  # reserved, 0
    ]
)
assert SNAPSHOT_HEADER.itemsize == 32 and ENTITY.itemsize == 16
assert SNAPSHOT_HEADER.itemsize + ENTITY.itemsize * (MAX_NEAREST + 1) <= MAX_PAYLOAD_BYTES
