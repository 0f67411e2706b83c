"""Hosts in the database: join codes, keys, who is let in, revocation. Sync; used by the door and the
admin."""

from datetime import datetime, timedelta
from secrets import token_bytes

import structlog
from django.db import transaction

from accounts.models import Account
from accounts.services import record_audit
from worlds.hosts.handshake import Claimed, HostRefused, JoinCode, digest_of, is_signed
from worlds.hosts.messages import SECRET_BYTES
from worlds.models import Host, World

log = structlog.get_logger(__name__)

CODE_LIFETIME = timedelta(hours=1)
JOIN_AGAIN = (
    "Make a join code on the host's page in the admin, and start the agent once with --join and the code."
)


class NoDoor(ValueError):
    """Agents cannot come: the message says what to set."""


def admit(*, world: str, claim: Claimed, now: datetime) -> tuple[str, bytes]:
    """Return name and key of the host whose agent this is; a join code is used up by it.

    Raises: HostRefused; World.DoesNotExist.
    """
    if claim.hello.join is not None:
        return _join(world, claim, now)
    row = Host.objects.filter(world__slug=world, name=claim.hello.host).first()
    if row is None:
        raise HostRefused(f"This world has no host {claim.hello.host}.", JOIN_AGAIN)
    if row.public_key is None:
        raise HostRefused(f"Host {row.name} has no key: it has not joined, or it was revoked.", JOIN_AGAIN)
    if not claim.is_proven(bytes(row.public_key)):
        raise HostRefused(f"This is not the key of host {row.name}.", JOIN_AGAIN, row.name)
    return row.name, bytes(row.public_key)


def _join(world: str, claim: Claimed, now: datetime) -> tuple[str, bytes]:
    key, secret = claim.hello.public_key, claim.hello.join
    if key is None or secret is None or not is_signed(key, claim.text, claim.signature):
        raise HostRefused("The agent does not have the key that it names.", JOIN_AGAIN)
    open_codes = Host.objects.filter(world__slug=world, join_digest=digest_of(secret), join_until__gt=now)
    with transaction.atomic():
        row = open_codes.select_for_update().first()
        if row is None:
            raise HostRefused("This join code is not known, used up, or older than an hour.", JOIN_AGAIN)
        row.public_key, row.join_digest, row.join_until = key, None, None
        row.save(update_fields=["public_key", "join_digest", "join_until"])
        detail: dict[str, object] = {"key": key.hex(), "world": world}
        record_audit(action="host_joined", account=None, target=f"{world}/{row.name}", detail=detail, now=now)
    log.info("host_joined", world=world, host=row.name, key=key.hex())
    return row.name, key


def door_of(world: World) -> tuple[str, bytes]:
    """Return address and fingerprint of the door of a world's daemon, as it has written them down. Raises:
    NoDoor."""
    door = world.host_status.get("door") or {}
    address, fingerprint = door.get("address", ""), door.get("fingerprint", "")
    if not address or len(fingerprint) != 64:
        raise NoDoor(
            "The world daemon takes no agents of other machines. Set WAYSTONE_HOSTS_BIND to an address and "
            "port that they "
            "reach (and WAYSTONE_HOSTS_PUBLIC, if they reach it by another), and restart the world daemon."
        )
    return address, bytes.fromhex(fingerprint)


def make_join_code(*, host: Host, reason: str, by: Account | None, now: datetime) -> JoinCode:
    """Return a code by which an agent joins as this host, once, within an hour; an older one is void.

    Until it is used, the key that the host has stays good. Raises: NoDoor.
    """
    address, fingerprint = door_of(host.world)
    code = JoinCode(host.world.slug, address, fingerprint, token_bytes(SECRET_BYTES))
    host.join_digest, host.join_until = digest_of(code.secret), now + CODE_LIFETIME
    with transaction.atomic():
        host.save(update_fields=["join_digest", "join_until"])
        until = host.join_until.isoformat()
        detail: dict[str, object] = {"reason": reason, "world": host.world.slug, "until": until}
        record_audit(
            action="host_join_code_made",
            account=by,
            target=f"{host.world.slug}/{host.name}",
            detail=detail,
            now=now,
        )
    return code


def revoke(*, host: Host, reason: str, by: Account | None, now: datetime) -> bool:
    """Take a host's key and join code away: within 15 s its agent is put out, and its clusters end.

    Returns: whether it had any.
    """
    with transaction.atomic():
        row = Host.objects.select_for_update().get(pk=host.pk)
        if row.public_key is None and row.join_digest is None:
            return False
        row.public_key = row.join_digest = row.join_until = None
        row.save(update_fields=["public_key", "join_digest", "join_until"])
        detail: dict[str, object] = {"reason": reason, "world": host.world.slug}
        record_audit(
            action="host_revoked", account=by, target=f"{host.world.slug}/{host.name}", detail=detail, now=now
        )
    log.warning("host_revoked", world=host.world.slug, host=host.name)
    return True
