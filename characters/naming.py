"""Another name for a character."""

from datetime import datetime, timedelta
from uuid import UUID

import structlog
from django.db import IntegrityError, transaction

from accounts.models import Account, AuditRecord
from accounts.services import record_audit
from characters.models import Character, FormerName, Line
from characters.name_rules import check_name, name_key
from characters.services import CharacterInPlay, NameTaken, NoSuchCharacter

log = structlog.get_logger(__name__)

PAUSE = timedelta(days=30)  # between two names of one character: others must be able to find it again


class RenamedLately(Exception):
    """The character has had another name not long ago."""


def rename_character(*, account: Account, character_id: UUID, name: str, now: datetime) -> Character:
    """Give a character another name; the old one is free again.

    Raises: BadName; NameTaken; NoSuchCharacter; CharacterInPlay; RenamedLately. Each says what to do.
    """
    name = check_name(name)
    try:
        with transaction.atomic():
            mine = Character.objects.select_for_update(no_key=True).filter(account=account, deleted_at=None)
            character = mine.filter(id=character_id).first()
            if character is None:
                raise NoSuchCharacter("You have no such character.")
            _check(character, account, now)
            FormerName.objects.create(character=character, name=character.name, until=now)
            character.name, character.name_key = name, name_key(name)
            character.save(update_fields=["name", "name_key"])
            record_audit(
                action="character_renamed",
                account=account,
                target=str(character.id),
                now=now,
            )
    except IntegrityError as error:
        if "character_name_taken" not in str(error):
            raise
        raise NameTaken(f"The name {name} is taken, or looks like one that is; choose another.") from error
    log.info("character_renamed", character=str(character_id))
    return character


def _check(character: Character, account: Account, now: datetime) -> None:
    held = Line.objects.filter(character=character, holder__isnull=False, lease_until__gt=now)
    if held.exists():
        raise CharacterInPlay(f"{character.name} is in a world; log out there first.")
    deeds = AuditRecord.objects.filter(
        account=account, action="character_renamed", target=str(character.id), at__gt=now - PAUSE
    )
    latest = deeds.order_by("-at").first()
    if latest is not None:
        again = latest.at + PAUSE
        raise RenamedLately(
            f"{character.name} got this name lately. Another one is possible from {again:%-d %B %Y} on."
        )
