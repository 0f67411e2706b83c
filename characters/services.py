"""What a player does with characters: make one, delete one. Leases and saves have modules of their own."""

from datetime import datetime
from uuid import UUID

import structlog
from django.db import IntegrityError, transaction

from accounts.models import Account
from accounts.rules import LIMITS
from accounts.selectors import edition_of
from accounts.services import record_audit
from characters.lines import begin_main_line
from characters.models import Character, Line
from characters.name_rules import check_name, name_key

log = structlog.get_logger(__name__)


class NameTaken(Exception):
    """A character has this name, or one that looks like it."""


class NoFreeSlot(Exception):
    """The account has as many characters as its edition allows."""


class CharacterInPlay(Exception):
    """A world holds a lease of the character."""


class NoSuchCharacter(Exception):
    """The account has no such character."""


def create_character(*, account: Account, name: str, by: Account, now: datetime) -> Character:
    """Make a character with its main line.

    Raises: BadName; NoFreeSlot; NameTaken. Each says what to do.
    """
    name = check_name(name)
    slots = LIMITS[edition_of(account, now)].character_slots
    try:
        with transaction.atomic():
            # Locked, so that two requests at once do not both take the last slot.
            Account.objects.select_for_update(no_key=True).get(pk=account.pk)
            if Character.objects.filter(account=account, deleted_at=None).count() >= slots:
                raise NoFreeSlot(f"Your edition has {slots} character slots and all are taken.")
            character = Character.objects.create(
                account=account, name=name, name_key=name_key(name), created_at=now
            )
            begin_main_line(character=character, now=now)
            record_audit(
                action="character_created",
                account=by,
                target=str(character.id),
                now=now,
            )
    except IntegrityError as error:
        if "character_name_taken" not in str(error):
            raise
        log.info("character_refused", reason="name_taken", name=name)
        raise NameTaken(f"The name {name} is taken, or looks like one that is; choose another.") from error
    log.info("character_created", character=str(character.id), name=name)
    return character


def delete_character(*, account: Account, character_id: UUID, by: Account, now: datetime) -> None:
    """Mark a character as deleted: gone from the account, its name free again, its history kept.

    Raises: NoSuchCharacter: none of this account's. CharacterInPlay: log out first.
    """
    with transaction.atomic():
        mine = Character.objects.select_for_update(no_key=True).filter(account=account, deleted_at=None)
        character = mine.filter(id=character_id).first()
        if character is None:
            raise NoSuchCharacter("You have no such character.")
        lines = Line.objects.select_for_update(no_key=True).filter(character=character)
        if any(line.lease_until and line.holder_id and now < line.lease_until for line in lines):
            raise CharacterInPlay(f"{character.name} is in a world; log out there, then delete.")
        # A world with a lapsed lease could still write: its epoch ends here, with its holder.
        lines.update(holder=None, lease_until=None)
        Character.objects.filter(pk=character.pk).update(deleted_at=now)
        record_audit(
            action="character_deleted",
            account=by,
            target=str(character.id),
            now=now,
        )
    log.info("character_deleted", character=str(character_id))
