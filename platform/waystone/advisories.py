"""`manage.py audit-dependencies`: are there known weaknesses in the releases that the lock files name?

Two sources. By itself it asks the package index that pip is set to, release by release: indexes that know of
advisories tell them in the JSON of a release (`vulnerabilities`). With --advisories FOLDER it asks nobody,
and reads files of the OSV schema (a copy of an advisory database): for machines without a way out.

Everything read is a stranger's: bounded, and of any form. Exit codes: 0 nothing is known, 1 something is,
3 some releases could not be looked up (and of the others nothing is known).
"""

import argparse
import ast
import json
import re
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import yaml
from packaging.version import InvalidVersion, Version

from waystone.config import ROOT

LOCKS = ("runtime.lock", "test.lock")
MAX_BYTES = 8 * 1024 * 1024  # of one answer or file
AT_ONCE = 8
TIMEOUT_S = 15.0
FOUND, UNASKED = 1, 3  # exit codes
_PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;\\]+)", re.MULTILINE)
_DEFAULT = re.compile(r"--index-url.*?\(default\s+(\S+?)\)", re.DOTALL)

Releases = dict[str, str]  # name as indexes write it → version


class CannotAsk(Exception):
    """A release could not be looked up; the message says why."""


@dataclass(frozen=True, order=True)
class Advisory:
    """A known weakness of one of our releases."""

    package: str
    version: str
    id: str
    fixed_in: str
    summary: str

    def __str__(self) -> str:
        mended = f", mended in {self.fixed_in}" if self.fixed_in else ", not mended yet"
        return _plain(f"{self.package} {self.version}: {self.id}{mended}. {self.summary}")


def normal(name: str) -> str:
    """Return a package's name as indexes write it. Source: PEP 503."""
    return re.sub(r"[-_.]+", "-", name).lower()


def releases_in(lock: str) -> Releases:
    """Return the releases that the text of a lock file pins."""
    return {normal(name): version for name, version in _PIN.findall(lock)}


def told_by_index(package: str, version: str, document: Any) -> list[Advisory]:
    """Return the advisories in the JSON of a release. Raises: CannotAsk: it is of another form."""
    if not isinstance(document, dict) or not isinstance(document.get("vulnerabilities"), list):
        raise CannotAsk(f"{package} {version}: this index tells no advisories")
    return [
        Advisory(package, version, _text(entry.get("id")), _words(entry.get("fixed_in")), _summary(entry))
        for entry in document["vulnerabilities"]
        if isinstance(entry, dict) and not entry.get("withdrawn")
    ]


def told_by_osv(releases: Mapping[str, str], document: Any) -> list[Advisory]:
    """Return the advisories that a file of the OSV schema tells of our releases.

    Source: the Open Source Vulnerability schema 1.6, "affected" and "ranges".
    """
    if not isinstance(document, dict) or document.get("withdrawn"):
        return []
    found = []
    for affected in _list(document.get("affected")):
        package = affected.get("package") if isinstance(affected, dict) else None
        if not isinstance(package, dict) or package.get("ecosystem") != "PyPI":
            continue
        name = normal(_text(package.get("name")))
        version = releases.get(name)
        if version is not None and _is_affected(version, affected):
            fixed = _words(event.get("fixed") for event in _events(affected) if event.get("fixed"))
            found.append(Advisory(name, version, _text(document.get("id")), fixed, _summary(document)))
    return found


def _is_affected(version: str, affected: Mapping[str, Any]) -> bool:
    if version in [str(one) for one in _list(affected.get("versions"))]:
        return True
    try:
        own = Version(version)
        return any(_is_in_range(own, _list(span.get("events"))) for span in _spans(affected))
    except InvalidVersion:
        return False


def _is_in_range(own: Version, events: list[Any]) -> bool:
    """Return whether a version is between an `introduced` and the `fixed` or `last_affected` after it."""
    is_in = False
    turns = [turn for event in events if isinstance(event, dict) for turn in event.items()]
    for at, kind in sorted((Version(str(value)), kind) for kind, value in turns):
        if kind == "introduced" and own >= at:
            is_in = True
        elif (kind == "fixed" and own >= at) or (kind == "last_affected" and own > at):
            is_in = False
    return is_in


