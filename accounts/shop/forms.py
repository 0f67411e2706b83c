"""Forms of the shop's pages."""

from typing import Any

from django import forms

from accounts.models import Account, Payment
from accounts.shop.prices import Prices
from accounts.shop.showing import money

EMAIL_WRONG = "This is not a complete e-mail address. It looks like name@example.org."


class CheckoutForm(forms.Form):
    """What to buy, and for whom. Who is not logged in says where the receipt goes."""

    product = forms.ChoiceField(
        label="How long",
        widget=forms.RadioSelect,
        error_messages={"invalid_choice": "This is not for sale any more. Choose one of these."},
    )
    recipient = forms.ChoiceField(label="For whom", widget=forms.RadioSelect)
    recipient_email = forms.EmailField(
        label="Their e-mail address",
        required=False,
        max_length=254,
        help_text="Only if it is for somebody else. It waits until an account with it is confirmed.",
        error_messages={"invalid": EMAIL_WRONG},
        widget=forms.EmailInput(attrs={"autocomplete": "off"}),
    )
    email = forms.EmailField(
        label="Your e-mail address",
        max_length=254,
        help_text="The receipt goes there. Without an account yet, your Premium waits for it.",
        error_messages={"invalid": EMAIL_WRONG},
        widget=forms.EmailInput(attrs={"autocomplete": "email"}),
    )

    def __init__(self, *args: Any, buyer: Account | None, prices: Prices, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.buyer = buyer
        self.fields["product"].choices = [  # type: ignore[attr-defined]
            (each.slug, f"{each.title}, {money(each.amount, each.currency)}") for each in prices.products
        ]
        mine = "Me, on this account" if buyer else "Me: I will sign up with my address, or have done so"
        self.fields["recipient"].choices = [  # type: ignore[attr-defined]
            ("buyer", mine),
            ("email", "Somebody whose e-mail address I know"),
            ("code", "A gift code, to give away as I like"),
        ]
        if buyer is not None:
            del self.fields["email"]

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        wants_address = data.get("recipient") == "email"
        if wants_address and not data.get("recipient_email") and "recipient_email" not in self.errors:
            self.add_error("recipient_email", "Whose address? Type it here.")
        return data

    def purchase(self) -> dict[str, Any]:
        """Return recipient, recipient_email and email as open_payment wants them."""
        data = self.cleaned_data
        email = self.buyer.email if self.buyer is not None else data["email"]
        recipient, theirs = data["recipient"], data["recipient_email"]
        if recipient == Payment.Recipient.BUYER and self.buyer is None:
            recipient, theirs = Payment.Recipient.EMAIL, email
        return {"recipient": recipient, "recipient_email": theirs, "email": email}


class CodeForm(forms.Form):
    """A gift code."""

    code = forms.CharField(
        label="Gift code",
        max_length=60,
        help_text="Sixteen letters and digits. Hyphens and small letters do not matter.",
        widget=forms.TextInput(
            attrs={
                "autocomplete": "off",
                "autocapitalize": "characters",
                "spellcheck": "false",
                "class": "code-input",
            }
        ),
    )
