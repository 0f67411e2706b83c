"""The staff lets a fork count: its head becomes main's, as a new version, if main has not moved on since.

For what a limited world wrote, or a verified one over its budget, and was found to be good. Nothing else
leads from a fork to main: two states are never merged. Or the staff dismisses it: then it stays a fork.
"""

from dataclasses import dataclass
from datetime import datetime

import structlog
from django.db import transaction

from accounts.models import Account
from accounts.services import record_audit
from characters.heads import head_of
from characters.lines import Entry, append_version, head_version
from characters.models import Character, Line, Version
from characters.readings import state_if_readable, told_differences
from characters.valuable_rules import unpacked
from characters.valuables import bring_back, to_bring_back

log = structlog.get_logger(__name__)


class CannotLift(Exception):
    """The fork cannot become main; the message says why."""


@dataclass(frozen=True)
class Lift:
    """What would become of main."""

    main: Line
    changes: tuple[str, ...]
    note: str  # what is left out, and what may be there twice then


def plan_lift(fork: Line, now: datetime) -> Lift:
    """Say what lifting a fork would change on main; changes nothing.

    Raises: CannotLift.
    """
    if fork.world is None:
        raise CannotLift("This is the main line.")
    main = Line.objects.select_related("character", "holder").get(character=fork.character_id, world=None)
    return _look(fork, main, now)


def lift_fork(*, fork: Line, reason: str, by: Account | None, now: datetime) -> Version:
    """Make a fork's head the head of main, as a new version that points at it.

    Raises: CannotLift: main has moved on, one of the two is in play, or there is nothing to lift.
    """
    with transaction.atomic():
        # Locked as by an acquire: the character, then its lines.
        Character.objects.select_for_update(no_key=True, of=("self",)).get(lines=fork)
        lines = Line.objects.select_for_update(no_key=True, of=("self",))
        lines = lines.select_related("character", "holder", "world")
        fork, main = lines.get(pk=fork.pk), lines.get(character=fork.character_id, world=None)
        if fork.world is None:
            raise CannotLift("This is the main line.")
        _look(fork, main, now)
        Line.objects.filter(pk__in=[fork.pk, main.pk]).update(holder=None, lease_until=None)
        _decided(fork)
        had, found = unpacked(bytes(main.valuables)), to_bring_back(main, bytes(fork.state), is_locked=True)
        entry = Entry(Version.Kind.LIFT, found.state, world=None, source=head_version(fork))
        made = append_version(line=main, entry=entry, now=now)
        bring_back(line=main, had=had, has=found.has, op_id=made.op_id, now=now)
        target, world = str(fork.character_id), fork.world.slug
        detail: dict[str, object] = {
            "reason": reason, "world": world, "from": fork.version, "as": made.version,
            "left_out": sorted(str(thing) for thing in found.left_out),
        }  # fmt: skip
        record_audit(action="fork_lifted", account=by, target=target, detail=detail, now=now)
    log.warning("fork_lifted", character=target, world=world, version=made.version)
    return made


class NothingToDecide(Exception):
    """No write fell to this fork for the budget, or the staff has decided about it."""


def dismiss_fall(*, fork: Line, reason: str, by: Account | None, now: datetime) -> None:
    """Let a fork to which writes fell for the budget stay one: the world plays main from the next entry on.

    Raises: NothingToDecide.
    """
    with transaction.atomic():
        locked = Line.objects.select_for_update(no_key=True, of=("self",)).select_related("world")
        fork = locked.get(pk=fork.pk)
        if fork.world is None or fork.undecided_since is None:
            raise NothingToDecide("Nothing waits for a decision here.")
        since, target, world = fork.undecided_since, str(fork.character_id), fork.world.slug
        _decided(fork)
        detail: dict[str, object] = {"reason": reason, "world": world, "since": since.isoformat()}
        record_audit(action="fall_dismissed", account=by, target=target, detail=detail, now=now)
    log.warning("fall_dismissed", character=target, world=world)


def _decided(fork: Line) -> None:
    fork.undecided_since = None
    fork.save(update_fields=["undecided_since"])


def _look(fork: Line, main: Line, now: datetime) -> Lift:
    for line in (fork, main):
        if head_of(line).is_leased(now):
            raise CannotLift(f"{line.character} is in play in {line.holder}; it must log out there first.")
    begun = Version.objects.filter(line=fork, kind=Version.Kind.FORK, source__isnull=False)
    base = begun.select_related("source").defer("state", "source__state").order_by("-version").first()
    if base is None or base.source is None or base.source.line_id != main.pk:
        raise CannotLift("It is not known from which version of main this fork was begun.")
    if base.source.version != main.version:
        raise CannotLift(
            f"Main has moved on: the fork was begun from v{base.source.version}, main is at v{main.version}. "
            "Two histories are never merged."
        )
    if bytes(fork.state) == bytes(main.state):
        raise CannotLift("The fork has nothing that main has not.")
    found = to_bring_back(main, bytes(fork.state), is_locked=False)
    before, after = (state_if_readable(data, main.pk) for data in (bytes(main.state), found.state))
    notes = [note for note in (found.note, _exchanged(fork, base)) if note]
    return Lift(main, told_differences(before, after), "; ".join(notes))


def _exchanged(fork: Line, base: Version) -> str:
    """Say what came to a fork, or went from it, by exchanges since it was begun; empty: nothing.

    Args: base: the version of the fork that brought it to main.
    """
    since = Version.objects.filter(line=fork, version__gt=base.version, exchange__isnull=False)
    if not (count := since.count()):
        return ""
    return f"{count} trades or letters among forks are in it: what came by them, another's main may have too"
