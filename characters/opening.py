"""Which characters stay open when an account has more than its edition has slots: the player chooses.

What is not chosen is locked, never changed. A choice holds over changes of the edition, until the next one.
Called by the page of the characters and by REST.
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from django.db import transaction

from accounts.models import Account
from accounts.rules import LIMITS
from accounts.selectors import edition_of
from accounts.services import record_audit
from characters.models import Character, Line
from characters.rules import locked
from characters.services import CharacterInPlay, NoSuchCharacter

CHOOSE_AGAIN_AFTER = timedelta(
    days=1
)  # else three slots, chosen anew before each entry, would be as good as 24

log = structlog.get_logger(__name__)


class BadChoice(Exception):
    """Too many, too few, or nothing to choose."""


class ChosenLately(Exception):
    """The last choice is not a day old."""


def choose_open(*, account: Account, characters: Collection[UUID], by: Account, now: datetime) -> None:
    """Keep these characters open, and lock the others as far as the edition has no slots for them.

    Of slots that are left over the oldest of the others get one. The same choice again changes nothing.

    Raises: BadChoice; ChosenLately; NoSuchCharacter; CharacterInPlay: one that would be locked is in a world.
    """
    wanted = set(characters)
    with transaction.atomic():
        Account.objects.select_for_update(no_key=True).get(pk=account.pk)
        mine = list(Character.objects.filter(account=account, deleted_at=None).order_by("created_at", "id"))
        slots = LIMITS[edition_of(account, now)].character_slots
        before = {each.id for each in mine if each.kept_open_at is not None}
        _check(mine, wanted, slots)
        if wanted == before:
            return
        _check_time(mine, now)
        _check_nobody_plays(mine, wanted, slots, now)
        Character.objects.filter(account=account).exclude(id__in=wanted).update(kept_open_at=None)
        Character.objects.filter(account=account, id__in=wanted).update(kept_open_at=now)
        record_audit(
            action="characters_chosen",
            account=by,
            target=str(account.uid),
            detail={},
            now=now,
            before={"open": sorted(map(str, before))},
            after={"open": sorted(map(str, wanted))},
        )
    log.info("characters_chosen", account=account.pk, open=len(wanted))


def may_choose_at(last: datetime | None) -> datetime | None:
    """Return from when on another choice can be made. Args: last: the instant of the last one, if any."""
    return last + CHOOSE_AGAIN_AFTER if last is not None else None


def _check(mine: list[Character], wanted: set[UUID], slots: int) -> None:
    if not wanted <= {each.id for each in mine}:
        raise NoSuchCharacter("You have no such character.")
    if len(mine) <= slots:
        raise BadChoice("All your characters are open; there is nothing to choose.")
    if len(wanted) > slots:
        raise BadChoice(f"Your edition keeps {slots} characters open. You have ticked {len(wanted)}.")
    if not wanted:
        raise BadChoice("Tick at least one character to keep open.")


def _check_time(mine: list[Character], now: datetime) -> None:
    next_at = may_choose_at(max((each.kept_open_at for each in mine if each.kept_open_at), default=None))
    if next_at is not None and now < next_at:
        raise ChosenLately(
            f"You have chosen less than a day ago. You can choose again from {next_at:%d %B, %H:%M} UTC on."
        )


def _check_nobody_plays(mine: list[Character], wanted: set[UUID], slots: int, now: datetime) -> None:
    """Raises: CharacterInPlay."""
    over = locked([each.id for each in mine], slots, wanted)
    playing = Line.objects.filter(character__in=over, holder__isnull=False, lease_until__gt=now)
    held = playing.select_related("character").first()
    if held is not None:
        raise CharacterInPlay(f"{held.character.name} is in a world; log out there, then lock it.")
