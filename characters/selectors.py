"""Reads about characters: an account's list, a world's view of it, and how many play where."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Count

from accounts.models import Account
from accounts.rules import LIMITS, Edition
from accounts.selectors import edition_of
from characters.models import Character, Line
from characters.readings import reading_of
from characters.rules import line_kind, locked, why_fork
from worlds.models import World
from zonecluster.protocol.to_client import CharacterSummary


@dataclass(frozen=True)
class LineRow:
    """One line of a character, as a page shows it. `places`: world slug → zone slug."""

    id: UUID
    world: str | None  # slug of the world whose fork it is; None: main
    world_name: str | None
    version: int
    level: int
    places: dict[str, str]
    updated_at: datetime
    playing_in: str | None  # slug of the world whose lease is in force
    playing_in_name: str | None
    is_readable: bool = True  # else level and places are not known
    is_undecided: bool = False  # a fork to which writes fell for the budget; the staff has not decided yet


@dataclass(frozen=True)
class CharacterRow:
    """One character of an account. `level` and `places` are those of its main line."""

    id: UUID
    name: str
    created_at: datetime
    is_locked: bool
    level: int
    places: dict[str, str]
    main: LineRow
    forks: list[LineRow]

    @property
    def playing_in(self) -> str | None:
        """Slug of a world that plays it now."""
        return next((line.playing_in for line in (self.main, *self.forks) if line.playing_in), None)


@dataclass(frozen=True)
class CharacterList:
    """An account's characters, oldest first, and what its edition allows."""

    edition: Edition
    slots: int
    characters: list[CharacterRow]
    chosen_at: datetime | None = None  # when the player last chose which of them are open

    @property
    def has_locked(self) -> bool:
        """Whether there are more characters than slots."""
        return len(self.characters) > self.slots

    @property
    def free_slots(self) -> int:
        return max(0, self.slots - len(self.characters))


def characters_of(account: Account, now: datetime) -> CharacterList:
    """Return the account's characters with their lines, oldest first: one query, and one for the edition."""
    edition = edition_of(account, now)
    slots = LIMITS[edition].character_slots
    lines_by_character: dict[UUID, list[Line]] = defaultdict(list)
    for line in _lines_of(account):
        lines_by_character[line.character_id].append(line)
    chosen = {key for key, lines in lines_by_character.items() if lines[0].character.kept_open_at}
    over = locked(list(lines_by_character), slots, chosen)
    rows = [_character_row(lines, now, is_locked=key in over) for key, lines in lines_by_character.items()]
    kept = [lines[0].character.kept_open_at for lines in lines_by_character.values()]
    chosen_at = max((at for at in kept if at is not None), default=None)
    return CharacterList(edition=edition, slots=slots, characters=rows, chosen_at=chosen_at)


def character_of(account: Account, character_id: UUID, now: datetime) -> CharacterRow | None:
    """Return one of the account's characters, or None."""
    rows = characters_of(account, now).characters
    return next((row for row in rows if row.id == character_id), None)


def locked_of(editions: Mapping[int, Edition]) -> dict[int, list[UUID]]:
    """Return which characters are over their accounts' slots, by account: one query, none for nobody."""
    if not editions:
        return {}
    mine: dict[int, list[UUID]] = {account: [] for account in editions}
    chosen: set[UUID] = set()
    rows = Character.objects.filter(account__in=editions, deleted_at=None).order_by("created_at", "id")
    for account, character, kept_open_at in rows.values_list("account", "id", "kept_open_at"):
        mine[account].append(character)
        if kept_open_at is not None:
            chosen.add(character)
    return {
        account: sorted(locked(ids, LIMITS[editions[account]].character_slots, chosen))
        for account, ids in mine.items()
    }


def own_lines(account: Account, character_id: UUID) -> list[Line]:
    """Return the lines of one of the account's characters, main first; none if it is not theirs."""
    mine = Line.objects.filter(character=character_id, character__account=account, character__deleted_at=None)
    lines = mine.select_related("character", "world", "holder").defer("state")
    return sorted(lines, key=lambda line: (line.world is not None, line.world.name if line.world else ""))


def why_this_line(line: Line) -> str:
    """Return in a sentence for players which line this is, and why it is not main if it is not."""
    if line.world is None:
        return "This is the main path: it counts in every world that plays it."
    name, is_limited = line.world.name, line.world.limited_at is not None
    match why_fork(line.world.tier, is_limited=is_limited, is_undecided=line.undecided_since is not None):
        case "tier":
            return f"{name} is run by its own people: what happens there counts there only."
        case "limited":
            return f"The platform's staff has limited {name}: what happens there counts there only."
        case "budget":
            return (
                f"More was gained in {name} than it may give in so short a time. What happens there counts "
                "there only, until the platform's staff has looked at it."
            )
    if line.holder_id == line.world_id:
        return f"{name} plays this path until you log out there, and your main path after that."
    return f"{name} plays your main path again from your next entry on. This one stays as it was."


def summaries_for_world(account: Account, world: World, now: datetime) -> list[CharacterSummary]:
    """Return the account's characters as this world may know them: each by the line that the world plays."""
    summaries = []
    for row in characters_of(account, now).characters:
        fork = next((line for line in row.forks if line.world == world.slug), None)
        is_undecided = fork is not None and fork.is_undecided
        kind = line_kind(world.tier, is_limited=world.limited_at is not None, is_undecided=is_undecided)
        line = fork if kind == "fork" and fork else row.main
        zone = line.places.get(world.slug)
        summaries.append(
            CharacterSummary(
                id=row.id, name=row.name, level=line.level, line=kind, zone=zone, is_locked=row.is_locked
            )
        )
    return summaries


def players_by_world(now: datetime) -> dict[int, int]:
    """Return how many leases are in force for each world, by primary key; worlds without any are left out."""
    leased = Line.objects.filter(holder__isnull=False, lease_until__gt=now)
    counts = leased.values("holder").annotate(players=Count("id")).values_list("holder", "players")
    return dict(counts)


def _lines_of(account: Account) -> Iterable[Line]:
    lines = Line.objects.filter(character__account=account, character__deleted_at=None)
    return lines.select_related("character", "world", "holder").order_by(
        "character__created_at", "character_id", "world_id"
    )


def _character_row(lines: list[Line], now: datetime, *, is_locked: bool) -> CharacterRow:
    rows = [_line_row(line, now) for line in lines]
    main = next(row for row in rows if row.world is None)
    character = lines[0].character
    return CharacterRow(
        id=character.id,
        name=character.name,
        created_at=character.created_at,
        is_locked=is_locked,
        level=main.level,
        places=main.places,
        main=main,
        forks=[row for row in rows if row.world is not None],
    )


def _line_row(line: Line, now: datetime) -> LineRow:
    reading = reading_of(bytes(line.state), line.id)
    holder = line.holder if line.lease_until and now < line.lease_until else None
    return LineRow(
        id=line.id,
        world=line.world.slug if line.world else None,
        world_name=line.world.name if line.world else None,
        version=line.version,
        level=reading.level,
        places=reading.places,
        updated_at=line.updated_at,
        playing_in=holder.slug if holder else None,
        playing_in_name=holder.name if holder else None,
        is_undecided=line.undecided_since is not None,
        is_readable=reading.is_readable,
    )
