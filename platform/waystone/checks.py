"""`manage.py test` and `manage.py check-all`: everything that a commit has to pass."""

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

from waystone.advisories import FOUND
from waystone.advisories import main as audit_dependencies

ROOT = Path(__file__).resolve().parents[2]
TYPED_PACKAGES = ("waystone", "accounts", "worlds", "characters", "zonecluster", "waystone_client")
MAX_PROCESSES = 4  # of pytest: each starts a PostgreSQL and a Valkey, and compiles
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
BROWSER_PACKAGES = ("chromium", "fonts-dejavu-core", "fonts-noto-color-emoji")


def test(arguments: list[str]) -> int:
    """Run pytest with these arguments; without any, everything, on all cores, with the browser's Chromium."""
    if not arguments and not _have_browser():
        return 2
    return _run("tests", [sys.executable, "-m", "pytest", *(arguments or _on_all_cores())])


def _on_all_cores() -> list[str]:
    """Return what has several processes share the tests (tests/order.py), each with servers of its own.

    One more than there are cores: the one with the running platform waits most of its time.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    processes = min(cores + 1, MAX_PROCESSES)
    return ["-n", str(processes), "--dist", "loadscope", "--no-loadscope-reorder", "--durations", "25"]


def check_all(arguments: list[str]) -> int:
    """Run every check and the tests; arguments go to pytest. Returns 0 only if all passed."""
    parser = argparse.ArgumentParser(
        prog="manage.py check-all",
        description="ruff, format, mypy, import law, tests. The rest goes to pytest.",
    )
    parser.add_argument("--without-tests", action="store_true", help="only what runs nothing of the project")
    parser.add_argument(
        "--audit", action="store_true", help="also ask the package index for known weaknesses"
    )
    options, rest = parser.parse_known_args(arguments)
    failed = [name for name, argv in static_checks() if _run(name, argv) != 0]
    if options.audit and _audit() == FOUND:  # an index that is away says nothing about us
        failed.append("audit")
    if not options.without_tests and test(rest) != 0:
        failed.append("tests")
    print(f"failed: {', '.join(failed)}" if failed else "all checks passed")  # noqa: T201
    return 1 if failed else 0


def static_checks() -> list[tuple[str, list[str]]]:
    """Return name and command line of each check that runs nothing of the project."""
    binaries = Path(sys.executable).parent
    return [
        ("ruff", [str(binaries / "ruff"), "check", "."]),
        ("format", [str(binaries / "ruff"), "format", "--check", "."]),
        ("mypy", [sys.executable, "-m", "mypy", *(part for p in TYPED_PACKAGES for part in ("-p", p))]),
        ("import law", [str(binaries / "lint-imports")]),
    ]


def _audit() -> int:
    print("--- audit", flush=True)  # noqa: T201
    return audit_dependencies([])


def _run(name: str, argv: list[str]) -> int:
    print(f"--- {name}", flush=True)  # noqa: T201
    paths = [str(ROOT / part) for part in ("platform", "clients/python", ".")]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "MYPYPATH": os.pathsep.join(paths)}
    env.pop("DJANGO_SETTINGS_MODULE", None)  # tests/conftest.py chooses the servers before settings are read
    return subprocess.run(argv, cwd=ROOT, env=env, check=False).returncode


def _have_browser() -> bool:
    """Return whether Chromium is there; as root on Debian, install it."""
    if any(map(shutil.which, BROWSERS)):
        return True
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        print(  # noqa: T201
            "The browser tests need Chromium, which is not installed. As root: apt-get update && "
            f"apt-get install {' '.join(BROWSER_PACKAGES)}\nWithout it: manage.py test -m 'not browser'",
            file=sys.stderr,
        )
        return False
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for argv in (
        ["apt-get", "update", "-q"],
        ["apt-get", "install", "-q", "-y", "--no-install-recommends", *BROWSER_PACKAGES],
    ):
        print(f"--- {' '.join(argv)}", flush=True)  # noqa: T201
        if subprocess.run(argv, env=environment, check=False).returncode != 0:
            print("Chromium could not be installed; the lines above say why.", file=sys.stderr)  # noqa: T201
            return False
    return True
