"""Invariants of money, items, valuables and letters: nothing is there twice, nothing vanishes on its way."""

from characters.invariants.parts import KEPT_WHOLE, Invariant, document, ids, stacks

# A document's goods as rows: coins as one kind of their own, a thing with an id as itself.
_GOODS_OF = """
    SELECT '(coins)' AS kind, NULL::text AS id, ({document} ->> 'money')::numeric AS count
    UNION ALL
    SELECT stack ->> 'kind', stack ->> 'id', (stack ->> 'count')::numeric FROM {stacks} AS stack
"""


def _goods_of(state: str) -> str:
    return _GOODS_OF.format(document=document(state), stacks=stacks(state))


# What each version of a kind changed: of each kind and id, what the document has more than the one before it.
# Versions whose predecessor was thinned are left out.
_CHANGES = f"""
    SELECT v.id AS version_id, goods.kind, goods.id, sum(goods.count) AS gained
    FROM characters_version AS v
    JOIN characters_version AS p ON p.line_id = v.line_id AND p.version = v.version - 1,
    LATERAL (
        SELECT kind, id, count FROM ({_goods_of("v.state")}) AS after
        UNION ALL
        SELECT kind, id, -count FROM ({_goods_of("p.state")}) AS before
    ) AS goods
    WHERE v.kind = '{{kind}}'
    GROUP BY v.id, goods.kind, goods.id HAVING sum(goods.count) <> 0
"""

_LETTER_GOODS = """
    SELECT '(coins)' AS kind, NULL::text AS id, t.money::numeric AS count
    UNION ALL
    SELECT stack ->> 'kind', stack ->> 'id', coalesce(stack ->> 'count', '1')::numeric
    FROM jsonb_array_elements(t.items) AS stack
"""

_HAS_GOODS = "(t.money <> 0 OR jsonb_array_length(t.items) <> 0)"

# The letter that a version of kind `mail` posted (sign -1: its goods left the document) or emptied. Sender
# and recipient of a letter that came back have changed places. The goods are columns of it, since joining the
# table once more crashes the planner of PostgreSQL 18.6, which would remove that join under the LATERAL.
_LETTERS_OF_WRITES = """
    SELECT v.id AS version_id, t.id AS letter_id, t.items, t.money,
           CASE WHEN v.exchange = t.taken_exchange THEN 1 ELSE -1 END AS sign
    FROM characters_version AS v
    JOIN characters_line AS l ON l.id = v.line_id
    JOIN characters_letter AS t ON t.id = v.letter
    WHERE v.kind = 'mail' AND t.world_id IS NOT DISTINCT FROM l.world_id AND (
        (v.exchange = t.taken_exchange AND t.taken_at = v.at AND t.recipient_id = l.character_id)
        OR (v.exchange = t.exchange AND t.posted_at = v.at
            AND l.character_id = CASE WHEN t.returned_at IS NULL THEN t.sender_id ELSE t.recipient_id END)
    )
"""

_OWNED_IDS = f"""
    SELECT l.id AS line, l.world_id AS world, (stack ->> 'id')::uuid AS thing, stack ->> 'kind' AS kind
    FROM characters_line AS l, {ids("l.state")} AS stack
"""

_NO_TEXT = "chr(1) || chr(65533)"  # U+0000 in an older document, as it is read here and as a row has it

