"""How hot code is compiled by numba, where the result is kept, and how it is made before anybody plays.

Not here: the compiled functions themselves; they are in the packages of PARTS. Importing this raises
ImportError where numba is missing; who imports it decides what runs instead. docs/packets.md, "The compiled
code".
"""

import fcntl
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

import llvmlite.binding
import numba
from numba import config, njit
from numba.core.errors import NumbaError

HERE = Path(__file__).resolve().parent
# Modules with compiled code. Each has `warm_up()`, which calls each function once, as a cluster will call it.
PARTS = (
    "zonecluster.packets.batch_path",
    "zonecluster.interest.grid",
    "zonecluster.snapshots.encode_compiled",
    "zonecluster.documents.compiled_check",
)
# Constants that compiled code has built in, besides those of its own package.
SHARED = (
    *("compiled.py", "protocol/zone_payloads.py"),
    *("protocol/netcode/wire.py", "protocol/netcode/drops.py"),  # the order of drops is that of counters
    *("protocol/canonical.py", "protocol/character.py"),
)
BESIDE = HERE / "__pycache__" / "numba"  # where nobody named a place (scripts without the settings)
UNUSED_DAYS = 7
# _nrt=False: no reference counting. Nothing compiled here makes or keeps an array, and counting references to
# those handed in was half of the time. A numba that no longer knows the option refuses it, and the plain way
# runs.
OPTIONS = {"cache": True, "nogil": True, "boundscheck": False, "_nrt": False}

_Function = TypeVar("_Function", bound=Callable[..., Any])


class CannotCompile(RuntimeError):
    """numba is here, but does not compile our code or cannot keep it; the text says why."""


def compiled(function: _Function) -> _Function:
    """Compile a function at its first call, or load what an earlier process compiled.

    numba looks only at the age of the function's own file: a function that was changed, but is built into one
    of another file, would stay there as it was. So each state of the whole package has a folder of its own.
    Raises: CannotCompile: this numba does not take our options, or there is no place to keep the result.
    """
    package = Path(sys.modules[function.__module__].__file__ or "").resolve().parent
    before = config.CACHE_DIR
    config.CACHE_DIR = str(_writable(cache_folder(Path(before or BESIDE), package)))
    try:
        return njit(**OPTIONS)(function)
    except (NumbaError, KeyError, RuntimeError) as error:  # RuntimeError: nowhere to keep it
        raise CannotCompile(f"{function.__module__} cannot be compiled: {error}") from error
    finally:
        config.CACHE_DIR = before


def cache_folder(root: Path, package: Path) -> Path:
    """Return the folder for compiled code of a package as it is now."""
    return root / f"{package.name}-{_state_of(package)}"


def _writable(folder: Path) -> Path:
    """Return the folder, made. numba itself would turn to one that does not tell states of a package apart.

    Raises: CannotCompile: it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CannotCompile(f"no place for compiled code: {folder}: {error.strerror}") from error
    if not os.access(folder, os.W_OK):
        raise CannotCompile(f"no place for compiled code: {folder} cannot be written")
    return folder


@cache
def _state_of(package: Path) -> str:
    digest = sha256()
    for path in sorted({*package.glob("*.py"), *(HERE / name for name in SHARED)}):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def warm_up(*parts: str) -> float:
    """Compile or load parts, by themselves all of them, one process at a time; returns the seconds it took.

    Raises: ImportError, RuntimeError or OSError: this machine cannot run compiled code; the text says why.
    """
    began = time.monotonic()
    with _alone():
        for name in parts or PARTS:
            try:
                import_module(name).warm_up()
            except (NumbaError, KeyError) as error:  # KeyError: an option that this numba does not know
                raise CannotCompile(f"numba does not compile {name}: {error}") from error
        _forget_unused()
        if not parts:
            _mark_warm()
    return time.monotonic() - began


def is_warm() -> bool:
    """Return whether all parts, as they are now, were compiled for this numba on this kind of machine."""
    return bool(config.CACHE_DIR) and _stamp().exists()


def _mark_warm() -> None:
    if config.CACHE_DIR:
        for other in Path(config.CACHE_DIR).glob("warm-*"):
            other.unlink(missing_ok=True)
        _stamp().touch()


def _stamp() -> Path:
    """Return the file whose being there says that nothing is left to compile."""
    states = [_state_of(HERE / name.split(".")[1]) for name in PARTS]
    processor = f"{config.CPU_NAME}{llvmlite.binding.get_host_cpu_name()}"
    digest = sha256("\0".join([*states, numba.__version__, sys.version, processor]).encode())
    return Path(config.CACHE_DIR) / f"warm-{digest.hexdigest()[:16]}"


@contextmanager
def _alone() -> Iterator[None]:
    """Hold the cache's lock: of two clusters that start together one compiles, the other loads."""
    if not config.CACHE_DIR:
        yield
        return
    root = _writable(Path(config.CACHE_DIR))
    with (root / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # given up by the kernel when this process ends, however it ends
        yield


def _forget_unused() -> None:
    """Remove compiled code of other states of the sources that no process has loaded for days."""
    if not config.CACHE_DIR:
        return
    root, now = Path(config.CACHE_DIR), time.time()
    for folder in root.glob("*-" + "[0-9a-f]" * 16):
        package = HERE / folder.name.rpartition("-")[0]
        if folder == cache_folder(root, package):
            os.utime(folder)
        elif now - folder.stat().st_mtime > UNUSED_DAYS * 86400:
            shutil.rmtree(folder, ignore_errors=True)  # another process may be removing it too
