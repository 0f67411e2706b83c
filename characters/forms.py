"""The forms of the characters pages. What a name may be is decided by characters.name_rules."""

from typing import Any

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


class RenameCharacterForm(NewCharacterForm):
    """Another name for a character."""


class DeleteCharacterForm(forms.Form):
    """Deletes a character once its name is typed: no slip of the finger does that."""

    name = forms.CharField(
        label="Its name",
        max_length=100,
        help_text="Type it as it stands above.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
        error_messages={"required": "Type the name if you are sure."},
    )

    def __init__(self, *args: Any, character_name: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.character_name = character_name

    def clean_name(self) -> str:
        """Accept the name in any case."""
        name = self.cleaned_data["name"]
        if name.strip().casefold() != self.character_name.casefold():
            raise forms.ValidationError(f"That is not its name. It is {self.character_name}.")
        return name
