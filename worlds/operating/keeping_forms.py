"""The forms of the pages by which a world is kept. What is true of the world is decided by services."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django import forms

from worlds.operating.orders import OrderRefused
from worlds.operating.register_forms import LANGUAGES
from worlds.operating.rules import GIVEN_ROLES, ROLE_WORDS
from worlds.operating.texts import MAX_TAGS, TAGS
from worlds.restart_rules import MAX_BLACKOUT_DAYS, NeverDue, blackout_of, fault_of, zone_of
from worlds.restart_rules import Policy as PolicyRules
from worlds.uplink.orders import Policy

LASTING = (
    ("hour", "an hour", timedelta(hours=1)),
    ("day", "a day", timedelta(days=1)),
    ("week", "a week", timedelta(days=7)),
    ("month", "30 days", timedelta(days=30)),
    ("good", "for good", None),
)
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
KINDS = (("rolling", "Zone by zone: nobody is put out"), ("full", "All at once: back within two minutes"))


def _area(rows: int) -> forms.Textarea:
    return forms.Textarea(attrs={"rows": rows})


class PageForm(forms.Form):
    """What the page of a world says."""

    tagline = forms.CharField(
        label="In one line", max_length=140, required=False, help_text="Under its name in the list."
    )
    description = forms.CharField(
        label="About this world",
        max_length=4000,
        required=False,
        widget=_area(8),
        help_text="What it is like, what is going on there. An empty line begins a new paragraph.",
    )
    motd = forms.CharField(
        label="Message of the day",
        max_length=400,
        required=False,
        widget=_area(2),
        help_text="Told to everybody who comes in; a new one at once to those who are in.",
    )
    house_rules = forms.CharField(
        label="Rules",
        max_length=4000,
        required=False,
        widget=_area(6),
        help_text="How people behave here. One rule to a line reads best.",
    )
    appeals = forms.CharField(
        label="How to ask for a ban to be lifted",
        max_length=600,
        required=False,
        widget=_area(2),
        help_text="Told to whoever is banned: where you can be reached.",
    )
    tags = forms.MultipleChoiceField(
        label="Tags",
        choices=list(TAGS.items()),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=f"At most {MAX_TAGS}. People search by them.",
    )
    language = forms.ChoiceField(label="Language", choices=LANGUAGES)
    region = forms.RegexField(
        label="Region",
        regex=r"^[a-z0-9][a-z0-9-]{0,23}$",
        max_length=24,
        help_text="Where the machine stands, such as eu-west: small letters, digits and hyphens.",
        error_messages={"invalid": "Use small letters, digits and hyphens, such as eu-west."},
    )
    ruleset = forms.RegexField(
        label="Ruleset",
        regex=r"^[a-z0-9][a-z0-9-]{0,23}$",
        max_length=24,
        help_text="Such as co-op: small letters, digits and hyphens.",
        error_messages={"invalid": "Use small letters, digits and hyphens, such as co-op."},
    )
    is_listed = forms.BooleanField(
        label="Show this world in the list",
        required=False,
        help_text="If not, only who knows its address finds it.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        language = self.initial.get("language", "")
        if language and language not in dict(LANGUAGES):  # one that the staff has set stays
            self.fields["language"].choices = [*LANGUAGES, (language, language)]  # type: ignore[attr-defined]

    def clean_tags(self) -> list[str]:
        """Check how many."""
        tags: list[str] = self.cleaned_data["tags"]
        if len(tags) > MAX_TAGS:
            raise forms.ValidationError(f"Choose at most {MAX_TAGS}.")
        return tags

    def clean(self) -> dict[str, Any]:
        """Write line ends as one character."""
        return {
            key: value.replace("\r\n", "\n") if isinstance(value, str) else value
            for key, value in self.cleaned_data.items()
        }


class BannerForm(forms.Form):
    """A picture for the head of the page."""

    banner = forms.FileField(
        label="Picture",
        help_text="JPEG, PNG or WebP, at most 1.5 MB. It is cut to three times as wide as high, 1440 by 480.",
        widget=forms.ClearableFileInput(attrs={"accept": "image/jpeg,image/png,image/webp"}),
        error_messages={"required": "Choose a picture first."},
    )


class AnnounceForm(forms.Form):
    """A line for everybody in play."""

    text = forms.CharField(
        label="Tell all players",
        max_length=400,
        help_text="Said once to everybody who is in the world.",
        error_messages={"required": "Write what is to be said."},
    )


class MaintenanceForm(forms.Form):
    """Why nobody is let in."""

    text = forms.CharField(
        label="Why, for players",
        max_length=200,
        required=False,
        help_text="Such as: new stairs, back at 20:00 UTC.",
    )


class DeedForm(forms.Form):
    """What is done about a player."""

    deed = forms.ChoiceField(
        label="What to do",
        choices=(
            ("kick", "Put out: saved as if they had left, and may come again"),
            ("mute", "Mute: nobody hears them here"),
            ("ban", "Ban: put out, and not let in again"),
        ),
        widget=forms.RadioSelect,
        error_messages={"required": "Choose one."},
    )
    reason = forms.CharField(
        label="Reason",
        max_length=200,
        required=False,
        help_text="Told to the player. Needed for a mute or a ban.",
    )
    lasting = forms.ChoiceField(
        label="For how long",
        choices=[(key, words) for key, words, _ in LASTING],
        initial="day",
        help_text="Of a mute or a ban.",
    )

    def clean(self) -> dict[str, Any]:
        """A mute or a ban needs a reason."""
        values = self.cleaned_data
        if values.get("deed") in ("mute", "ban") and not values.get("reason") and "reason" not in self.errors:
            self.add_error("reason", "Say why: the player is told.")
        return values

    def until(self, now: datetime) -> datetime | None:
        """Return when it ends; None: never."""
        lasts = {key: for_ for key, _, for_ in LASTING}[self.cleaned_data["lasting"]]
        return None if lasts is None else now + lasts


class FindForm(forms.Form):
    """A character by name, in play or not."""

    name = forms.CharField(label="Name of the character", max_length=40)


class InviteForm(forms.Form):
    """Who is asked to keep the world, and as what."""

    email = forms.EmailField(
        label="E-mail address", help_text="They get a letter; they need an account with this address."
    )
    role = forms.ChoiceField(
        label="Role",
        choices=[(role.value, f"{role.value.title()}: {ROLE_WORDS[role]}") for role in GIVEN_ROLES],
        widget=forms.RadioSelect,
        initial="moderator",
    )


class PolicyForm(forms.Form):
    """By which policy a world restarts."""

    when = forms.ChoiceField(
        label="When",
        choices=(
            ("never", "Never by itself"),
            ("off_peak", "In its quietest hour, learned from how many play"),
            ("fixed", "At a fixed time"),
        ),
        widget=forms.RadioSelect,
    )
    at = forms.TimeField(
        label="Time",
        required=False,
        help_text="Local; of a fixed restart.",
        widget=forms.TimeInput(attrs={"type": "time"}, format="%H:%M"),
    )
    time_zone = forms.CharField(label="Time zone", max_length=64, help_text="As Europe/Berlin, or UTC.")
    weekdays = forms.MultipleChoiceField(
        label="Days of the week",
        choices=[(str(number), name) for number, name in enumerate(WEEKDAYS)],
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": "Choose at least one day."},
    )
    kind = forms.ChoiceField(label="How", choices=KINDS, widget=forms.RadioSelect)
    min_uptime_h = forms.IntegerField(
        label="Hours between two at least", min_value=0, max_value=1000, widget=forms.NumberInput
    )
    blackout_days = forms.CharField(
        label="Not on these dates",
        required=False,
        max_length=6000,
        widget=_area(2),
        help_text="Such as 2026-12-24; several on lines of their own.",
    )

    @staticmethod
    def initial_of(policy: Policy | None) -> dict[str, Any]:
        """Return the form's values of a policy."""
        policy = policy or Policy("never")
        return {
            "when": policy.when,
            "at": time.fromisoformat(policy.at) if policy.at else None,
            "time_zone": policy.time_zone,
            "weekdays": [str(day) for day in range(7) if policy.weekdays >> day & 1],
            "kind": policy.kind,
            "min_uptime_h": policy.min_uptime_h,
            "blackout_days": "\n".join(policy.blackout_days),
        }

    def clean_time_zone(self) -> str:
        """Check that there is such a zone."""
        name: str = self.cleaned_data["time_zone"].strip()
        try:
            zone_of(name)
        except NeverDue as error:
            raise forms.ValidationError(str(error)) from error
        return name

    def clean_blackout_days(self) -> list[str]:
        """Read the dates."""
        days = self.cleaned_data["blackout_days"].replace(",", " ").split()
        for day in days:
            try:
                date.fromisoformat(day)
            except ValueError as error:
                raise forms.ValidationError(f"{day[:20]!r} is no date. Write 2026-12-24.") from error
        if len(days) > MAX_BLACKOUT_DAYS:
            raise forms.ValidationError(f"At most {MAX_BLACKOUT_DAYS} dates.")
        return days

    def policy(self, now: datetime) -> Policy:
        """Return the policy of a valid form. Raises: OrderRefused: it can never fire."""
        values = self.cleaned_data
        rules = PolicyRules(
            when=values["when"],
            at=values["at"],
            time_zone=values["time_zone"],
            weekdays=sum(1 << int(day) for day in values["weekdays"]),
            min_uptime=timedelta(hours=values["min_uptime_h"]),
            blackout_days=blackout_of(values["blackout_days"]),
        )
        if fault := fault_of(rules, now):
            raise OrderRefused(fault)
        return Policy(
            when=rules.when,
            kind=values["kind"],
            at=None if rules.at is None else f"{rules.at:%H:%M}",
            time_zone=rules.time_zone,
            weekdays=rules.weekdays,
            min_uptime_h=values["min_uptime_h"],
            blackout_days=values["blackout_days"],
        )


