"""Everything that we have of a person, as one file that they take away: a zip of JSON files."""

import json
import tempfile
import zipfile
from datetime import datetime
from typing import IO

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.core.serializers.json import DjangoJSONEncoder
from django.db import transaction

from accounts.models import Account, ApiToken, AuditRecord, Entitlement
from accounts.personal_data import Holding, Rows, hold, holdings
from accounts.services import record_audit

IN_MEMORY = 4 * 2**20  # bytes; a larger export is written to disk while it is made
READ_ME = """This is everything that Waystone has of you, made at {at} UTC.

Each file is JSON: a list of entries. Instants are UTC. Passwords and the secrets of your second factors
are not in it: of a password we have only a hash, and a copy of a secret is one more that can be lost.
"""


def own_files(account: Account) -> dict[str, Rows]:
    """Return what the app accounts itself holds."""
    return {
        "account": [
            {
                "uid": account.uid,
                "email": account.email,
                "here_since": account.date_joined,
                "last_log_in": account.last_login,
                "banned_until": account.banned_until,
            }
        ],
        "addresses": (
            {"email": row.email, "is_confirmed": row.verified, "is_primary": row.primary}
            for row in EmailAddress.objects.filter(user=account).order_by("pk")
        ),
        "editions": (
            {
                "edition": row.edition,
                "is_grant": row.is_grant,
                "source": row.source,
                "reference": row.reference,
                "starts_at": row.starts_at,
                "ends_at": row.ends_at,
            }
            for row in Entitlement.objects.filter(account=account).order_by("created_at").iterator()
        ),
        "devices": (
            {"user_agent": row.user_agent, "address": row.ip, "since": row.created_at}
            for row in UserSession.objects.filter(user=account).order_by("created_at")
        ),
        "api_tokens": (
            {
                "name": row.name,
                "begins_with": row.hint,
                "scopes": row.scopes,
                "made_at": row.made_at,
                "ends_at": row.expires_at,
                "last_used_at": row.last_used_at,
                "revoked_at": row.revoked_at,
            }
            for row in ApiToken.objects.filter(account=account).order_by("pk").iterator()
        ),
        "second_factors": (
            {
                "kind": row.type,
                "name": row.data.get("name", ""),
                "since": row.created_at,
                "last_used_at": row.last_used_at,
            }
            for row in Authenticator.objects.filter(user=account).order_by("pk")
        ),
        "deeds": (
            _deed(row) for row in AuditRecord.objects.filter(account=account).order_by("at").iterator()
        ),
        "done_to_you": (
            _deed(row)
            for row in AuditRecord.objects.filter(target=str(account.uid))
            .exclude(account=account)
            .order_by("at")
            .iterator()
        ),
    }


def _deed(row: AuditRecord) -> dict[str, object]:
    """Return a row of the audit record; who else did it is left out: that is another person's."""
    changed = {"before": row.before, "after": row.after} if row.before or row.after else {}
    return {"at": row.at, "deed": row.action, "target": row.target, "detail": row.detail, **changed}


hold(Holding("accounts", own_files))


def export_of(*, account: Account, now: datetime) -> IO[bytes]:
    """Return the zip, at its beginning. Large ones lie on disk, and go when the file is closed."""
    file = tempfile.SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115  (the caller closes it)
    with transaction.atomic(), zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        record_audit(action="data_exported", account=account, target=str(account.uid), now=now)
        archive.writestr("READ ME.txt", READ_ME.format(at=f"{now:%Y-%m-%d %H:%M}"))
        for holding in holdings.values():
            for name, rows in holding.files(account).items():
                _write(archive, f"{name}.json", rows)
    file.seek(0)
    return file


def _write(archive: zipfile.ZipFile, name: str, rows: Rows) -> None:
    """Write rows one by one: a history of years needs no more memory than its largest row."""
    with archive.open(name, "w", force_zip64=True) as entry:
        entry.write(b"[")
        for number, row in enumerate(rows):
            text = json.dumps(row, cls=DjangoJSONEncoder, ensure_ascii=False, indent=1)
            entry.write((",\n" if number else "\n").encode() + text.encode())
        entry.write(b"\n]\n")
