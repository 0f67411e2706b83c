"""Makes the clone's virtual environment from a hash-pinned lock file, and goes on inside it.

Standard library only. Called by manage.py before anything else. An environment counts as made when its stamp
names the digest of the lock; the stamp is removed before, and written after, anything is changed, so one that
was interrupted is recognised and made anew.
"""

import contextlib
import fcntl
import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = ROOT / ".venv"
RUNTIME_LOCK = ROOT / "requirements" / "runtime.lock"
TEST_LOCK = ROOT / "requirements" / "test.lock"
COMMANDS_OF_TEST_LOCK = ("test", "check-all")
NEEDED_BYTES = 1_500_000_000  # the test environment takes 1.1 GB, pip's temporary files the rest
_PINNED = re.compile(r"^([A-Za-z0-9_.-]+)(?:\[[^\]]*\])?==", re.MULTILINE)
_REASONS = (
    (r"No space left on device", "The disk is full. Make room and start again."),
    (
        r"DO NOT MATCH THE HASHES",
        "A downloaded package is not the one that was locked: a broken download, or a tampered index.",
    ),
    (
        r"name resolution|Name or service not known|Network is unreachable|Failed to establish|ProxyError"
        r"|Max retries|timed out|ConnectionResetError|SSLError|Connection refused",
        "The package index cannot be reached. Check the network (or pip's index settings) and start again.",
    ),
    (
        r"No matching distribution|Could not find a version",
        "The package index has no build of that package for this Python and machine.",
    ),
    (r"Permission denied", "The clone belongs to another user. Start as that user."),
)


class BootstrapError(Exception):
    """The environment cannot be made; the text says why and what to do."""


