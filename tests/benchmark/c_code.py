"""The C code that benchmarks compare with: compiled when they start, loaded into this process."""

import ctypes
import shutil
import subprocess
from pathlib import Path

import numpy as np

from tests.benchmark.machine import CannotMeasure
from zonecluster.packets import mmsg
from zonecluster.packets.sodium import sodium_path
from zonecluster.packets.table import LinkTable
from zonecluster.protocol.netcode import PROTOCOL_ID
from zonecluster.protocol.netcode.wire import VERSION_INFO

FLAGS = ("-O3", "-march=native", "-shared", "-fPIC")


def compile_c(folder: Path, source: Path, *flags: str) -> ctypes.CDLL:
    """Compile a source that has, or includes, packets_loop.c, and return it.

    Raises: CannotMeasure: no C compiler, or it failed.
    """
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise CannotMeasure("There is no C compiler to compare with. Install one (apt-get install gcc).")
    library = folder / f"{source.stem}.so"
    command = [compiler, *FLAGS, *flags, "-o", str(library), str(source), "-ldl", "-lm"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CannotMeasure(f"{compiler} cannot compile {source.name}: {done.stderr.strip()[-400:]}")
    loaded = ctypes.CDLL(str(library))
    loaded.make.restype = ctypes.c_void_p
    return loaded


def make_loop(library: ctypes.CDLL, slots: int) -> ctypes.c_void_p:
    """Return the C packet loop, with room for so many links.

    Raises: CannotMeasure: it cannot load libsodium.
    """
    head = VERSION_INFO + PROTOCOL_ID.to_bytes(8, "little")
    loop = ctypes.c_void_p(library.make(sodium_path().encode(), head, slots))
    if not loop:
        raise CannotMeasure(f"The C loop cannot load {sodium_path()}.")
    return loop


def add_links(library: ctypes.CDLL, loop: ctypes.c_void_p, table: LinkTable, slots: np.ndarray) -> None:
    """Give the C loop the links that a batch path has connected; the path must not use them any more."""
    for slot in slots.tolist():
        library.add(
            loop,
            slot,
            mmsg.address_words(mmsg.address_of(table.addresses[slot]))[0].tobytes(),
            table.receive_keys[slot].tobytes(),
            table.send_keys[slot].tobytes(),
            ctypes.c_uint64(int(table.next_sequence[slot])),
        )
