"""What a new password ends besides the other sessions: whatever else somebody may have left in the account.

Who had the old password, or registered the address before its owner came, could have made an API token, or
an address that waits for its letter to be opened: both would open the account again.
"""

from datetime import datetime

from allauth.account.models import EmailAddress
from django.db import transaction

from accounts.api_tokens import revoke_all_tokens
from accounts.models import Account
from accounts.services import record_audit


def close_side_doors(*, account: Account, now: datetime) -> None:
    """Revoke the account's API tokens, and forget the address that waits to take the place of its own."""
    with transaction.atomic():
        revoke_all_tokens(account=account, by=account, now=now)
        forgotten, _ = EmailAddress.objects.filter(user=account, primary=False).delete()
        if forgotten:
            target = str(account.uid)
            record_audit(action="waiting_address_forgotten", account=account, target=target, now=now)
