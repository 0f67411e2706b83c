"""The search form of the world list."""

from collections.abc import Mapping, Sequence

from django import forms

from accounts.rules import Edition
from worlds.models import World
from worlds.operating.texts import TAGS
from worlds.selectors import DEFAULT_ORDER, WorldFilters

ANY = ("", "Any")
FINER = ("tier", "edition", "language", "region", "ruleset", "tag", "online")
MOST_CHOICES = 100  # of one field: a page has its weight


class WorldSearchForm(forms.Form):
    """What a person looks for. A value that cannot be is left out rather than complained about.

    Args: known: which languages, regions, rulesets and tags there are (worlds.selectors.choices_of_list).
    """

    search = forms.CharField(
        label="Search", required=False, max_length=80, widget=forms.TextInput(attrs={"type": "search"})
    )
    order = forms.ChoiceField(
        label="Sort by",
        required=False,
        choices=[("-players", "Most players"), ("age", "Newest"), ("name", "By name")],
    )
    tier = forms.ChoiceField(label="Tier", required=False, choices=[ANY, *World.Tier.choices])
    edition = forms.ChoiceField(
        label="Edition", required=False, choices=[ANY, *((e.value, e.name.title()) for e in Edition)]
    )
    language = forms.ChoiceField(label="Language", required=False)
    region = forms.ChoiceField(label="Region", required=False)
    ruleset = forms.ChoiceField(label="Play", required=False)
    tag = forms.ChoiceField(label="About", required=False)
    online = forms.BooleanField(label="Only those that are open now", required=False)

    def __init__(self, data: Mapping[str, str], known: Mapping[str, Sequence[str]]) -> None:
        super().__init__(data)
        for name in ("language", "region", "ruleset"):
            self._offer(name, [(word, word) for word in known[name]])
        self._offer("tag", [(tag, TAGS.get(tag, tag)) for tag in known["tags"]])

    def _offer(self, name: str, choices: list[tuple[str, str]]) -> None:
        field = self.fields[name]
        assert isinstance(field, forms.ChoiceField)  # noqa: S101  (for mypy)
        field.choices = [ANY, *choices[:MOST_CHOICES]]

    def filters(self) -> WorldFilters:
        """Return the filters for worlds.selectors.listed_worlds."""
        self.is_valid()
        found = {name: value for name, value in self.cleaned_data.items() if value}
        search = "".join(sign for sign in found.pop("search", "") if sign.isprintable())
        is_online = True if found.pop("online", False) else None
        return WorldFilters(
            search=search, order=found.pop("order", DEFAULT_ORDER), is_online=is_online, **found
        )

    def finer(self) -> list[forms.BoundField]:
        """Return the fields that are out of sight until somebody wants them."""
        return [self[name] for name in FINER]

    def finer_in_use(self) -> int:
        """Return how many of those narrow the list."""
        return sum(bool(self.cleaned_data.get(name)) for name in FINER)

    def is_search(self) -> bool:
        """Return whether anything narrows the list."""
        return bool(self.cleaned_data.get("search")) or self.finer_in_use() > 0