class PlanForm(forms.Form):
    """A restart at an instant."""

    due_at = forms.DateTimeField(
        label="When, UTC",
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
        help_text="Players are told an hour, half an hour, 15, 5 and 1 minutes before.",
        input_formats=["%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"],
        error_messages={"invalid": "Write a date and a time, such as 2026-12-24 04:00."},
    )
    kind = forms.ChoiceField(label="How", choices=KINDS, widget=forms.RadioSelect, initial="rolling")
    reason = forms.CharField(
        label="Why, for players", max_length=200, required=False, help_text="Such as: a new zone."
    )

    def clean_due_at(self) -> datetime:
        """The field is UTC, whatever zone the site runs in."""
        typed: datetime = self.cleaned_data["due_at"]
        return typed.replace(tzinfo=UTC)


class PostponeForm(forms.Form):
    """By how long the next restart is put off."""

    minutes = forms.TypedChoiceField(
        label="Postpone by",
        choices=((15, "15 minutes"), (60, "an hour"), (240, "4 hours"), (1440, "a day")),
        coerce=int,
    )
    was_due_at = forms.CharField(widget=forms.HiddenInput, max_length=40)

    def clean_was_due_at(self) -> datetime:
        """Read which restart the page has shown."""
        try:
            instant = datetime.fromisoformat(self.cleaned_data["was_due_at"])
        except ValueError as error:
            raise forms.ValidationError("Load the page again.") from error
        if instant.tzinfo is None:
            raise forms.ValidationError("Load the page again.")
        return instant
