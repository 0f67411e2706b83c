"""Merkle trees: one hash stands for all leaves of a batch; each leaf shows by itself that it is one of them.

Pure. Leaf and node are hashed apart, so that a node cannot be passed off as a leaf; an odd one goes up as it
is.

Source: RFC 6962, section 2.1; the side of each step is written out, so that neither index nor size is needed.
"""

from collections.abc import Sequence
from hashlib import sha256

STEP_BYTES = 33  # 0: the other one is on the left, 1: on the right; and its hash
MAX_STEPS = 16  # a batch of 65,536 leaves
LEFT, RIGHT = b"\0", b"\1"


class BadPath(ValueError):
    """A path that leads nowhere; the message says why."""


def leaf_hash(leaf: bytes) -> bytes:
    """Return the hash of one leaf (32 bytes)."""
    return sha256(b"\0" + leaf).digest()


def tree(leaves: Sequence[bytes]) -> tuple[bytes, list[bytes]]:
    """Return the root of at least one leaf (32 bytes), and each leaf's path to it (33 bytes a step)."""
    level = [leaf_hash(leaf) for leaf in leaves]
    under = [[number] for number in range(len(leaves))]  # the leaves under each node of the level
    steps: list[list[bytes]] = [[] for _ in leaves]
    while len(level) > 1:
        above, above_under = [], []
        for at in range(0, len(level) - 1, 2):
            left, right = level[at], level[at + 1]
            for number in under[at]:
                steps[number].append(RIGHT + right)
            for number in under[at + 1]:
                steps[number].append(LEFT + left)
            above.append(sha256(b"\1" + left + right).digest())
            above_under.append(under[at] + under[at + 1])
        if len(level) % 2:
            above.append(level[-1])
            above_under.append(under[-1])
        level, under = above, above_under
    return level[0], [b"".join(path) for path in steps]


def climb(leaf: bytes, path: bytes) -> bytes:
    """Return the root to which a leaf's path leads.

    Raises: BadPath: its length or a step's side is wrong.
    """
    if len(path) % STEP_BYTES or len(path) > MAX_STEPS * STEP_BYTES:
        raise BadPath(f"a path of {len(path)} bytes")
    found = leaf_hash(leaf)
    for at in range(0, len(path), STEP_BYTES):
        side, other = path[at : at + 1], path[at + 1 : at + STEP_BYTES]
        if side not in (LEFT, RIGHT):
            raise BadPath("a step that goes neither left nor right")
        found = sha256(b"\1" + (other + found if side == LEFT else found + other)).digest()
    return found
