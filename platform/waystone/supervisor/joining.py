"""`manage.py up --world …`: makes this folder the machine of one world, before anything is started.

Its state directory is its own (`worlds/<slug>` in the state directory of the clone), with its own database,
key and settings, so that it runs beside a master in the same clone. The key is made here and never leaves.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from waystone.config import read_env_file, state_dir
from waystone.supervisor.environment import HEADER, write_private
from waystone.supervisor.preparation import CannotStart
from worlds.uplink.joining import JOIN_PATH, BadLine, Join, Joined, JoinLine, parse_line
from worlds.uplink.keys import KeyPair, UnusableKey, load_key, load_or_create_world_key, write_key
from worlds.uplink.messages import Refusal
from worlds.uplink.proof import sign_request
from zonecluster.protocol.unreadable import UNREADABLE

TIMEOUT_S = 15.0
MAX_ANSWER_BYTES = 64 * 1024
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class Wanted:
    """What the operator asked for. `address`: by which players come; empty: as the master sees it."""

    line: JoinLine
    address: str = ""
    with_new_key: bool = False


def settle(raw: str, address: str, *, with_new_key: bool, environment: Mapping[str, str]) -> str:
    """Choose the world's state directory, and join the master if that has not been done.

    Returns: what was done, in a line for the screen.
    Raises: CannotStart.
    """
    try:
        line = parse_line(raw)
    except BadLine as error:
        raise CannotStart(str(error)) from error
    folder = choose_state_dir(line.slug, environment)
    os.environ["WAYSTONE_STATE_DIR"] = str(folder)
    return join(Wanted(line, address.strip(), with_new_key), folder)


def choose_state_dir(slug: str, environment: Mapping[str, str]) -> Path:
    """Return the state directory of a world: the one that is set, or one of its own below the clone's."""
    if environment.get("WAYSTONE_STATE_DIR"):
        return Path(environment["WAYSTONE_STATE_DIR"]).resolve()
    return state_dir() / "worlds" / slug


def join(wanted: Wanted, folder: Path) -> str:
    """Make the folder the world's, by asking the master; one that is it already is left as it is.

    Raises: CannotStart.
    """
    env_file = folder / "waystone.env"
    known = _settings(env_file, wanted.line.slug)
    if not wanted.line.code:
        if not known.get("WAYSTONE_MASTER_URL"):
            raise CannotStart(
                f"The world {wanted.line.slug} has not been set up on this machine ({folder}). "
                "Copy the whole command from its set-up page on the website."
            )
        return f"{wanted.line.slug} is a world of {known['WAYSTONE_MASTER_URL']}"
    folder.mkdir(mode=0o711 if os.geteuid() == 0 else 0o700, parents=True, exist_ok=True)
    key_file = Path(known.get("WAYSTONE_WORLD_KEY_FILE", folder / "keys" / f"world-{wanted.line.slug}.pem"))
    fresh = key_file.with_suffix(".new.pem")
    try:
        key = _new_key(fresh) if wanted.with_new_key else load_or_create_world_key(key_file)
    except UnusableKey as error:
        raise CannotStart(str(error)) from error
    joined = ask_master(wanted.line, key)
    if wanted.with_new_key:
        _put_in_place(fresh, key_file)
    write_settings(env_file, known, settings_for(wanted, joined))
    return f"joined {wanted.line.master_url} as {joined.name} ({joined.slug})"


def _settings(env_file: Path, slug: str) -> dict[str, str]:
    """Return what the folder's settings file says. Raises: CannotStart: it is another deployment's."""
    try:
        known = read_env_file(env_file)
    except ValueError as error:
        raise CannotStart(str(error)) from error
    if known and (known.get("WAYSTONE_ROLE"), known.get("WAYSTONE_WORLD")) != ("world", slug):
        raise CannotStart(
            f"{env_file.parent} is the folder of another deployment. Leave WAYSTONE_STATE_DIR out, or set it "
            f"to a folder for {slug} alone."
        )
    return known


def _new_key(fresh: Path) -> KeyPair:
    """Return a key to replace the one in use; one that was made before and not joined by is taken again."""
    if not fresh.exists():
        write_key(fresh, Ed25519PrivateKey.generate())
    return load_key(fresh)


def _put_in_place(fresh: Path, key_file: Path) -> None:
    """Take the new key into use. The old one is kept beside it until the operator has revoked it."""
    if key_file.exists():
        key_file.replace(key_file.with_suffix(".old.pem"))
    fresh.replace(key_file)


def ask_master(line: JoinLine, key: KeyPair) -> Joined:
    """Prove to the master that this machine holds the key, and by the code that it is to be the world's.

    Raises: CannotStart: it cannot be reached, or it refuses.
    """
    body = msgspec.json.encode(Join(line.slug, line.code, key.public_bytes))
    proof = sign_request(key, line.slug, "POST", JOIN_PATH, body, datetime.now(UTC))
    headers = {"Authorization": f"Bearer {proof}", "Content-Type": "application/json"}
    try:
        answer = httpx.post(line.master_url + JOIN_PATH, content=body, headers=headers, timeout=TIMEOUT_S)
    except httpx.HTTPError as error:
        raise CannotStart(
            f"{line.master_url} cannot be reached from here: {str(error) or type(error).__name__}. "
            "Is this machine online, and is the address right? Nothing was changed."
        ) from error
    try:
        if answer.is_success:
            return msgspec.json.decode(answer.content[:MAX_ANSWER_BYTES], type=Joined)
        refusal = msgspec.json.decode(answer.content[:MAX_ANSWER_BYTES], type=Refusal)
    except UNREADABLE as error:
        raise CannotStart(
            f"{line.master_url} answered with something else than Waystone does (HTTP {answer.status_code})."
        ) from error
    raise CannotStart(f"{line.master_url} does not let this machine be {line.slug}: {refusal.detail}")


def settings_for(wanted: Wanted, joined: Joined) -> dict[str, str]:
    """Return the settings that make a deployment this world's machine.

    Where master and world are on one machine, all stays on loopback; else gateway and zone clusters listen on
    all addresses, and players are told the one that the operator gave or the master saw.
    """
    is_same_machine = urlsplit(wanted.line.master_url).hostname in _LOOPBACK
    address = wanted.address or ("127.0.0.1" if is_same_machine else joined.address)
    return {
        "WAYSTONE_ROLE": "world",
        "WAYSTONE_WORLD": joined.slug,
        "WAYSTONE_WORLD_NAME": joined.name,
        "WAYSTONE_MASTER_URL": wanted.line.master_url,
        "WAYSTONE_BIND": "127.0.0.1" if is_same_machine and not wanted.address else "0.0.0.0",
        "WAYSTONE_PUBLIC_ADDRESS": address,
    }


def write_settings(env_file: Path, known: Mapping[str, str], wanted: Mapping[str, str]) -> None:
    """Write what is missing into the settings file, and which master it is now; what was edited stays."""
    lines = (env_file.read_text() if env_file.exists() else HEADER).rstrip("\n").splitlines()
    replaced = {"WAYSTONE_MASTER_URL", "WAYSTONE_WORLD_NAME"}
    lines = [line for line in lines if line.partition("=")[0].strip() not in replaced]
    new = {name: value for name, value in wanted.items() if name not in known or name in replaced}
    lines += [f"{name}={value}" for name, value in new.items()]
    write_private(env_file, "\n".join(lines) + "\n")
