"""What makes saves quick: the function that writes a batch; no index that is the first half of another; and
room in the pages of heads, so that a head's next version fits beside it and no index learns of it.
"""

import django.db.models.deletion
from django.db import migrations, models

# See characters/statement.py, which calls it and says why it is a function.
SAVE = """
CREATE FUNCTION characters_save(
    writer bigint, may_main boolean, as_tier text, written_at timestamptz,
    lines uuid[], epochs bigint[], versions bigint[], prev_chains bytea[], op_ids uuid[], kinds text[],
    chains bytea[], hashes bytea[], states bytea[], valuables bytea[]
) RETURNS uuid[] LANGUAGE plpgsql AS $$
DECLARE
    accepted uuid[];
    moved bigint;
BEGIN
    WITH asked AS MATERIALIZED (
        SELECT * FROM unnest(
            lines, epochs, versions, prev_chains, op_ids, kinds, chains, hashes, states, valuables
        ) AS given(line, epoch, version, prev_chain, op_id, kind, chain, state_hash, state, valuables)
    ), held AS (
        SELECT line.id, line.epoch, line.version, line.chain, line.valuables
        FROM characters_line AS line
        JOIN worlds_world AS world ON world.id = writer
        WHERE line.id = ANY(lines)
          -- "=" would let the planner read all lines that the world holds from their index.
          AND line.holder_id IS NOT DISTINCT FROM writer
          AND world.suspended_at IS NULL
          AND (line.world_id = world.id
               OR (line.world_id IS NULL AND may_main AND world.tier = as_tier AND world.limited_at IS NULL))
        ORDER BY line.id
        FOR NO KEY UPDATE OF line
    ), new AS (
        INSERT INTO characters_version
            (line_id, version, op_id, epoch, world_id, at, kind, prev_chain, chain, state_hash, state)
        SELECT held.id, held.version + 1, asked.op_id, asked.epoch, writer, written_at, asked.kind,
               asked.prev_chain, asked.chain, asked.state_hash, asked.state
        FROM asked
        JOIN held ON held.id = asked.line AND held.epoch = asked.epoch AND held.version = asked.version
                  AND held.chain = asked.prev_chain AND held.valuables = asked.valuables
        RETURNING op_id
    )
    SELECT array_agg(new.op_id) INTO accepted FROM new;
    UPDATE characters_line AS line
    SET version = new.version, chain = new.chain, state_hash = new.state_hash, state = new.state,
        updated_at = written_at
    FROM characters_version AS new
    WHERE new.op_id = ANY(accepted) AND line.id = new.line_id AND line.version + 1 = new.version;
    GET DIAGNOSTICS moved = ROW_COUNT;
    IF moved <> coalesce(cardinality(accepted), 0) THEN
        RAISE EXCEPTION '% versions were written, but % heads moved', cardinality(accepted), moved;
    END IF;
    RETURN ARRAY(SELECT unnest(op_ids) EXCEPT SELECT unnest(accepted));
END $$
"""
DROP = """
DROP FUNCTION characters_save(
    bigint, boolean, text, timestamptz,
    uuid[], bigint[], bigint[], bytea[], uuid[], text[], bytea[], bytea[], bytea[], bytea[]
)
"""


def without_index(to, **options):
    """Return a foreign key without an index of its own."""
    return models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to=to, db_index=False, **options)


class Migration(migrations.Migration):
    dependencies = [("characters", "0007_exchanges"), ("worlds", "0006_receipt_kind")]

    operations = [
        migrations.AlterField(
            "line", "character", without_index("characters.character", related_name="lines")
        ),
        migrations.AlterField("version", "line", without_index("characters.line", related_name="versions")),
        migrations.AlterField(
            "version", "world", without_index("worlds.world", related_name="+", null=True, blank=True)
        ),
        migrations.RunSQL(
            "ALTER TABLE characters_line SET (fillfactor = 80)",
            "ALTER TABLE characters_line RESET (fillfactor)",
        ),
        migrations.RunSQL(SAVE, DROP),
    ]
