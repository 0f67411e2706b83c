"""Zone link payloads: what rides inside NETCODE payload packets, both ways. Little-endian throughout.

Source: docs/protocol.md, section "Zone link".

Snapshot (server to client), at most 1,150 bytes: SNAPSHOT_HEADER, the player's own ENTITY, the mask of
changed places of the view, a change for each of them. Read by snapshot_view.py, written by
zonecluster/snapshots/.

Input (client to server): INPUT_HEADER, then `count` records (INPUT_RECORD), newest last; older ones repeat
what may have been lost.
"""

import numpy as np

MAX_PAYLOAD_BYTES = 1150
MAX_NEAREST = 64  # places of a view
MAX_BASELINE_TICKS = 32  # a snapshot builds on one of less than so many ticks ago, or on nothing
SNAPSHOT = 1
INPUT = 2
MAX_INPUTS_PER_PACKET = 16

SNAPSHOT_HEADER = np.dtype(
    [
        ("kind", "u1"),  # SNAPSHOT
        ("flags", "u1"),  # bit 0: the player is frozen (a handoff or a save is under way)
        ("slots", "u1"),  # places of the view, 0..64; the mask has a bit for each
        (
            "input_lead",
            "i1",
        ),  # newest input received minus the one in play: the client steers its clock by it
        ("tick", "<u4"),  # server tick of this state, 20 a second
        ("baseline_tick", "<u4"),  # of the snapshot whose view this one changes; 0: of the empty view
        ("input_ack", "<u4"),  # client tick that the own state belongs to
        ("time_ms", "<u8"),  # server's monotonic time of the tick
        ("dilation", "<u2"),  # game seconds per second × 1000 (1000 = full speed)
        ("instance", "<u4"),  # zone instance
        ("corrections", "<u2"),  # how often the server has corrected this player's movement, modulo 2^16
        ("top_speed", "<u2"),  # own, now, with effects, 1/256 m/s
    ]
)
FROZEN_FLAG = 0x01  # of SNAPSHOT_HEADER.flags

ENTITY = np.dtype(
    [
        ("id", "<u4"),  # local row | generation << 16, within the zone instance; never 0
        ("x", "<u2"),  # 0..65535 of the zone's size
        ("y", "<u2"),
        ("z", "<i2"),  # 1/64 m
        ("heading", "u1"),  # 0..255 of a turn, 0 = +y, clockwise
        ("speed", "u1"),  # 1/8 m/s
        ("animation", "u1"),  # 0 stand, 1 walk, 2 run, 3 frozen, 4 cast
        ("health", "u1"),  # 0..255 of the maximum
        ("effects", "u1"),  # bit set of the spell effects that can be seen on it
        ("kind_flags", "u1"),  # KIND_BITS, NO_ZONE_LINK
    ]
)
KIND_BITS = 0x0F  # of ENTITY.kind_flags: 0 player, 1 creature, 2 item, 3 chest, 4 vendor
NO_ZONE_LINK = 0x10  # of ENTITY.kind_flags: the player has no zone link at the moment

# The first byte of a change: what it brings. One of the three ways to tell a position, then single fields.
MOVED_BYTES = 1  # i8 dx, i8 dy
MOVED_12_BITS = 2  # dx, dy of 12 bits each, signed, dx in the low ones of 3 bytes
MOVED_TO = 3  # u16 x, u16 y
POSITION_BITS = 3
Z_CHANGED, HEADING_CHANGED, SPEED_CHANGED, ANIMATION_CHANGED = 0x04, 0x08, 0x10, 0x20
STATUS_CHANGED = 0x40  # health, effects, kind_flags
LEFT = 0x80  # the place is empty now
WHOLE = 0xFF  # an ENTITY follows

INPUT_HEADER = np.dtype(
    [
        ("kind", "u1"),  # INPUT
        ("count", "u1"),  # 1..16 records that follow
        ("snapshot_ack", "<u4"),  # tick of the newest snapshot the client has decoded; 0: none
    ]
)
INPUT_RECORD = np.dtype(
    [
        ("seq", "<u4"),  # client tick from which on this is wished
        ("move_x", "i1"),  # wished velocity as a fraction of the top speed, -127..127; longer than 127 is cut
        ("move_y", "i1"),
        ("heading", "u1"),
        ("buttons", "u1"),  # reserved, 0
    ]
)
assert SNAPSHOT_HEADER.itemsize == 34 and ENTITY.itemsize == 16
LEAST_SNAPSHOT_BYTES = SNAPSHOT_HEADER.itemsize + ENTITY.itemsize
assert LEAST_SNAPSHOT_BYTES + MAX_NEAREST // 8 + MAX_NEAREST * (1 + ENTITY.itemsize) <= MAX_PAYLOAD_BYTES
