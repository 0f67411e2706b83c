"""The audit record as a hash chain, with before and after, and rows that the database keeps as they are."""

from django.db import migrations, models
from django.db.models import Q

APPEND_ONLY = """
CREATE FUNCTION accounts_audit_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.position IS NULL THEN RETURN NEW; END IF;
    ELSIF TG_OP = 'UPDATE' THEN  -- sealing: the place in the chain is given once, and nothing else changes
        IF OLD.position IS NULL AND NEW.position IS NOT NULL
           AND to_jsonb(NEW) - 'position' - 'chain' = to_jsonb(OLD) - 'position' - 'chain'
        THEN RETURN NEW; END IF;
    END IF;
    RAISE EXCEPTION 'rows of the audit record are never changed or deleted'
        USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER accounts_audit_stays BEFORE INSERT OR UPDATE OR DELETE ON accounts_auditrecord
    FOR EACH ROW EXECUTE FUNCTION accounts_audit_stays();
"""
AS_BEFORE = """
DROP TRIGGER accounts_audit_stays ON accounts_auditrecord;
DROP FUNCTION accounts_audit_stays();
"""


class Migration(migrations.Migration):
    dependencies = [("accounts", "0003_shop")]

    operations = [
        migrations.AddField(
            "auditrecord",
            "before",
            models.JSONField(null=True, blank=True, help_text="What the deed changed, as it was."),
        ),
        migrations.AddField(
            "auditrecord",
            "after",
            models.JSONField(null=True, blank=True, help_text="What the deed changed, as it is now."),
        ),
        migrations.AddField(
            "auditrecord",
            "position",
            models.BigIntegerField(
                null=True,
                blank=True,
                unique=True,
                editable=False,
                help_text="In the chain; none yet: not sealed.",
            ),
        ),
        migrations.AddField(
            "auditrecord", "chain", models.BinaryField(null=True, blank=True, editable=False, max_length=32)
        ),
        migrations.AlterField(
            "auditrecord", "target", models.CharField(blank=True, db_index=True, max_length=160)
        ),
        migrations.AddIndex(
            "auditrecord",
            models.Index("id", name="audit_not_sealed_yet", condition=Q(position__isnull=True)),
        ),
        migrations.AddConstraint(
            "auditrecord",
            models.CheckConstraint(
                condition=Q(position__isnull=True, chain__isnull=True)
                | Q(position__isnull=False, chain__isnull=False),
                name="audit_sealed_whole",
            ),
        ),
        migrations.RunSQL(APPEND_ONLY, AS_BEFORE),
    ]