def _spans(affected: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    spans = (one for one in _list(affected.get("ranges")) if isinstance(one, dict))
    return (one for one in spans if one.get("type") == "ECOSYSTEM")


def _events(affected: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    return (
        event for span in _spans(affected) for event in _list(span.get("events")) if isinstance(event, dict)
    )


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: Any) -> str:
    return str(value)[:200] if value else ""


def _words(values: Any) -> str:
    return ", ".join(sorted({_text(value) for value in values})) if values else ""


def _summary(entry: Mapping[str, Any]) -> str:
    text = _text(entry.get("summary") or entry.get("details"))
    return text.split("\n")[0]


def _plain(text: str) -> str:
    """Return a stranger's text without what would steer a terminal."""
    return "".join(sign if sign.isprintable() else " " for sign in text)


def index_of(pip_config: str, pip_help: str) -> tuple[str, str]:
    """Return the index's address (without /simple) and the file of certificates that pip is set to, or "".

    Args: pip_config: what `pip config list` says; pip_help: what `pip install --help` says, for its default.
    Raises: CannotAsk: there is no index that can be asked.
    """
    told = {}
    for line in pip_config.splitlines():
        name, equals, value = line.partition("=")
        if equals:
            told[name] = str(ast.literal_eval(value))
    by_default = _DEFAULT.search(" ".join(pip_help.split()))
    address = _setting(told, "index-url") or (by_default.group(1) if by_default else "")
    if urlsplit(address).scheme not in ("http", "https"):
        raise CannotAsk("pip is set to no index that can be asked over HTTP")
    return address.rstrip("/").removesuffix("/simple"), _setting(told, "cert")


def _setting(told: Mapping[str, str], name: str) -> str:
    sections = (":env:", "install", "global")  # the first that says it counts, as with pip
    return next((told[f"{one}.{name}"] for one in sections if f"{one}.{name}" in told), "")


def asker(index: str, certificates: str) -> Callable[[str, str], Any]:
    """Return a function that fetches the JSON of a release. It raises CannotAsk."""
    trusted = ssl.create_default_context(cafile=certificates or None)
    client = httpx.Client(verify=trusted, timeout=TIMEOUT_S)

    def ask(package: str, version: str) -> Any:
        try:
            with client.stream("GET", f"{index}/pypi/{package}/{version}/json") as answer:
                if answer.status_code != 200:
                    raise CannotAsk(f"{package} {version}: the index answered {answer.status_code}")
                body = bytearray()
                for piece in answer.iter_bytes():
                    body += piece
                    if len(body) > MAX_BYTES:
                        raise CannotAsk(f"{package} {version}: the answer has more than {MAX_BYTES} bytes")
            return json.loads(body)
        except (httpx.HTTPError, ValueError, RecursionError) as error:
            raise CannotAsk(f"{package} {version}: {type(error).__name__}: {error}") from error

    return ask


def audit_by_index(
    releases: Releases, ask: Callable[[str, str], Any], say: Callable[[str], None]
) -> tuple[list[Advisory], list[str]]:
    """Ask for each release, several at once. Returns: what is known, and what could not be looked up.

    When the first AT_ONCE releases could none of them be looked up, the others are not tried.
    """
    found: list[Advisory] = []
    failed: list[str] = []
    waiting = sorted(releases.items())
    with ThreadPoolExecutor(AT_ONCE) as askers:
        while waiting and (len(failed) < AT_ONCE or len(failed) < len(releases) - len(waiting)):
            batch, waiting = waiting[:AT_ONCE], waiting[AT_ONCE:]
            asked = {askers.submit(ask, *release): release for release in batch}
            for done in as_completed(asked):
                try:
                    found += told_by_index(*asked[done], done.result())
                except CannotAsk as error:
                    failed.append(_plain(str(error)))
            say(f"{len(releases) - len(waiting)} of {len(releases)} releases")
    failed += [f"{name} {version}: not asked" for name, version in waiting]
    return sorted(found), failed


def audit_by_folder(releases: Releases, folder: Path) -> tuple[list[Advisory], list[str], int]:
    """Read all files of the OSV schema below a folder. Returns: known, unreadable files, number read."""
    found: list[Advisory] = []
    failed: list[str] = []
    read = 0
    for path in sorted(folder.rglob("*")):
        if path.suffix not in (".json", ".yaml") or not path.is_file():
            continue
        try:
            if path.stat().st_size > MAX_BYTES:
                raise ValueError("larger than any advisory")
            text = path.read_text("utf-8")
            document = json.loads(text) if path.suffix == ".json" else yaml.load(text, _SAFE)  # noqa: S506
            found += told_by_osv(releases, document)
            read += 1
        except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
            failed.append(
                _plain(f"{path}: {str(error).splitlines()[0] if str(error) else type(error).__name__}")
            )
    return sorted(set(found)), failed, read


_SAFE = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the same in C: a database has thousands of files


def main(arguments: list[str]) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(prog="manage.py audit-dependencies", description=__doc__)
    parser.add_argument("--advisories", type=Path, help="read files of the OSV schema here, and ask nobody")
    parser.add_argument("only", nargs="*", help="look up these packages only")
    options = parser.parse_args(arguments)
    releases: Releases = {}
    for name in LOCKS:
        releases |= releases_in((ROOT / "requirements" / name).read_text())
    if options.only:
        releases = {name: releases[name] for name in map(normal, options.only) if name in releases}
    try:
        found, failed = _look(releases, options.advisories)
    except CannotAsk as error:
        found, failed = [], [str(error)]
    for advisory in found:
        _say(str(advisory))
    for reason in failed:
        _say(f"not looked up: {reason}")
    _say(f"{len(found)} known weaknesses in {len(releases)} releases; {len(failed)} could not be looked up.")
    return FOUND if found else UNASKED if failed else 0


def _look(releases: Releases, folder: Path | None) -> tuple[list[Advisory], list[str]]:
    if folder is not None:
        if not folder.is_dir():
            raise CannotAsk(f"{folder} is no folder")
        found, failed, read = audit_by_folder(releases, folder)
        _say(f"{read} advisories were read: what is newer than this copy is not known to it.")
        return found, failed if read else [*failed, f"{folder} holds no advisories"]
    index, certificates = index_of(_pip("config", "list"), _pip("install", "--help"))
    _say(f"Asking {urlsplit(index).hostname} about {len(releases)} releases.")
    return audit_by_index(releases, asker(index, certificates), _say)


def _pip(*arguments: str) -> str:
    argv = [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments]
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise CannotAsk(f"pip does not say to which index it is set: {error}") from error
    return done.stdout


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201