GOODS = (
    Invariant(
        "documents",
        "No document has negative money, an empty stack, or a thing with an id twice.",
        f"""
        SELECT id AS line, 'money' AS what FROM characters_line
        WHERE coalesce(({document("state")} ->> 'money')::numeric, -1) < 0
        UNION ALL
        SELECT l.id, stack ->> 'kind' FROM characters_line AS l, {stacks("l.state")} AS stack
        WHERE (stack ->> 'count')::numeric < 1
        UNION ALL
        SELECT line, thing::text FROM ({_OWNED_IDS}) AS owned GROUP BY line, thing HAVING count(*) > 1
        """,
    ),
    Invariant(
        "valuables_of_heads",
        "A line names the valuables of its head: all of them, and no others.",
        f"""
        SELECT l.id AS line, length(l.valuables) / 16 AS named, length(owned.ids) / 16 AS has
        FROM characters_line AS l, LATERAL (
            SELECT coalesce(string_agg(uuid_send(each.thing), ''::bytea ORDER BY each.thing), '') AS ids
            FROM (SELECT (stack ->> 'id')::uuid AS thing FROM {ids("l.state")} AS stack) AS each
        ) AS owned
        WHERE l.valuables <> owned.ids
        """,
    ),
    Invariant(
        "one_owner",
        "On main a valuable is in one document or one letter, never in two places.",
        f"""
        SELECT thing, count(*) AS places FROM (
            SELECT thing, line FROM ({_OWNED_IDS}) AS owned WHERE world IS NULL
            UNION ALL
            SELECT (stack ->> 'id')::uuid, t.id
            FROM characters_letter AS t, jsonb_array_elements(t.items) AS stack
            WHERE t.world_id IS NULL AND t.taken_at IS NULL AND stack ->> 'id' IS NOT NULL
        ) AS places
        GROUP BY thing HAVING count(*) > 1
        """,
    ),
    Invariant(
        "owners",
        "Who is said to have a valuable has it: the line in its head, the letter among its goods.",
        f"""
        SELECT o.thing, o.line_id AS line, o.letter_id AS letter
        FROM characters_valuable AS o JOIN characters_line AS l ON l.id = o.line_id
        LEFT JOIN ({_OWNED_IDS}) AS owned ON owned.line = l.id AND owned.thing = o.thing
        WHERE owned.thing IS NULL OR o.world_id IS DISTINCT FROM l.world_id
        UNION ALL
        SELECT o.thing, o.line_id, o.letter_id
        FROM characters_valuable AS o JOIN characters_letter AS t ON t.id = o.letter_id
        WHERE t.taken_at IS NOT NULL OR o.world_id IS DISTINCT FROM t.world_id
           OR NOT t.items @> jsonb_build_array(jsonb_build_object('id', o.thing::text))
        """,
    ),
    Invariant(
        "known_valuables",
        "Each valuable on main and in a letter has a row that says so.",
        f"""
        SELECT owned.thing, owned.line, NULL::uuid AS letter FROM ({_OWNED_IDS}) AS owned
        WHERE owned.world IS NULL AND NOT EXISTS (
            SELECT FROM characters_valuable AS o
            WHERE o.thing = owned.thing AND o.world_id IS NULL AND o.line_id = owned.line
        )
        UNION ALL
        SELECT (stack ->> 'id')::uuid, NULL, t.id
        FROM characters_letter AS t, jsonb_array_elements(t.items) AS stack
        WHERE t.taken_at IS NULL AND stack ->> 'id' IS NOT NULL AND NOT EXISTS (
            SELECT FROM characters_valuable AS o
            WHERE o.thing = (stack ->> 'id')::uuid AND o.world_id IS NOT DISTINCT FROM t.world_id
              AND o.letter_id = t.id
        )
        """,
    ),
    Invariant(
        "kinds_of_valuables",
        "A valuable on main is what it was made as.",
        f"""
        SELECT owned.thing, owned.line, owned.kind, o.kind AS made_as
        FROM ({_OWNED_IDS}) AS owned
        JOIN characters_valuable AS o ON o.thing = owned.thing AND o.world_id IS NULL
        WHERE owned.world IS NULL
          AND translate(o.kind, {_NO_TEXT}, '') <> translate(owned.kind, {_NO_TEXT}, '')
        """,
    ),
    Invariant(
        "trades_have_two_sides",
        "Each trade has two writes, of one world at one moment, on main or on that world's forks.",
        f"""
        SELECT v.exchange, count(*) AS writes, min(v.at) AS first, max(v.at) AS last
        FROM characters_version AS v JOIN characters_line AS l ON l.id = v.line_id
        WHERE v.kind = 'trade' AND v.at > now() - {KEPT_WHOLE}
        GROUP BY v.exchange
        HAVING v.exchange IS NULL OR count(*) <> 2 OR count(DISTINCT v.line_id) <> 2 OR min(v.at) <> max(v.at)
            OR min(v.world_id) <> max(v.world_id) OR min(l.world_id) <> max(l.world_id)
            OR count(l.world_id) = 1
        """,
    ),
    Invariant(
        "trades_conserve",
        "What one side of a trade has more, the other has less.",
        f"""
        SELECT v.exchange, c.kind, c.id, sum(c.gained) AS out_of_nothing
        FROM ({_CHANGES.format(kind="trade")}) AS c JOIN characters_version AS v ON v.id = c.version_id
        WHERE v.at > now() - {KEPT_WHOLE} AND NOT EXISTS (  -- what was before a side of it was thinned
            SELECT FROM characters_version AS s
            WHERE s.exchange = v.exchange AND NOT EXISTS (
                SELECT FROM characters_version AS p WHERE p.line_id = s.line_id AND p.version = s.version - 1
            )
        )
        GROUP BY v.exchange, c.kind, c.id HAVING sum(c.gained) <> 0
        """,
    ),
    Invariant(
        "newest_exchange",
        "A line names the newest exchange among its versions: no document from before it can be saved.",
        """
        SELECT l.id AS line, l.exchange AS named, newest.exchange, newest.version
        FROM characters_line AS l, LATERAL (
            SELECT v.exchange, v.version FROM characters_version AS v
            WHERE v.line_id = l.id AND (v.exchange IS NOT NULL OR v.kind = 'fork')
            ORDER BY v.version DESC LIMIT 1
        ) AS newest
        WHERE (newest.exchange <> l.exchange OR newest.exchange IS NOT NULL AND l.exchange IS NULL)
          AND NOT EXISTS (  -- a newer one may have been thinned
              SELECT FROM characters_thinnedversions AS t WHERE t.line_id = l.id AND t.first > newest.version
          )
        """,
    ),
    Invariant(
        "mail_conserves",
        "What a document loses by mail is in the letter it posted; what it gains was in the one it took.",
        f"""
        SELECT v.line_id AS line, v.version, moved.kind, moved.id, sum(moved.count) AS out_of_nothing
        FROM (
            SELECT version_id, kind, id, gained AS count FROM ({_CHANGES.format(kind="mail")}) AS changes
            UNION ALL
            SELECT t.version_id, goods.kind, goods.id, -t.sign * goods.count
            FROM ({_LETTERS_OF_WRITES}) AS t, LATERAL ({_LETTER_GOODS}) AS goods
        ) AS moved
        JOIN characters_version AS v ON v.id = moved.version_id
        JOIN characters_version AS p ON p.line_id = v.line_id AND p.version = v.version - 1
        WHERE v.at > now() - {KEPT_WHOLE}
        GROUP BY v.line_id, v.version, moved.kind, moved.id HAVING sum(moved.count) <> 0
        """,
    ),
    Invariant(
        "letters_were_paid_for",
        "The goods of a letter came out of its sender's document and went into its recipient's, each by one "
        "write.",
        f"""
        WITH writes AS MATERIALIZED (  -- counted once for all letters, not for each of them
            SELECT letter_id, sign, count(*) AS count
            FROM ({_LETTERS_OF_WRITES}) AS each GROUP BY letter_id, sign
        )
        SELECT t.id AS letter, 'posted' AS what, coalesce(w.count, 0) AS writes
        FROM characters_letter AS t LEFT JOIN writes AS w ON w.letter_id = t.id AND w.sign = -1
        WHERE {_HAS_GOODS} AND t.posted_at > now() - {KEPT_WHOLE} AND coalesce(w.count, 0) <> 1
        UNION ALL
        SELECT t.id, 'taken', coalesce(w.count, 0)
        FROM characters_letter AS t LEFT JOIN writes AS w ON w.letter_id = t.id AND w.sign = 1
        WHERE {_HAS_GOODS} AND t.taken_at > now() - {KEPT_WHOLE} AND coalesce(w.count, 0) <> 1
          AND t.taken_exchange <> t.id  -- a restore found it emptied; the write that did is lost
        """,
    ),
    Invariant(
        "letters",
        "A letter has no negative money and no empty stack; it was taken by one exchange; with goods in it "
        "it is not thrown away.",
        f"""
        SELECT t.id AS letter, t.money, t.taken_at, t.taken_exchange FROM characters_letter AS t
        WHERE t.money < 0 OR (t.taken_at IS NULL) <> (t.taken_exchange IS NULL)
           OR (t.discarded_at IS NOT NULL AND t.taken_at IS NULL AND {_HAS_GOODS})
        UNION ALL
        SELECT t.id, t.money, t.taken_at, t.taken_exchange
        FROM characters_letter AS t, jsonb_array_elements(t.items) AS stack
        WHERE coalesce(stack ->> 'count', '1')::numeric < 1
        """,
    ),
)