@dataclass(frozen=True)
class Stamp:
    """What an environment was made from: digests of locks, and the Python."""

    digests: tuple[str, ...]
    python: str

    @classmethod
    def read(cls, environment: Path) -> "Stamp | None":
        """Return the stamp; None if there is none or it cannot be read: the environment is half made."""
        try:
            values = json.loads((environment / "waystone-stamp.json").read_text())
            return cls(tuple(values["digests"]), values["python"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def write(self, environment: Path) -> None:
        """Write the stamp by way of a temporary name."""
        temporary = environment / ".waystone-stamp.json.new"
        temporary.write_text(json.dumps({"digests": self.digests, "python": self.python}))
        temporary.replace(environment / "waystone-stamp.json")


def enter_environment(argv: list[str]) -> None:
    """Return when this process runs in a complete environment; otherwise make it and start again inside.

    `WAYSTONE_NO_BOOTSTRAP=1` trusts the Python that is running (a container that brings its packages).
    """
    if os.environ.get("WAYSTONE_NO_BOOTSTRAP") == "1":
        return
    command = argv[1] if len(argv) > 1 else "help"
    lock = TEST_LOCK if command in COMMANDS_OF_TEST_LOCK else RUNTIME_LOCK
    try:
        if not is_complete(ENVIRONMENT, lock):
            with _only_one(ROOT / ".venv.lock"):
                if not is_complete(ENVIRONMENT, lock):
                    make(ENVIRONMENT, lock)
    except BootstrapError as error:
        sys.exit(f"waystone: {error}")
    except KeyboardInterrupt:
        sys.exit("waystone: interrupted; the next start makes the virtual environment anew.")
    if Path(sys.prefix).resolve() != ENVIRONMENT.resolve():  # it may be a link
        python = str(ENVIRONMENT / "bin" / "python")
        os.execv(python, [python, *argv])


def is_complete(environment: Path, lock: Path) -> bool:
    """Return whether the environment was made from this lock (or one that contains it) and still starts."""
    stamp = Stamp.read(environment)
    return (
        stamp is not None
        and digest(lock) in stamp.digests
        and stamp.python == python_of_stamp()
        and (environment / "bin" / "python").exists()
    )


def digest(lock: Path) -> str:
    """Return the SHA-256 of a lock file, in hex.

    Raises: BootstrapError: there is no such file.
    """
    try:
        return hashlib.sha256(lock.read_bytes()).hexdigest()
    except OSError as error:
        raise BootstrapError(f"{lock} cannot be read ({error.strerror}): the clone is not whole.") from error


def python_of_stamp() -> str:
    """Return what must stay the same for an environment to be usable: the Python's version."""
    return f"{sys.implementation.name}-{sys.version_info.major}.{sys.version_info.minor}"


def make(environment: Path, lock: Path) -> None:
    """Make the environment, or bring a complete one to another lock.

    Raises: BootstrapError: it failed; what is there now has no stamp and will be made anew.
    """
    python = environment / "bin" / "python"
    stamp = Stamp.read(environment)
    try:
        if stamp is None or stamp.python != python_of_stamp() or not python.exists():
            _check_disk(environment)
            _say(f"making the virtual environment {environment.name} (once; some minutes with downloads)")
            _remove(environment)
            _create(environment)
        else:
            (environment / "waystone-stamp.json").unlink()
            _say(f"the packages changed ({lock.name}); installing")
        _install(python, lock)
    except OSError as error:
        raise BootstrapError(f"{environment} cannot be made: {explain(str(error))}") from error
    # test.lock contains runtime.lock, pin by pin (a test keeps that true)
    locks = (lock, RUNTIME_LOCK) if lock == TEST_LOCK else (lock,)
    Stamp(tuple(digest(each) for each in locks), python_of_stamp()).write(environment)


def explain(text: str) -> str:
    """Return what to do about a failure of pip or of the file system, with its own last words."""
    words = "\n".join(line for line in text.strip().splitlines()[-8:])
    for pattern, reason in _REASONS:
        if re.search(pattern, text, re.IGNORECASE):
            return f"{reason}\n{words}"
    return words


def _check_disk(environment: Path) -> None:
    free = shutil.disk_usage(environment.parent).free
    if free < NEEDED_BYTES:
        raise BootstrapError(
            f"{environment.parent} has {free / 1e9:.1f} GB left; the virtual environment needs up to "
            f"{NEEDED_BYTES / 1e9:.1f} GB. Make room and start again."
        )


def _remove(environment: Path) -> None:
    if environment.is_symlink() or environment.is_file():
        raise BootstrapError(f"{environment} is not a folder. Move it away and start again.")
    if environment.exists():
        shutil.rmtree(environment)


def _base_python() -> str:
    """Return the Python outside of any virtual environment: the one whose pip can install into ours."""
    return getattr(sys, "_base_executable", None) or sys.executable


def _has_pip() -> bool:
    done = subprocess.run(
        [_base_python(), "-m", "pip", "--version"], capture_output=True, text=True, check=False
    )
    found = re.match(r"pip (\d+)\.(\d+)", done.stdout)
    return found is not None and (int(found[1]), int(found[2])) >= (22, 3)  # the first with --python


def _create(environment: Path) -> None:
    """Make an empty environment; with a pip of its own only if the Python outside has none."""
    if importlib.util.find_spec("venv") is None:
        raise BootstrapError(
            "This Python lacks the module venv. Install it (Debian: apt-get install python3-venv)."
        )
    without_pip = _has_pip()
    if not without_pip and importlib.util.find_spec("ensurepip") is None:
        raise BootstrapError(
            "This Python has neither pip 22.3 or newer nor ensurepip. "
            "Install one (Debian: apt-get install python3-pip) and start again."
        )
    options = ["--without-pip"] if without_pip else []
    argv = [_base_python(), "-m", "venv", *options, str(environment)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BootstrapError(f"venv failed: {explain(done.stdout + done.stderr)}")


def _install(python: Path, lock: Path) -> None:
    """Install a lock with pip, showing which package it is at."""
    own_pip = any((python.parents[1] / "lib").glob("python3*/site-packages/pip"))
    pip = [str(python), "-m", "pip"] if own_pip else [_base_python(), "-m", "pip", "--python", str(python)]
    argv = [*pip, "install", "--require-hashes", "--disable-pip-version-check", "--no-input"]
    argv += ["--progress-bar", "off", "--requirement", str(lock)]
    total = len(_PINNED.findall(lock.read_text()))
    lines: list[str] = []
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        seen = 0
        for line in process.stdout:
            lines.append(line)
            if line.startswith(("Collecting ", "Requirement already satisfied: ")):
                seen += 1
                _show_progress(seen, total, line.removeprefix("Requirement already satisfied: "))
            elif line.startswith("Installing collected packages"):
                _say(f"unpacking {total} packages")
    if process.returncode != 0:
        raise BootstrapError(f"pip could not install {lock.name}. {explain(''.join(lines))}")
    _say("packages installed")


def _show_progress(seen: int, total: int, line: str) -> None:
    """Show one moving line on a terminal, every tenth package elsewhere."""
    name = line.removeprefix("Collecting ").split(" ")[0].strip()
    if sys.stderr.isatty():
        print(f"\r\033[Kwaystone: package {seen} of {total}: {name}", end="", file=sys.stderr, flush=True)  # noqa: T201
        if seen == total:
            print(file=sys.stderr)  # noqa: T201
    elif seen % 10 == 0 or seen == total:
        _say(f"package {seen} of {total}: {name}")


def _say(text: str) -> None:
    print(f"waystone: {text}", file=sys.stderr, flush=True)  # noqa: T201  (no logging library yet)


@contextlib.contextmanager
def _only_one(path: Path) -> Iterator[None]:
    """Hold a lock file, so that two starts do not make one environment together."""
    try:
        file = path.open("w")
    except OSError as error:
        raise BootstrapError(
            f"{path.parent} cannot be written ({error.strerror}). Start as the user that owns the clone."
        ) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say("another start is making the virtual environment; waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
