"""The deployment's configuration: read once from the environment and from `<state dir>/waystone.env`.

Standard library only: the bootstrap reads it before anything is installed. The environment wins over
`waystone.env` (written by `manage.py up` on the first start; may be edited), which wins over `embedded.env`
(written at each start: how to reach the embedded servers; not to be edited).
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast
from urllib.parse import urlsplit

from waystone.backup_config import BackupConfig, read_backup_config
from waystone.shop_config import ShopConfig, read_shop_config

ROOT = Path(__file__).resolve().parents[2]


def state_dir() -> Path:
    """Return the folder of everything this clone keeps: databases, keys, logs."""
    return Path(os.environ.get("WAYSTONE_STATE_DIR", ROOT / "var")).resolve()


def read_env_file(path: Path) -> dict[str, str]:
    """Return the `KEY=value` lines of a file; empty if there is none.

    Raises: ValueError: a line that is neither empty, a comment nor KEY=value (names file and line).
    """
    if not path.exists():
        return {}
    values = {}
    for number, line in enumerate(path.read_text().splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        key, equals, value = line.partition("=")
        if not equals or not key.strip().isidentifier():
            raise ValueError(f"{path}:{number}: expected KEY=value, found {line!r}")
        values[key.strip()] = value.strip()
    return values


def host_and_port(name: str, raw: str) -> tuple[str, int] | None:
    """Return what a setting of the form `host:port` or `[IPv6 address]:port` says; None for "off".

    Raises: ValueError: it is of no such form.
    """
    if raw == "off":
        return None
    host, _, port = raw.rpartition(":")
    is_bracketed = host.startswith("[") and host.endswith("]")
    bare = host[1:-1] if is_bracketed else host
    is_port = port.isascii() and port.isdigit() and int(port) <= 65535
    if not bare or not is_port or (":" in bare) != is_bracketed or any(each in bare for each in "[]/@ "):
        raise ValueError(
            f"{name}={raw!r}: use off, or host:port as in 127.0.0.1:9464 or [::1]:9464; port 0 means any free"
        )
    return bare, int(port)


@dataclass(frozen=True)
class Config:
    """What every process of a deployment is told. Paths absolute, ports 1..65535."""

    state_dir: Path
    role: str  # all, master or world
    secret_key: str
    debug: bool
    database_url: str
    redis_url: str
    bind: str
    web_bind: str  # address of the web process; of a world by itself loopback, unless it is set
    web_port: int
    gateway_port: int
    public_url: str  # of the site
    gateway_url: str  # of the world link, ws:// or wss://
    master_url: str  # what the world dials
    postgres_port: int  # of the embedded servers, on 127.0.0.1
    valkey_port: int
    web_workers: int
    log_format: str  # json, console, or empty: console on a terminal, else json
    allowed_hosts: tuple[str, ...]
    world: str  # slug of the world that this deployment runs
    world_name: str  # as the master has it; empty: made from the slug
    world_key_file: Path  # Ed25519 private key, PEM
    journal_dir: Path  # holds a folder for each world that a daemon runs here
    journal_max_bytes: int
    signing_keys_dir: Path  # the master's Ed25519 private keys, PEM, named <kid>.pem
    mail_dir: Path  # where mail is written when no SMTP server is set
    smtp_url: str  # smtp://, smtp+tls:// or smtps://user:password@host:port
    mail_from: str
    staff_mfa: str  # yes, no or auto: whether staff needs a second factor to open the admin
    confirm_email: str  # yes, no or auto: whether one must have confirmed one's address to play
    trusted_proxies: int  # proxies of our own before the web process; 0: X-Forwarded-For is not believed
    udp_bind: str  # address that zone clusters bind
    udp_public_host: str  # address of the zone clusters that players use; empty: the bound one
    packet_path: Literal["auto", "batch", "plain"]  # of zone clusters, see docs/packets.md
    zone_bytes_per_player: int  # bytes of snapshots a second, at most
    process_metrics_bind: tuple[str, int] | None  # of the other processes' /metrics, likewise
    metrics_bind: tuple[str, int] | None  # of zone clusters' /metrics; port 0: any free; None: nowhere
    hosts_bind: (
        tuple[str, int] | None
    )  # where host agents of other machines reach the world daemon; None: not
    hosts_public: str  # host:port that they use; empty: the bound one
    backup: BackupConfig
    shop: ShopConfig
    udp_port_base: int  # cluster i of the demo world, by name, listens on this + i; 0: any free port

    @classmethod
    def load(cls) -> "Config":
        """Read the environment and the file.

        Raises: ValueError: a value that cannot be used, named.
        """
        state = state_dir()
        values = {
            **read_env_file(state / "embedded.env"),
            **read_env_file(state / "waystone.env"),
            **os.environ,
        }

        def text(name: str, default: str) -> str:
            return values.get(name, default)

        def port(name: str, default: int, lowest: int = 1) -> int:
            raw = text(name, str(default))
            if not raw.isdigit() or not lowest <= int(raw) <= 65535:
                raise ValueError(f"{name}={raw!r}: a port is a number from {lowest} to 65535")
            return int(raw)

        def count(name: str, default: int) -> int:
            raw = text(name, str(default))
            if not raw.isdigit():
                raise ValueError(f"{name}={raw!r}: expected a whole number, 0 or more")
            return int(raw)

        bind = text("WAYSTONE_BIND", "127.0.0.1")
        web_port = port("WAYSTONE_WEB_PORT", 8000)
        gateway_port = port("WAYSTONE_GATEWAY_PORT", 8001)
        role = text("WAYSTONE_ROLE", "all")
        if role not in ("all", "master", "world"):
            raise ValueError(f"WAYSTONE_ROLE={role!r}: use all, master or world")
        web_bind = text("WAYSTONE_WEB_BIND", "127.0.0.1" if role == "world" else bind)
        reached_at, web_at = (
            "127.0.0.1" if each in ("0.0.0.0", "::", "") else each for each in (bind, web_bind)
        )
        public_url = text("WAYSTONE_PUBLIC_URL", f"http://{web_at}:{web_port}").rstrip("/")
        address = text("WAYSTONE_PUBLIC_ADDRESS", "")
        world_link_at = (f"[{address}]" if ":" in address else address) or reached_at
        own_hosts = ["127.0.0.1", "localhost", "[::1]", urlsplit(public_url).hostname or "localhost"]
        log_format = text("WAYSTONE_LOG_FORMAT", "")
        if log_format not in ("", "json", "console"):
            raise ValueError(f"WAYSTONE_LOG_FORMAT={log_format!r}: use json or console, or leave it out")
        packet_path = text("WAYSTONE_PACKET_PATH", "auto")
        if packet_path not in ("auto", "batch", "plain"):
            raise ValueError(f"WAYSTONE_PACKET_PATH={packet_path!r}: use auto, batch or plain")
        zone_bytes_per_player = count("WAYSTONE_ZONE_BYTES_PER_PLAYER", 16_000)
        if zone_bytes_per_player < 4_000:
            raise ValueError(
                f"WAYSTONE_ZONE_BYTES_PER_PLAYER={zone_bytes_per_player}: a player needs at least 4000"
            )
        hosts_public = text("WAYSTONE_HOSTS_PUBLIC", "")
        if hosts_public:
            host_and_port("WAYSTONE_HOSTS_PUBLIC", hosts_public)
        world = text("WAYSTONE_WORLD", "demo")
        confirm_email = text("WAYSTONE_CONFIRM_EMAIL", "auto")
        if confirm_email not in ("auto", "yes", "no"):
            raise ValueError(f"WAYSTONE_CONFIRM_EMAIL={confirm_email!r}: use auto, yes or no")
        staff_mfa = text("WAYSTONE_STAFF_MFA", "auto")
        if staff_mfa not in ("auto", "yes", "no"):
            raise ValueError(f"WAYSTONE_STAFF_MFA={staff_mfa!r}: use auto, yes or no")
        return cls(
            state_dir=state,
            role=role,
            secret_key=text("WAYSTONE_SECRET_KEY", ""),
            debug=text("WAYSTONE_DEBUG", "") == "1",
            database_url=text("DATABASE_URL", ""),
            redis_url=text("REDIS_URL", ""),
            bind=bind,
            web_bind=web_bind,
            web_port=web_port,
            gateway_port=gateway_port,
            public_url=public_url,
            gateway_url=text("WAYSTONE_GATEWAY_URL", f"ws://{world_link_at}:{gateway_port}/world-link/"),
            master_url=text("WAYSTONE_MASTER_URL", public_url),
            postgres_port=port("WAYSTONE_POSTGRES_PORT", 8002),
            valkey_port=port("WAYSTONE_VALKEY_PORT", 8003),
            web_workers=max(1, count("WAYSTONE_WEB_WORKERS", 1)),
            log_format=log_format,
            allowed_hosts=tuple(text("WAYSTONE_ALLOWED_HOSTS", ",".join(own_hosts)).split(",")),
            world=world,
            world_name=text("WAYSTONE_WORLD_NAME", ""),
            world_key_file=Path(text("WAYSTONE_WORLD_KEY_FILE", str(state / "keys" / f"world-{world}.pem"))),
            journal_dir=Path(text("WAYSTONE_JOURNAL_DIR", str(state / "journal"))),
            journal_max_bytes=max(64 * 2**20, count("WAYSTONE_JOURNAL_MAX_BYTES", 2**30)),
            signing_keys_dir=Path(text("WAYSTONE_SIGNING_KEYS_DIR", str(state / "keys" / "signing"))),
            mail_dir=Path(text("WAYSTONE_MAIL_DIR", str(state / "mail"))),
            smtp_url=text("WAYSTONE_SMTP_URL", ""),
            staff_mfa=staff_mfa,
            confirm_email=confirm_email,
            mail_from=text("WAYSTONE_MAIL_FROM", "Waystone <waystone@localhost>"),
            trusted_proxies=count("WAYSTONE_TRUSTED_PROXIES", 0),
            udp_bind=text("WAYSTONE_UDP_BIND", bind),
            udp_public_host=text("WAYSTONE_UDP_PUBLIC_HOST", address),
            packet_path=cast(Literal["auto", "batch", "plain"], packet_path),
            zone_bytes_per_player=zone_bytes_per_player,
            process_metrics_bind=host_and_port(
                "WAYSTONE_PROCESS_METRICS_BIND", text("WAYSTONE_PROCESS_METRICS_BIND", "127.0.0.1:0")
            ),
            metrics_bind=host_and_port("WAYSTONE_METRICS_BIND", text("WAYSTONE_METRICS_BIND", "127.0.0.1:0")),
            hosts_bind=host_and_port("WAYSTONE_HOSTS_BIND", text("WAYSTONE_HOSTS_BIND", "off")),
            hosts_public=hosts_public,
            backup=read_backup_config(values, state),
            shop=read_shop_config(values, public_url),
            udp_port_base=port("WAYSTONE_UDP_PORT_BASE", 0, lowest=0),
        )
