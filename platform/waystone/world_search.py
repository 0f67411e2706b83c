"""The search form of the world list."""

from django import forms

from accounts.rules import Edition
from worlds.models import World
from worlds.selectors import DEFAULT_ORDER, WorldFilters

ANY = ("", "Any")


class WorldSearchForm(forms.Form):
    """What a person looks for. A value that cannot be is left out rather than complained about."""

    search = forms.CharField(
        label="Search", required=False, max_length=80, widget=forms.TextInput(attrs={"type": "search"})
    )
    tier = forms.ChoiceField(label="Tier", required=False, choices=[ANY, *World.Tier.choices])
    edition = forms.ChoiceField(
        label="Edition", required=False, choices=[ANY, *((e.value, e.name.title()) for e in Edition)]
    )
    order = forms.ChoiceField(
        label="Sort by",
        required=False,
        choices=[("-players", "Most players"), ("age", "Newest"), ("name", "By name")],
    )

    def filters(self) -> WorldFilters:
        """Return the filters for worlds.selectors.listed_worlds."""
        self.is_valid()
        found = {name: value for name, value in self.cleaned_data.items() if value}
        search = "".join(sign for sign in found.pop("search", "") if sign.isprintable())
        return WorldFilters(search=search, order=found.pop("order", DEFAULT_ORDER), **found)

    def is_search(self) -> bool:
        """Return whether anything narrows the list."""
        return any(self.cleaned_data.get(name) for name in ("search", "tier", "edition"))
