"""After a restore of the master: who has which valuable is counted anew, from the heads that came back.

The backup's owners are from before what worlds gave back. Where one half of what happened is lost with its
world, a thing may be in two main documents; it stays in the newer one, the older gets a version without it.
Or it is in a letter and in a document written since: then the letter was emptied, and counts as taken.
"""

from collections import defaultdict
from collections.abc import Collection
from datetime import datetime
from uuid import UUID

import structlog
from django.db import DatabaseError, transaction
from django.db.models import Value
from django.db.models.functions import Coalesce

from characters.lines import Entry, append_version
from characters.models import Letter, Line, Valuable, ValuableEvent, Version
from characters.valuable_rules import GONE, Holding, Owner, kinds_of, recounted, unpacked, without
from characters.valuables import as_text
from zonecluster.protocol.character import InvalidState, decode_state, encode_state

log = structlog.get_logger(__name__)

Scope = int | None  # world by primary key; None: main


def recount_owners(now: datetime) -> int:
    """Bring the owners of all valuables in line with heads and letters; inside a transaction, nobody writes.

    Returns: how many main lines had to give something up.
    """
    holdings, rows = _holdings(), _rows()
    given_up = 0
    for scope in sorted(holdings.keys() | rows.keys(), key=str):
        before = {thing: Owner(line=row.line_id, letter=row.letter_id) for thing, row in rows[scope].items()}
        owners, lost = recounted(holdings[scope], before, is_main=scope is None)
        for loser, things in sorted(lost.items(), key=str):
            if loser.line is not None:
                _give_up(loser.line, things, now)
                given_up += 1
            elif loser.letter is not None:
                _empty(loser.letter, things, now)
        for thing, owner in owners.items():
            if before.get(thing) != owner:
                _set_alone(scope, thing, rows[scope].get(thing), owner, now)
    return given_up


def _holdings() -> dict[Scope, list[Holding]]:
    found: dict[Scope, list[Holding]] = defaultdict(list)
    lines = Line.objects.exclude(valuables=b"").values_list("world", "id", "updated_at", "valuables")
    for scope, line, at, valuables in lines.iterator():
        found[scope].append(Holding(Owner(line=line), at, unpacked(bytes(valuables))))
    lying = Letter.objects.filter(taken_at=None, discarded_at=None).exclude(items=[])
    for scope, letter, at, items in lying.values_list("world", "id", "posted_at", "items").iterator():
        things = {UUID(item["id"]) for item in items if item.get("id")}
        found[scope].append(Holding(Owner(letter=letter), at, things))
    return found


def _rows() -> dict[Scope, dict[UUID, Valuable]]:
    rows: dict[Scope, dict[UUID, Valuable]] = defaultdict(dict)
    for row in Valuable.objects.iterator():
        rows[row.world_id][row.thing] = row
    return rows


def _give_up(line_id: UUID, things: Collection[UUID], now: datetime) -> None:
    line = Line.objects.select_for_update(no_key=True).get(pk=line_id)
    Line.objects.filter(pk=line_id).update(holder=None, lease_until=None)
    state = encode_state(without(decode_state(bytes(line.state)), things))
    append_version(line=line, entry=Entry(Version.Kind.RESTORE, state, None), now=now)
    log.warning("valuables_given_up", line=str(line_id), things=sorted(map(str, things)))


def _empty(letter_id: UUID, things: Collection[UUID], now: datetime) -> None:
    """Note that what lay in a letter was taken: a newer head has a thing of it, the taking is lost.

    The exchange is not known; the letter's own id stands for it, which no exchange has.
    """
    lying = Letter.objects.filter(pk=letter_id, taken_at=None)
    lying.update(taken_at=now, taken_exchange=letter_id, read_at=Coalesce("read_at", Value(now)))
    log.warning("letter_found_empty", letter=str(letter_id), things=sorted(map(str, things)))


def _set_alone(scope: Scope, thing: UUID, row: Valuable | None, owner: Owner, now: datetime) -> None:
    """Bring one owner in line; what is wrong with one thing must not keep the master out of service."""
    try:
        with transaction.atomic():
            _set(scope, thing, row, owner, now)
    except (DatabaseError, InvalidState):
        log.exception("valuable_not_counted", thing=str(thing), line=str(owner.line))


def _set(scope: Scope, thing: UUID, row: Valuable | None, owner: Owner, now: datetime) -> None:
    row = row or Valuable(thing=thing, world_id=scope, kind=as_text(_kind_of(thing, owner)))
    row.line_id, row.letter_id = owner.line, owner.letter
    row.save()
    kind = ValuableEvent.Kind.GONE if owner == GONE else ValuableEvent.Kind.RESTORED
    ValuableEvent.objects.create(valuable=row, at=now, kind=kind, line_id=owner.line)


def _kind_of(thing: UUID, owner: Owner) -> str:
    """Return the kind of a thing of which the backup knows nothing."""
    if owner.line is not None:
        return kinds_of(decode_state(bytes(Line.objects.get(pk=owner.line).state)))[thing]
    assert owner.letter is not None  # what nobody has is known from before
    items = Letter.objects.get(pk=owner.letter).items
    return next(item["kind"] for item in items if item.get("id") == str(thing))
