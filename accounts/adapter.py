"""What allauth asks of this project: where links in letters point, and how letters are sent."""

from typing import Any
from urllib.parse import quote

from allauth.account.adapter import DefaultAccountAdapter
from allauth.core.internal import ratelimit
from django.conf import settings
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone

from accounts.letters import public_url, send_letter
from accounts.models import Account
from accounts.passwords import PasswordCheckBusy
from accounts.services import end_oldest_sessions
from accounts.shop.booking import give_waiting, lock_address
from accounts.throttles import attempts_key, known_browser, mark_browser

ANYWHERE = "login_failed_anywhere"


class AccountAdapter(DefaultAccountAdapter):
    """allauth's adapter (ACCOUNT_ADAPTER). Names with an underscore are allauth's: tests hold us to it."""

    error_messages = {
        **DefaultAccountAdapter.error_messages,
        "email_password_mismatch": "That e-mail address and password do not belong together. "
        "Check both, or set a new password below.",
        "too_many_login_attempts": "Too many attempts. Wait five minutes, or set a new password "
        "by a letter: that works at once.",
        "duplicate_email": "That is the address you have already.",
    }

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        """Count an attempt; accounts.throttles says how. It is taken back when the password is right."""
        super().pre_authenticate(request, **credentials)
        self._anywhere = None
        email = str(credentials.get("email", "")).lower()
        if known_browser(request, email) is not None:
            return
        self._anywhere = ratelimit.consume(request, app="allauth.account", action=ANYWHERE, key=email)
        if not self._anywhere:
            super()._rollback_login_failed_rl_usage()
            raise self.validation_error("too_many_login_attempts")

    def _get_login_attempts_cache_key(self, request: HttpRequest, **credentials: Any) -> str:
        return attempts_key(request, str(credentials.get("email", "")), self.get_client_ip(request))

    def _rollback_login_failed_rl_usage(self) -> None:
        super()._rollback_login_failed_rl_usage()
        anywhere = getattr(self, "_anywhere", None)
        if anywhere:
            anywhere.rollback()

    def _delete_login_attempts_cached_email(self, request: HttpRequest, **credentials: Any) -> None:
        """Whoever set a new password by the letter gets in at once, whatever others have tried."""
        super()._delete_login_attempts_cached_email(request, **credentials)
        email = str(credentials.get("email", "")).lower()
        ratelimit.clear(request, app="allauth.account", action=ANYWHERE, key=email)

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
        mark_browser(response, user.email)
        return response

    def confirm_email(self, request: HttpRequest, email_address: Any) -> bool:
        """Confirm an address; what was bought for it is its owner's from now on."""
        with transaction.atomic():
            lock_address(email_address.email)
            is_confirmed = super().confirm_email(request, email_address)
            if is_confirmed:
                give_waiting(account=email_address.user, now=timezone.now())
        return is_confirmed

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        send_letter(template=template_prefix, to=email, context=context)

    def get_email_confirmation_url(self, request: HttpRequest | None, emailconfirmation: Any) -> str:
        return public_url("account_confirm_email", key=emailconfirmation.key)

    def get_reset_password_from_key_url(self, key: str) -> str:
        path = reverse("account_reset_password_from_key", kwargs={"uidb36": "UID", "key": "KEY"})
        return settings.PUBLIC_URL + path.replace("UID-KEY", quote(key))
