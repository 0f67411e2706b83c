"""Forms of second factors: allauth's, said in our words, with bounds."""

from typing import Any

from allauth.mfa.base import forms as mfa
from allauth.mfa.models import Authenticator
from allauth.mfa.totp import forms as totp
from allauth.mfa.webauthn import forms as webauthn
from django import forms
from django.core.exceptions import ValidationError

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
        field.max_length = MAX_NAME
        field.error_messages["required"] = "Type the code."


class CodeForm(CodeInOurWords, mfa.AuthenticateForm):
    """The second step of a log-in."""


class CodeAgainForm(CodeInOurWords, mfa.ReauthenticateForm):
    """A code before something that hurts."""


class FirstCodeForm(CodeInOurWords, totp.ActivateTOTPForm):
    """Proves that the app has the secret."""

    label = "The code that your app shows now"
    help = "Six figures. They change every half minute."


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
        return super().clean()


class RenamePasskeyForm(webauthn.EditWebAuthnForm):
    """Another name for a passkey."""

    name = forms.CharField(label="Name", max_length=MAX_NAME)


def _short_enough(name: str) -> None:
    if len(name) > MAX_NAME:
        raise ValidationError(f"A name has at most {MAX_NAME} characters.")
