"""The form of the characters page. What a name may be is decided by characters.name_rules."""

from django import forms


class NewCharacterForm(forms.Form):
    """A name for a new character."""

    name = forms.CharField(
        label="Name",
        max_length=100,
        strip=False,
        help_text="3 to 20 letters; one apostrophe, hyphen or space may stand between them. "
        "Nobody else on any world has it.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
        error_messages={"required": "Give your character a name."},
    )
