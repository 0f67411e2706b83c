"""Forms of second factors: allauth's, said in our words, with bounds."""

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from allauth.mfa import app_settings
from allauth.mfa.adapter import get_adapter
from allauth.mfa.base import forms as mfa
from allauth.mfa.models import Authenticator
from allauth.mfa.totp import forms as totp
from allauth.mfa.webauthn import forms as webauthn
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from django import forms
from django.conf import settings
from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.core.validators import MaxLengthValidator

MAX_PASSKEYS = 20  # of one account; each log-in by passkey reads all of them
MAX_NAME = 60
CODE = {"autocomplete": "one-time-code", "class": "code-input", "autofocus": True, "spellcheck": "false"}


class CodeInOurWords(forms.Form):
    """The one field of these forms: a code."""

    label = "Code"
    help = "Six figures from your app, or one of your recovery codes."

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["code"]
        field.label, field.help_text = self.label, self.help
        field.widget = forms.TextInput(attrs=CODE)
        field.validators.append(MaxLengthValidator(MAX_NAME))
        field.error_messages["required"] = "Type the code."


class OnceOnly(forms.Form):
    """Of a form that takes a code of an app: one that was taken is refused for as long as it would be right.

    allauth remembers it for half a minute only, and takes codes of the half minutes before and after, too.
    """

    def clean_code(self) -> str:
        code: str = super().clean_code()  # type: ignore[misc]  # allauth's forms below have it
        authenticator = self.authenticator  # type: ignore[attr-defined]
        if authenticator.type == Authenticator.Type.TOTP:
            figures = "".join(filter(str.isdigit, code))
            lasts = app_settings.TOTP_PERIOD * (2 * settings.MFA_TOTP_TOLERANCE + 1)
            if not cache.add(f"accounts.code_taken:{authenticator.user_id}:{figures}", 1, lasts):
                raise get_adapter().validation_error("incorrect_code")
        return code


class CodeForm(OnceOnly, CodeInOurWords, mfa.AuthenticateForm):
    """The second step of a log-in."""


class CodeAgainForm(OnceOnly, CodeInOurWords, mfa.ReauthenticateForm):
    """A code before something that hurts."""


class FirstCodeForm(CodeInOurWords, totp.ActivateTOTPForm):
    """Proves that the app has the secret."""

    label = "The code that your app shows now"
    help = "Six figures. They change every half minute."


# What fido2 and cryptography raise on answers that no browser gives; allauth expects some of them only.
MALFORMED = (
    *(KeyError, IndexError, ValueError, TypeError, AttributeError, OverflowError, RecursionError),
    *(struct.error, InvalidSignature, UnsupportedAlgorithm),
)


@contextmanager
def hostile_answers_refused() -> Iterator[None]:
    """Turn whatever a browser's answer breaks into the sentence that it did not work."""
    try:
        yield
    except MALFORMED as error:
        raise get_adapter().validation_error("incorrect_code") from error


class AnyAnswer(forms.Form):
    """Of a form that takes a passkey's answer: hostile ones are refused, never a fault."""

    def clean_credential(self) -> Authenticator:
        with hostile_answers_refused():
            return super().clean_credential()  # type: ignore[misc]  # allauth's forms below have it


class PasskeyForm(AnyAnswer, webauthn.AuthenticateWebAuthnForm):
    """A passkey as the second step."""


class PasskeyAgainForm(AnyAnswer, webauthn.ReauthenticateWebAuthnForm):
    """A passkey before something that hurts."""


class PasskeyLogInForm(AnyAnswer, webauthn.LoginWebAuthnForm):
    """A passkey alone."""


class NewPasskeyForm(webauthn.AddWebAuthnForm):
    """A passkey, made by the browser."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        name, alone = self.fields["name"], self.fields["passwordless"]
        name.label, name.help_text = "Name", "By which you know it again: where it is kept, say."
        name.widget.attrs["maxlength"] = MAX_NAME
        name.validators.append(_short_enough)
        alone.label = "Let me log in with it alone, without a password"
        alone.help_text = (
            "It then asks for your finger, face or PIN. Leave it out for a key that can ask for none."
        )
        alone.initial = True

    def clean(self) -> dict:
        """Refuse one more than fit, before anything is looked at."""
        if (
            Authenticator.objects.filter(user=self.user, type=Authenticator.Type.WEBAUTHN).count()
            >= MAX_PASSKEYS
        ):
            raise ValidationError(
                f"You have {MAX_PASSKEYS} passkeys, which is all we keep. Remove one first."
            )
        with hostile_answers_refused():
            return super().clean()


class RenamePasskeyForm(webauthn.EditWebAuthnForm):
    """Another name for a passkey."""

    name = forms.CharField(label="Name", max_length=MAX_NAME)


def _short_enough(name: str) -> None:
    if len(name) > MAX_NAME:
        raise ValidationError(f"A name has at most {MAX_NAME} characters.")
