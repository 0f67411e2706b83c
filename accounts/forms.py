"""Forms of the account pages that are ours; the other ones are allauth's."""

from django import forms


class RegistrationForm(forms.Form):
    """What a person registers with. The checks are services.register_account's."""

    email = forms.EmailField(
        label="E-mail address",
        max_length=254,
        widget=forms.EmailInput(attrs={"autocomplete": "email", "autofocus": True}),
        error_messages={"invalid": "This is not a complete e-mail address. It looks like name@example.org."},
    )
    password = forms.CharField(
        label="Password",
        max_length=1000,
        strip=False,
        help_text="At least 10 characters. Three or four words that only you would put together do well.",
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )
