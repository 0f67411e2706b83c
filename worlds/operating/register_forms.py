"""The form by which an operator registers a world."""

from django import forms

from worlds.operating.registering_rules import address_fault, slug_of

LANGUAGES = (
    ("en", "English"),
    ("de", "Deutsch"),
    ("es", "Español"),
    ("fr", "Français"),
    ("it", "Italiano"),
    ("nl", "Nederlands"),
    ("pl", "Polski"),
    ("pt", "Português"),
    ("ru", "Русский"),
    ("ja", "日本語"),
    ("ko", "한국어"),
    ("zh", "中文"),
)


class RegisterWorldForm(forms.Form):
    """What a world needs to begin with. Names are checked by worlds.rules, in the service."""

    name = forms.CharField(
        label="Name",
        max_length=60,
        help_text="As players will read it. You can change it later.",
        widget=forms.TextInput(attrs={"autofocus": True, "autocomplete": "off"}),
    )
    slug = forms.CharField(
        label="Address name",
        max_length=40,
        required=False,
        help_text="Small letters, digits and hyphens; it stays for good. Left empty: made from the name.",
        widget=forms.TextInput(
            attrs={"autocomplete": "off", "autocapitalize": "none", "spellcheck": "false"}
        ),
    )
    tagline = forms.CharField(
        label="In one line", max_length=140, required=False, help_text="What awaits people there."
    )
    language = forms.ChoiceField(label="Language", choices=LANGUAGES)
    address = forms.CharField(
        label="Public address of your machine",
        max_length=120,
        required=False,
        help_text="The name or IP address that players use, such as play.example.org. "
        "Left empty, it is the one from which your machine calls us.",
        widget=forms.TextInput(
            attrs={"autocomplete": "off", "autocapitalize": "none", "spellcheck": "false"}
        ),
    )

    def clean_slug(self) -> str:
        """Fill in what is left empty."""
        typed = self.cleaned_data["slug"].strip().lower()
        return typed or slug_of(self.cleaned_data.get("name", ""))

    def clean_address(self) -> str:
        """Check that it is a host: no port, no scheme."""
        address = self.cleaned_data["address"].strip().lower()
        if fault := address_fault(address):
            raise forms.ValidationError(fault)
        return address
