"""Invariants of lines and versions: every history is whole, and says what was written."""

from characters.invariants.parts import ASKED_KINDS, Invariant, chain_after

_LINK = "uuid_send(op_id) || state_hash"
_MARGIN = "interval '10 seconds'"  # a write may have been under way when a world's tier changed

HISTORIES = (
    Invariant(
        "state_hashes",
        "The hash of a version is that of its state.",
        """
        SELECT line_id AS line, version FROM characters_version WHERE sha256(state) <> state_hash
        """,
    ),
    Invariant(
        "chain_values",
        "The chain of a version follows from the one before it, its number, its op_id and its state.",
        f"""
        SELECT line_id AS line, version FROM characters_version
        WHERE chain <> {chain_after("prev_chain", "version", _LINK)}
        """,
    ),
    Invariant(
        "gapless",
        "Each version continues the one before it; of versions that are missing, retention kept the links.",
        """
        SELECT v.line_id AS line, v.version, v.before, t.first AS thinned_from
        FROM (
            SELECT line_id, version, prev_chain, lag(version) OVER steps AS before,
                   lag(chain) OVER steps AS chain_before
            FROM characters_version WINDOW steps AS (PARTITION BY line_id ORDER BY version)
        ) AS v
        LEFT JOIN characters_thinnedversions AS t ON t.line_id = v.line_id AND t.last = v.version - 1
        WHERE CASE
            WHEN v.before IS NULL THEN v.version <> 1
            WHEN v.before = v.version - 1 THEN v.chain_before <> v.prev_chain OR t.id IS NOT NULL
            ELSE t.id IS NULL OR t.first <> v.before + 1
        END
        """,
    ),
    Invariant(
        "thinned_links",
        "By the links that retention has kept, the chain goes from the version before to the one after.",
        f"""
        WITH RECURSIVE walk(id, line_id, first, next, last, chain) AS (
            SELECT t.id, t.line_id, t.first, t.first, t.last, v.chain
            FROM characters_thinnedversions AS t
            JOIN characters_version AS v ON v.line_id = t.line_id AND v.version = t.first - 1
            UNION ALL
            SELECT walk.id, walk.line_id, walk.first, walk.next + 1, walk.last,
                   {
            chain_after(
                "walk.chain",
                "walk.next",
                "substring(t.links from ((walk.next - walk.first) * 48 + 1)::int for 48)",
            )
        }
            FROM walk JOIN characters_thinnedversions AS t ON t.id = walk.id
            WHERE walk.next <= walk.last
        )
        SELECT t.line_id AS line, t.first, t.last
        FROM characters_thinnedversions AS t
        LEFT JOIN walk ON walk.id = t.id AND walk.next = t.last + 1
        LEFT JOIN characters_version AS v ON v.line_id = t.line_id AND v.version = t.last + 1
        WHERE length(t.links) <> 48 * (t.last - t.first + 1) OR v.prev_chain IS DISTINCT FROM walk.chain
        """,
    ),
    Invariant(
        "beginnings",
        "Main begins from nothing; a fork continues the chain of the version of main that it was begun from.",
        """
        SELECT v.line_id AS line, v.kind, v.version
        FROM characters_version AS v
        JOIN characters_line AS l ON l.id = v.line_id
        LEFT JOIN characters_version AS s ON s.id = v.source_id
        LEFT JOIN characters_line AS m ON m.id = s.line_id
        WHERE (v.version = 1 OR v.kind IN ('create', 'fork')) AND CASE
            WHEN l.world_id IS NULL THEN
                v.version <> 1 OR v.kind <> 'create' OR v.prev_chain <> decode(repeat('00', 32), 'hex')
            WHEN v.kind <> 'fork' THEN true
            WHEN v.source_id IS NULL THEN false  -- begun before provenance was kept
            ELSE m.character_id <> l.character_id OR m.world_id IS NOT NULL
                 OR (v.version = 1 AND v.prev_chain <> s.chain)
        END
        """,
    ),
    Invariant(
        "heads",
        "The head of a line is its newest version: number, chain, hash and state.",
        """
        SELECT l.id AS line, l.version AS head, newest.version AS newest
        FROM characters_line AS l
        LEFT JOIN LATERAL (
            SELECT * FROM characters_version AS v WHERE v.line_id = l.id ORDER BY v.version DESC LIMIT 1
        ) AS newest ON true
        WHERE (l.version, l.chain, l.state_hash, l.state)
              IS DISTINCT FROM (newest.version, newest.chain, newest.state_hash, newest.state)
        """,
    ),
    Invariant(
        "op_ids",
        "An op_id stands for one write, also if that was thinned.",
        """
        SELECT op_id, count(*) AS writes FROM (
            SELECT op_id FROM characters_version
            UNION ALL
            SELECT encode(substring(t.links from ((link - 1) * 48 + 1)::int for 16), 'hex')::uuid
            FROM characters_thinnedversions AS t, generate_series(1, length(t.links) / 48) AS link
        ) AS writes
        GROUP BY op_id HAVING count(*) > 1
        """,
    ),
    Invariant(
        "main_lines",
        "Each character has one main line, and at most one line of each world.",
        """
        SELECT c.id AS character, l.world_id AS world, count(l.id) AS lines
        FROM characters_character AS c LEFT JOIN characters_line AS l ON l.character_id = c.id
        GROUP BY c.id, l.world_id HAVING count(l.id) > 1
        UNION ALL
        SELECT c.id, NULL, 0 FROM characters_character AS c
        WHERE NOT EXISTS (SELECT FROM characters_line AS l WHERE l.character_id = c.id AND l.world_id IS NULL)
        """,
    ),
    Invariant(
        "fork_writers",
        "A fork is written by its own world only.",
        """
        SELECT l.id AS line, v.version, v.kind, v.world_id AS world
        FROM characters_version AS v JOIN characters_line AS l ON l.id = v.line_id
        WHERE l.world_id IS NOT NULL AND v.kind NOT IN ('restore', 'rollback')
          AND v.world_id IS DISTINCT FROM l.world_id
        """,
    ),
    Invariant(
        "main_writers",
        "Main is written by worlds that were official or verified then, and by the master.",
        f"""
        SELECT l.id AS line, v.version, v.kind, w.slug AS world, v.at
        FROM characters_version AS v
        JOIN characters_line AS l ON l.id = v.line_id
        LEFT JOIN worlds_world AS w ON w.id = v.world_id
        WHERE l.world_id IS NULL AND v.kind IN {ASKED_KINDS} AND (w.id IS NULL OR w.tier = 'open' AND v.at > (
            SELECT coalesce(max(a.at) + {_MARGIN}, '-infinity') FROM accounts_auditrecord AS a
            WHERE a.action IN ('world_changed_by_staff', 'world_tier_set') AND a.target IN (w.slug, w.name)
              AND (a.detail ? 'tier' OR a.after ? 'tier')
        ))
        """,
    ),
    Invariant(
        "receipts",
        "What a world of this deployment has a receipt for is in the history.",
        """
        SELECT r.line, r.version, r.op_id, v.line_id AS written_to, v.version AS as_version
        FROM worlds_storedreceipt AS r
        JOIN characters_line AS l ON l.id = r.line  -- a line made after a backup is not in what was restored
        LEFT JOIN characters_version AS v ON v.op_id = r.op_id
        WHERE r.at > now() - interval '13 days'
          AND (v.line_id, v.version) IS DISTINCT FROM (r.line, r.version)
          AND NOT EXISTS (  -- a restore that was finished without what somebody else held
            SELECT FROM characters_version AS bridge
            WHERE bridge.line_id = r.line AND bridge.kind = 'restore' AND bridge.world_id IS NOT NULL
          )
        """,
    ),
)
