"""Documents checked by compiled code. Importing this raises ImportError where numba is missing."""

import sys

import msgspec
import numpy as np

from zonecluster.documents import kernels
from zonecluster.protocol.canonical import Checked, are_canonical_places
from zonecluster.protocol.character import MAX_STATE_BYTES, CharacterState, encode_state

if sys.byteorder != "little":
    raise ImportError("the compiled check reads ids as words: little-endian machines only")


def check(data: bytes | msgspec.Raw) -> Checked | None:
    """Return the document if it is canonical as it is, and plain; None: not sure.

    Safe among threads: each call has its own place for what it finds.
    """
    # Always read-only: for arrays that are not, everything would be compiled once more, for seconds.
    octets = np.frombuffer(memoryview(data).toreadonly(), np.uint8)
    if len(octets) > MAX_STATE_BYTES:
        return None
    found = np.empty(kernels.FOUND_WORDS, np.uint64)
    if not kernels.walk(octets, found):
        return None
    ids, begin, end = found[: kernels.FIRST_ID].tolist()
    # What a float is written as only the encoder knows.
    state = bytes(data)
    if not are_canonical_places(state[begin:end]):
        return None
    return Checked(state, found[kernels.FIRST_ID : kernels.FIRST_ID + 2 * ids].tobytes())


def warm_up() -> None:
    """Compile everything, or load what an earlier process compiled, by the smallest document."""
    check(encode_state(CharacterState()))
