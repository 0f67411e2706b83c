"""Invariants of leases and epochs: who may write a line, and that it never goes back."""

from characters.invariants.parts import Invariant

_INCARNATION = "(SELECT coalesce(max(number), 1) FROM characters_incarnation)"

LEASES = (
    Invariant(
        "epochs_rise",
        "Along the versions of a line the epochs of leases never go back.",
        """
        SELECT line_id AS line, version, epoch, earlier FROM (
            SELECT line_id, version, epoch, max(epoch) OVER (
                PARTITION BY line_id ORDER BY version ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
            ) AS earlier FROM characters_version WHERE epoch > 0
        ) AS v WHERE epoch < earlier
        """,
    ),
    Invariant(
        "epoch_of_head",
        "No version has a newer epoch than its line, and no line one of an incarnation that is yet to come.",
        f"""
        SELECT l.id AS line, l.epoch, v.epoch AS newest
        FROM characters_line AS l
        LEFT JOIN (
            SELECT line_id, max(epoch) AS epoch FROM characters_version GROUP BY line_id
        ) AS v ON v.line_id = l.id
        WHERE v.epoch > l.epoch OR l.epoch / 1000000 > {_INCARNATION}
        """,
    ),
    Invariant(
        "holders",
        "Who holds a line has a lease with an end and an epoch; a fork is held by its own world only.",
        """
        SELECT id AS line, holder_id AS holder, lease_until, epoch FROM characters_line
        WHERE (holder_id IS NULL) <> (lease_until IS NULL)
           OR (holder_id IS NOT NULL AND (epoch = 0 OR world_id <> holder_id))
        """,
    ),
)
