"""The demo: a world with content, clusters and a key, and two log-ins. Safe to run again and again.

Used by `manage.py demo`, which leaves out the log-ins where the deployment is a world only.
"""

import os
import secrets
import tomllib
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from allauth.account.models import EmailAddress
from django.db import transaction

from accounts.models import Account, Entitlement
from accounts.rules import Edition
from accounts.services import grant_entitlement, record_audit
from worlds.content.pack import Pack
from worlds.models import ContentPack, World, ZoneCluster
from worlds.services import move_gateway, register_world

STAFF_EMAIL = "staff@waystone.example"
PLAYER_EMAIL = "player@waystone.example"
DEMO_SLUG = "demo"
DEMO_NAME = "Lanternrest"
PASSWORD_BYTES = 15  # 120 bits, 20 characters


class UnusableLogins(ValueError):
    """The file with the demo's log-ins cannot be read or written; the message says what to do."""


@dataclass(frozen=True)
class Login:
    """A demo account. `password` is None where it is not known any more."""

    email: str
    password: str | None
    is_new: bool


def ensure_demo_world(*, slug: str, gateway_url: str, now: datetime, name: str = "") -> World:
    """Register the demo world, or bring its published address up to date."""
    world = World.objects.filter(slug=slug).first()
    if world is None:
        return register_world(
            slug=slug,
            name=name or (DEMO_NAME if slug == DEMO_SLUG else slug.replace("-", " ").title()),
            gateway_url=gateway_url,
            owner=None,
            by=None,
            now=now,
            tier=World.Tier.OFFICIAL,
            tagline="A harbour where no lamp is ever put out.",
            description=(
                "Waystone's own small world: a harbour, the hills above it, and a causeway into the sea. "
                "Eight zones on two clusters; everybody is welcome."
            ),
            motd=f"Welcome to {name or DEMO_NAME}. The moss stair north of the square leads to the hills.",
        )
    move_gateway(world=world, gateway_url=gateway_url, by=None, now=now)
    return world


def keeps_own_content(world: World, pack: Pack) -> bool:
    """Return whether the operator has brought in another pack, which the demo's must not replace."""
    return ContentPack.objects.filter(world=world).exclude(name=pack.name).exists()


def place_clusters(*, world: World, udp_bind: str, public_host: str, port_base: int) -> list[ZoneCluster]:
    """Say where the world's clusters listen.

    Args: port_base: cluster i in the order of names gets port_base + i; 0: ports stay as they are, any free
    one until somebody sets them in the admin.
    """
    clusters = list(ZoneCluster.objects.filter(world=world).order_by("name"))
    for number, cluster in enumerate(clusters):
        port = port_base + number if port_base else cluster.udp_port
        wanted = {"udp_host": udp_bind, "public_host": public_host, "udp_port": port}
        if any(getattr(cluster, field) != value for field, value in wanted.items()):
            for field, value in wanted.items():
                setattr(cluster, field, value)
            cluster.save(update_fields=list(wanted))
    return clusters


def ensure_demo_logins(*, file: Path, now: datetime) -> dict[str, Login]:
    """Create the staff and the player account of the demo, once.

    The passwords are random, and kept in the file (mode 0600) so that later runs can show them. The file is
    written before the accounts: after a crash in between, the next run uses what is in it.

    Raises: UnusableLogins.
    """
    emails = {"staff": STAFF_EMAIL, "player": PLAYER_EMAIL}
    known = set(Account.objects.filter(email__in=emails.values()).values_list("email", flat=True))
    passwords = _read_passwords(file)
    missing = [role for role, email in emails.items() if email not in known]
    if any(role not in passwords for role in missing):
        passwords |= {
            role: secrets.token_urlsafe(PASSWORD_BYTES) for role in missing if role not in passwords
        }
        _write_passwords(file, emails, passwords)
    for role in missing:
        _create_account(emails[role], passwords[role], is_staff=role == "staff", now=now)
    return {role: Login(email, passwords.get(role), role in missing) for role, email in emails.items()}


def _create_account(email: str, password: str, *, is_staff: bool, now: datetime) -> None:
    with transaction.atomic():
        make = Account.objects.create_superuser if is_staff else Account.objects.create_user
        account = make(email, password, date_joined=now)
        known: dict[str, object] = {"primary": True, "verified": True}  # of staff it is there already
        EmailAddress.objects.get_or_create(user=account, email=email, defaults=known)
        record_audit(
            action="demo_account_created", target=str(account.uid), detail={"staff": is_staff}, now=now
        )
        if is_staff:
            grant_entitlement(
                account=account,
                edition=Edition.PREMIUM,
                source=Entitlement.Source.DEMO,
                reference="demo",
                by=None,
                now=now,
            )


def _read_passwords(file: Path) -> dict[str, str]:
    if not file.exists():
        return {}
    try:
        document = tomllib.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise UnusableLogins(
            f"cannot read the demo's log-ins in {file}: {error}; move the file away"
        ) from error
    tables = ((role, document.get(role)) for role in ("staff", "player"))
    return {
        role: str(table["password"])
        for role, table in tables
        if isinstance(table, dict) and "password" in table
    }


def _write_passwords(file: Path, emails: dict[str, str], passwords: dict[str, str]) -> None:
    """Replace the file, whole or not at all, readable by the owner only."""
    lines = ["# The demo's log-ins, made on the first start. A password that you change is not changed here."]
    for role, password in passwords.items():
        lines += ["", f"[{role}]", f'email = "{emails[role]}"', f'password = "{password}"']
    draft = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as out:
            out.write("\n".join(lines) + "\n")
            out.flush()
            os.fsync(out.fileno())
        os.replace(draft, file)
    except OSError as error:
        raise UnusableLogins(f"cannot write the demo's log-ins to {file}: {error.strerror}") from error
