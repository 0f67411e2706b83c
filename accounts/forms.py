"""Forms of the account pages: registering is ours; the other ones are allauth's, said in our words."""

from typing import Any

from allauth.account import forms as allauth
from allauth.account.models import EmailAddress
from django import forms
from django.http import HttpRequest

from accounts.models import Account

PASSWORD_HELP = "At least 10 characters. Three or four words that only you would put together do well."
NOT_AN_ADDRESS = "This is not a complete e-mail address. It looks like name@example.org."


class RegistrationForm(forms.Form):
    """What a person registers with. The checks are services.register_account's."""

    email = forms.EmailField(
        label="E-mail address",
        max_length=254,
        widget=forms.EmailInput(attrs={"autocomplete": "email", "autofocus": True}),
        error_messages={"invalid": NOT_AN_ADDRESS},
    )
    password = forms.CharField(
        label="Password",
        max_length=1000,
        strip=False,
        help_text=PASSWORD_HELP,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )


class InOurWords(forms.Form):
    """Takes out place-holders, which repeat the labels in grey, and names fields as the other pages do."""

    names = {
        "login": "E-mail address",
        "email": "E-mail address",
        "password": "Password",
        "oldpassword": "The one you have now",
        "password1": "New password",
        "password2": "Once more",
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, field in self.fields.items():
            field.widget.attrs.pop("placeholder", None)
            field.label = self.names.get(name, field.label)
            field.help_text = PASSWORD_HELP if name == "password1" else ""


class LogInForm(InOurWords, allauth.LoginForm):
    """Log-in."""


class LostPasswordForm(InOurWords, allauth.ResetPasswordForm):
    """Asks for the letter."""


class NewPasswordForm(InOurWords, allauth.ResetPasswordKeyForm):
    """Where the letter leads."""


class ChangePasswordForm(InOurWords, allauth.ChangePasswordForm):
    """For those who are logged in."""


class AgainForm(InOurWords, allauth.ReauthenticateForm):
    """Asks for the password before something that hurts."""


class NewAddressForm(InOurWords, allauth.AddEmailForm):
    """Another e-mail address."""

    names = {"email": "New e-mail address"}

    def save(self, request: HttpRequest) -> EmailAddress:
        """Note the address as one that waits, in place of another that waited; write to it.

        Not allauth's: that takes an unconfirmed address away before the new one is confirmed.
        """
        Account.objects.select_for_update(no_key=True).get(pk=self.user.pk)  # a double click asks twice
        EmailAddress.objects.filter(user=self.user, primary=False).delete()
        address = EmailAddress.objects.create(
            user=self.user, email=self.cleaned_data["email"], primary=False, verified=False
        )
        address.send_confirmation(request)
        return address
