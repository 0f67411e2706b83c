"""What allauth asks of this project: where links in letters point, and how letters are sent."""

from typing import Any
from urllib.parse import quote

from allauth.account.adapter import DefaultAccountAdapter
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from accounts.letters import public_url, send_letter
from accounts.models import Account
from accounts.passwords import PasswordCheckBusy
from accounts.services import end_oldest_sessions


class AccountAdapter(DefaultAccountAdapter):
    """allauth's adapter (ACCOUNT_ADAPTER)."""

    error_messages = {
        **DefaultAccountAdapter.error_messages,
        "email_password_mismatch": "That e-mail address and password do not belong together. "
        "Check both, or set a new password below.",
        "too_many_login_attempts": "Too many attempts. Wait five minutes, then try again.",
    }

    def authenticate(self, request: HttpRequest, **credentials: Any) -> Account | None:
        """Check credentials; a check that never took place does not count as a failed attempt."""
        try:
            return super().authenticate(request, **credentials)
        except PasswordCheckBusy:
            self._rollback_login_failed_rl_usage()
            raise

    def post_login(self, request: HttpRequest, user: Account, **details: Any) -> HttpResponse:
        """Finish a log-in by page; accounts.api does the same for REST."""
        response = super().post_login(request, user, **details)
        end_oldest_sessions(account=user)
        return response

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        send_letter(template=template_prefix, to=email, context=context)

    def get_email_confirmation_url(self, request: HttpRequest | None, emailconfirmation: Any) -> str:
        return public_url("account_confirm_email", key=emailconfirmation.key)

    def get_reset_password_from_key_url(self, key: str) -> str:
        path = reverse("account_reset_password_from_key", kwargs={"uidb36": "UID", "key": "KEY"})
        return settings.PUBLIC_URL + path.replace("UID-KEY", quote(key))
