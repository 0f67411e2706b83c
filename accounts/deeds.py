"""What people do on allauth's pages, into the audit record: allauth tells it by signals only."""

from typing import Any

from allauth.account import signals as account_signals
from allauth.mfa import signals as mfa_signals
from django.dispatch import Signal, receiver
from django.utils import timezone

from accounts.models import Account
from accounts.new_password import close_side_doors
from accounts.services import record_audit


def _note(action: str, account: Account, **detail: object) -> None:
    record_audit(action=action, account=account, target=str(account.uid), detail=detail, now=timezone.now())


@receiver(account_signals.password_changed, dispatch_uid="accounts.deeds.side_doors_changed")
@receiver(account_signals.password_reset, dispatch_uid="accounts.deeds.side_doors_reset")
def _new_password(sender: Any, user: Account, **kwargs: Any) -> None:
    close_side_doors(account=user, now=timezone.now())


def _noting(signal: Signal, action: str) -> None:
    """Write an audit row whenever the signal comes, which names the account as `user`."""

    def note(sender: Any, user: Account, **kwargs: Any) -> None:
        _note(action, user)

    signal.connect(note, weak=False, dispatch_uid=f"accounts.deeds.{action}")


_noting(account_signals.password_changed, "password_changed")
_noting(account_signals.password_reset, "password_set_anew")
_noting(account_signals.email_changed, "address_changed")


@receiver(account_signals.email_confirmed, dispatch_uid="accounts.deeds.confirmed")
def _confirmed(sender: Any, email_address: Any, **kwargs: Any) -> None:
    _note("address_confirmed", email_address.user)


@receiver(mfa_signals.authenticator_added, dispatch_uid="accounts.deeds.added")
def _added(sender: Any, user: Account, authenticator: Any, **kwargs: Any) -> None:
    _note("second_factor_added", user, kind=authenticator.type)


@receiver(mfa_signals.authenticator_removed, dispatch_uid="accounts.deeds.removed")
def _removed(sender: Any, user: Account, authenticator: Any, **kwargs: Any) -> None:
    _note("second_factor_removed", user, kind=authenticator.type)


@receiver(mfa_signals.authenticator_reset, dispatch_uid="accounts.deeds.reset")
def _reset(sender: Any, user: Account, authenticator: Any, **kwargs: Any) -> None:
    _note("recovery_codes_made_anew", user)
