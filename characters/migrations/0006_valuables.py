"""Fills what 0005 made for lines that were there before: which valuables their heads have, and who owns them.

Two main lines with the same thing, from before owners were kept, do not stop this: the one that was begun
first owns it, the other keeps its document and can neither trade nor mail the thing; the log names both.
"""

import json
from uuid import UUID

import structlog
from django.db import connection, migrations

log = structlog.get_logger(__name__)

# Only heads that have an id in some bag are read; the text is the canonical one.
_WITH_IDS = """
SELECT line.id FROM characters_line AS line JOIN characters_character AS owner ON owner.id = line.character_id
WHERE position('"id":"'::bytea IN line.state) > 0
ORDER BY owner.created_at, line.id
"""


def fill(apps, schema_editor):
    """Fill Line.valuables, Valuable and one event each."""
    lines, valuables = apps.get_model("characters", "Line"), apps.get_model("characters", "Valuable")
    events = apps.get_model("characters", "ValuableEvent")
    with connection.cursor() as cursor:
        cursor.execute(_WITH_IDS)
        ids = [row[0] for row in cursor.fetchall()]
    for line_id in ids:
        line = lines.objects.get(pk=line_id)
        kinds = _kinds_of(bytes(line.state))
        line.valuables = b"".join(sorted(thing.bytes for thing in kinds))
        line.save(update_fields=["valuables"])
        for thing, kind in sorted(kinds.items()):
            row, is_new = valuables.objects.get_or_create(
                thing=thing, world_id=line.world_id, defaults={"kind": kind, "line_id": line.pk}
            )
            if is_new:
                events.objects.create(valuable=row, at=line.updated_at, kind="found", line_id=line.pk)
            else:
                log.warning("valuable_twice", thing=str(thing), owner=str(row.line_id), also=str(line.pk))


def _kinds_of(state):
    """Return id → kind of the things with an id. Not the code of today: this reads what schema 1 was then."""
    bags = json.loads(state).get("bags", {})
    things = [item for bag in bags.values() for item in bag if item.get("id")]
    return {UUID(item["id"]): item["kind"].replace("\0", "\ufffd") for item in things}  # no text has U+0000


class Migration(migrations.Migration):
    dependencies = [("characters", "0005_goods")]

    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
