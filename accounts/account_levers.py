"""The levers on an account's page in the admin: ban, close, sign out. On staff only superusers have them."""

from datetime import datetime
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils import timezone
from unfold.enums import ActionVariant
from unfold.widgets import UnfoldAdminSplitDateTimeWidget

from accounts.admin_parts import ReasonForm
from accounts.levers import lever
from accounts.models import Account
from accounts.standing_deeds import ban_account, close_account, lift_ban, reopen_account, sign_out_everywhere


class BanForm(ReasonForm):
    """Until when, and why."""

    until = forms.SplitDateTimeField(
        label="Until, UTC",
        widget=UnfoldAdminSplitDateTimeWidget,
        help_text="A date far away for a ban without an end.",
    )
    field_order = ("until", "reason")

    def clean_until(self) -> datetime:
        until = self.cleaned_data["until"]
        if until <= timezone.now():
            raise ValidationError("The end must lie in the future.")
        return until


class AccountLevers:
    """Mixin of the account's admin."""

    account_levers = ("ban_it", "lift_the_ban", "sign_out", "close", "reopen")

    def _may(self, request: HttpRequest, object_id: str | None, **state: object) -> bool:
        """Offer a lever only where it changes something, and on staff only to superusers."""
        if not request.user.has_perm("accounts.change_account"):
            return False
        if object_id is None:
            return True
        rows = Account.objects.filter(pk=object_id, **state)
        return (
            rows if request.user.is_superuser else rows.filter(is_staff=False, is_superuser=False)
        ).exists()

    def has_ban_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        return self._may(request, object_id)

    def has_lift_ban_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        return self._may(request, object_id, banned_until__gt=timezone.now())

    def has_close_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        return self._may(request, object_id, is_active=True)

    def has_reopen_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        return self._may(request, object_id, is_active=False)

    @lever(
        "Ban",
        title="Ban this account?",
        text="It gets no ticket to any world before that instant. Who is in play now stays until they leave.",
        icon="block",
        allowed="ban",
        variant=ActionVariant.DANGER,
        form_class=BanForm,
    )
    def ban_it(self, account: Account, until: datetime, **deed: Any) -> str:
        ban_account(account=account, until=until, **deed)
        return f"{account} is banned until {until:%Y-%m-%d %H:%M} UTC."

    @lever(
        "Lift ban",
        title="Lift the ban?",
        text="The account gets tickets again.",
        icon="check_circle",
        allowed="lift_ban",
    )
    def lift_the_ban(self, account: Account, **deed: Any) -> str:
        lift_ban(account=account, **deed)
        return f"{account} may play again."

    @lever(
        "Sign out everywhere",
        title="End all sessions of this account?",
        text="Every browser and program has to log in again.",
        icon="logout",
        allowed="ban",
    )
    def sign_out(self, account: Account, **deed: Any) -> str:
        sign_out_everywhere(account=account, **deed)
        return f"{account} is signed out everywhere."

    @lever(
        "Close",
        title="Close this account?",
        text="Nobody can log in to it, and all its sessions end now. Nothing of it is deleted.",
        icon="person_off",
        allowed="close",
        variant=ActionVariant.DANGER,
    )
    def close(self, account: Account, **deed: Any) -> str:
        close_account(account=account, **deed)
        return f"{account} is closed."

    @lever(
        "Reopen",
        title="Reopen this account?",
        text="Its owner can log in again.",
        icon="person_check",
        allowed="reopen",
    )
    def reopen(self, account: Account, **deed: Any) -> str:
        reopen_account(account=account, **deed)
        return f"{account} is open again."
