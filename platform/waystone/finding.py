"""The admin's search over everything: one box, and what staff may see of it, kind by kind.

Every kind is asked once, for at most SHOWN rows and PATIENCE_MS: a kind that takes longer is named, so that
nobody takes "found nothing" for "there is nothing".
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any
from uuid import UUID

from allauth.account.models import EmailAddress
from allauth.usersessions.models import UserSession
from django.db import OperationalError, connection, transaction
from django.db.models import Model, Q, QuerySet

from accounts.models import Account, AuditRecord, Entitlement, GiftCode, Payment
from characters.models import Character, Line, Valuable, Version
from worlds.models import Alarm, Pseudonym, Ticket, World, WorldKey, Zone

SHOWN = 8  # rows of a kind; the rest is behind its list
PATIENCE_MS = 2_000
LONGEST = 100  # characters of a question; addresses are shorter


@dataclass(frozen=True)
class Kind:
    """What can be found: of which model, and how a word is looked for. None: not by such a word."""

    title: str
    model: type[Model]
    by_text: Callable[[str], Q | None]
    by_uuid: Callable[[UUID], Q | None] = lambda _: None
    with_rows: Sequence[str] = ()  # select_related
    without: Sequence[str] = ()  # defer: large columns


@dataclass(frozen=True)
class Found:
    """What was found of a kind. `has_more`: more than is shown; `is_slow`: it was not looked through."""

    kind: Kind
    rows: list[Any]
    has_more: bool = False
    is_slow: bool = False


def _has(*fields: str) -> Callable[[str], Q]:
    """Return a look for a word anywhere in these fields, whatever its case."""

    def look(text: str) -> Q:
        wanted = Q()
        for field in fields:
            wanted |= Q(**{f"{field}__icontains": text})
        return wanted

    return look


def _is(*fields: str) -> Callable[[UUID], Q]:
    """Return a look for exactly this value in these fields."""

    def look(value: UUID) -> Q:
        wanted = Q()
        for field in fields:
            wanted |= Q(**{field: value})
        return wanted

    return look


def _never(text: str) -> None:
    return None


def _payment(text: str) -> Q:
    """Look for the number on a receipt, the provider's id, or an address."""
    wanted = Q(intent=text) | Q(recipient_email__icontains=text) | Q(buyer__email__icontains=text)
    digits = text.upper().removeprefix("W-")
    if digits.isascii() and digits.isdigit() and len(digits) < 19:
        wanted |= Q(pk=int(digits))
    return wanted


def _address(text: str) -> Q | None:
    """Look for an IP address; a word that is none is not looked for."""
    try:
        return Q(ip=str(ip_address(text)))
    except ValueError:
        return None


KINDS = (
    Kind("Accounts", Account, _has("email"), _is("uid")),
    Kind("Other e-mail addresses", EmailAddress, lambda text: Q(email__icontains=text, primary=False)),
    Kind("Characters", Character, _has("name"), _is("pk"), ("account",)),
    Kind("Lines", Line, _never, _is("pk"), ("character",), ("state",)),
    Kind("Versions", Version, _never, _is("op_id"), ("line__character",), ("state", "line__state")),
    Kind("Valuables", Valuable, _never, _is("pk")),
    Kind("Worlds", World, _has("name", "slug", "tagline"), without=("report",)),
    Kind("Zones", Zone, _has("name", "slug"), with_rows=("world",)),
    Kind("Keys", WorldKey, lambda text: Q(kid__istartswith=text) if len(text) > 5 else None),
    Kind("Payments", Payment, _payment, _is("token")),
    Kind("Entitlements", Entitlement, _has("reference"), with_rows=("account",)),
    Kind("Gift codes", GiftCode, _has("note"), _is("uid")),
    Kind("Tickets", Ticket, _never, _is("jti"), ("account", "world")),
    Kind("Pseudonyms", Pseudonym, _never, _is("value"), ("account", "world")),
    Kind("Sessions", UserSession, _address, with_rows=("user",)),
    Kind("Alarms", Alarm, _has("text")),
    Kind("Audit record", AuditRecord, _has("target", "action"), lambda uid: Q(target=str(uid))),
)


def find(text: str, may: Callable[[str], bool]) -> list[Found]:
    """Look for a word in everything that the caller may view.

    Args: text: as typed; of LONGEST characters at most. may: of permission names, as `user.has_perm`.
    """
    text = "".join(sign for sign in text if sign.isprintable()).strip()[:LONGEST]
    if len(text) < 2:
        return []
    uid = _uuid(text)
    found = []
    for kind in KINDS:
        meta = kind.model._meta
        wanted = kind.by_text(text) if uid is None else kind.by_uuid(uid)
        if wanted is not None and may(f"{meta.app_label}.view_{meta.model_name}"):
            found.append(_look(kind, wanted))
    return [each for each in found if each.rows or each.is_slow]


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _look(kind: Kind, wanted: Q) -> Found:
    rows: QuerySet[Any] = kind.model._default_manager.filter(wanted)
    if kind.with_rows:
        rows = rows.select_related(*kind.with_rows)
    if kind.without:
        rows = rows.defer(*kind.without)
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL statement_timeout = {PATIENCE_MS}")
            some = list(rows.order_by("-pk")[: SHOWN + 1])
            cursor.execute("SET LOCAL statement_timeout = DEFAULT")
    except OperationalError as error:
        if "statement timeout" not in str(error):
            raise
        return Found(kind, [], is_slow=True)
    return Found(kind, some[:SHOWN], has_more=len(some) > SHOWN)
