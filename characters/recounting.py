"""After a restore of the master: who has which valuable is counted anew, from the heads that came back.

The backup's owners are from before what worlds gave back. Where one half of what happened is lost with its
world, a thing may be in two main documents; it stays in the newer one, the older gets a version without it.
"""

from collections import defaultdict
from collections.abc import Collection
from datetime import datetime
from uuid import UUID

import structlog

from characters.lines import Entry, append_version
from characters.models import Letter, Line, Valuable, ValuableEvent, Version
from characters.valuable_rules import GONE, Holding, Owner, kinds_of, recounted, unpacked, without
from zonecluster.protocol.character import decode_state, encode_state

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
        for line, things in sorted(lost.items()):
            _give_up(line, things, now)
        given_up += len(lost)
        for thing, owner in owners.items():
            if before.get(thing) != owner:
                _set(scope, thing, rows[scope].get(thing), owner, now)
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


def _set(scope: Scope, thing: UUID, row: Valuable | None, owner: Owner, now: datetime) -> None:
    row = row or Valuable(thing=thing, world_id=scope, kind=_kind_of(thing, owner))
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
