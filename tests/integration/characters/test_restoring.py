"""Restores and rollbacks: new versions that bring old ones back, never under a player, never twice."""

import io
import json
from datetime import timedelta

import msgspec
import pytest
from django.core.management import CommandError, call_command

from accounts.models import AuditRecord
from characters.history import check_history
from characters.leases import release_lease
from characters.lifting import CannotLift, lift_fork, plan_lift
from characters.models import Line, Version
from characters.provenance import history_page, json_lines, written_by
from characters.restoring import LineInPlay, plan_rollback, restore_version, roll_back_line
from characters.services import create_character
from worlds.services import limit_world
from worlds.uplink.messages import Release
from zonecluster.protocol.character import decode_state

pytestmark = pytest.mark.django_db


@pytest.fixture
def play(alice, now):
    """Let a world play a character: one save a minute, then log out (or stay)."""

    def play(operator, hero, *amounts, start=0, stays=False):
        lease = operator.acquire(hero, operator.admit(alice, now), now + timedelta(minutes=start))
        for number, money in enumerate(amounts, start=1):
            saved = operator.save(lease, now + timedelta(minutes=start + number), money=money)
            lease = msgspec.structs.replace(lease, version=saved.version, chain=saved.chain)
        if not stays:
            release_lease(world=operator.world, request=Release(lease.line, lease.epoch), now=now)
        return lease

    return play


def main_of(hero):
    return Line.objects.get(character=hero, world=None)


def money_of(line):
    return decode_state(bytes(line.state)).money


def restore(version, now):
    return restore_version(version=version, reason="asked for it", by=None, now=now)


def roll_back(operator, hero, since, now):
    return roll_back_line(
        line_id=main_of(hero).pk, world=operator.world, since=since, reason="dupes", by=None, now=now
    )


def test_a_restore_is_a_new_version_with_the_old_state(aurora, hero, now, play):
    play(aurora, hero, 5, 9)
    old = Version.objects.get(line=main_of(hero), version=2)
    made = restore(old, now)
    line = main_of(hero)
    assert (line.version, money_of(line), made.kind, made.source, made.world) == (4, 5, "restore", old, None)
    assert bytes(line.state) == bytes(old.state)
    assert check_history(line, 50).fault == ""
    assert AuditRecord.objects.get(action="character_restored").detail["to"] == 2
    assert restore(old, now) is None and main_of(hero).version == 4, "the same again changes nothing"
    assert restore(Version.objects.get(line=line, version=3), now).version == 5, "and it can be undone"


def test_nothing_is_restored_under_a_player(aurora, hero, now, play):
    play(aurora, hero, 5, stays=True)
    old = Version.objects.get(line=main_of(hero), version=1)
    with pytest.raises(LineInPlay, match="Aurora"):
        restore(old, now)
    assert main_of(hero).version == 2
    assert not AuditRecord.objects.filter(action="character_restored").exists()


def test_a_lapsed_lease_ends_with_a_restore(aurora, hero, now, play):
    lease = play(aurora, hero, 5, stays=True)
    later = now + timedelta(minutes=30)
    restore(Version.objects.get(line=main_of(hero), version=1), later)
    assert aurora.save(lease, later, money=99).refusal.code == "stale"
    assert money_of(main_of(hero)) == 0


def test_a_rollback_goes_back_to_before_the_world_wrote(aurora, borealis, hero, now, play):
    play(borealis, hero, 3)
    play(aurora, hero, 50, 90, start=10)
    since = now + timedelta(minutes=5)
    (plan,) = plan_rollback(world=aurora.world, since=since, now=now + timedelta(hours=1))
    assert (plan.verdict, plan.undone, plan.head, plan.back_to) == ("to do", 2, 4, 2)
    assert plan.changes == ("money 90 → 3",)
    assert main_of(hero).version == 4, "the dry run changes nothing"
    done = roll_back(aurora, hero, since, now + timedelta(hours=1))
    line = main_of(hero)
    assert (done.verdict, line.version, money_of(line)) == ("done", 5, 3)
    made = Version.objects.get(line=line, version=5)
    assert (made.kind, made.source.version, made.world) == ("rollback", 2, None)
    assert check_history(line, 50).fault == ""
    assert roll_back(aurora, hero, since, now + timedelta(hours=1)) is None, "done twice is done once"
    assert main_of(hero).version == 5


def test_only_what_it_wrote_since_then_goes(aurora, hero, now, play):
    play(aurora, hero, 5, 9, 13)
    roll_back(aurora, hero, now + timedelta(minutes=2, seconds=30), now + timedelta(hours=1))
    assert money_of(main_of(hero)) == 9


def test_what_another_world_built_on_it_is_left_to_the_staff(aurora, borealis, wilds, hero, now, play):
    play(aurora, hero, 5)
    play(borealis, hero, 6, start=10)
    play(wilds, hero, 7, start=20)
    (plan,) = plan_rollback(world=aurora.world, since=now, now=now + timedelta(hours=1))
    assert plan.verdict == "built on" and "Borealis" in plan.note
    assert roll_back(aurora, hero, now, now + timedelta(hours=1)).verdict == "built on"
    assert money_of(main_of(hero)) == 6
    (plan,) = plan_rollback(world=borealis.world, since=now, now=now + timedelta(hours=1))
    assert plan.verdict == "to do" and "Wilds" in plan.note, "its fork was begun from there, and stays"
    assert roll_back(borealis, hero, now, now + timedelta(hours=1)).verdict == "done"
    assert money_of(Line.objects.get(character=hero, world=wilds.world)) == 7


def test_lines_in_play_are_skipped_and_named(aurora, hero, now, play):
    play(aurora, hero, 5, stays=True)
    soon = now + timedelta(seconds=30)
    (plan,) = plan_rollback(world=aurora.world, since=now, now=soon)
    assert plan.verdict == "in play" and "Aurora" in plan.note
    assert roll_back(aurora, hero, now, soon).verdict == "in play"
    assert money_of(main_of(hero)) == 5


# ---------------------------------------------------------------- forks that are to count


@pytest.fixture
def fork(aurora, hero, now, play):
    """A fork of Aurora's with 9 coins more than main; nobody is in play."""
    play(aurora, hero, 5)
    limit_world(world=aurora.world, reason="test", by=None, now=now)
    play(aurora, hero, 7, 14, start=10)
    return Line.objects.get(character=hero, world=aurora.world)


def lift(fork, now):
    return lift_fork(fork=fork, reason="all is well", by=None, now=now)


def test_a_fork_counts_as_main_as_a_new_version(hero, fork, now):
    later = now + timedelta(hours=1)
    assert plan_lift(fork, later).changes == ("money 5 → 14",)
    assert main_of(hero).version == 2
    made = lift(fork, later)
    main = main_of(hero)
    assert (money_of(main), main.version, made.kind, made.world) == (14, 3, "lift", None)
    assert (made.source.line, made.source.version) == (fork, fork.version)
    assert check_history(main, 50).fault == ""
    assert AuditRecord.objects.get(action="fork_lifted").detail["world"] == "aurora"
    with pytest.raises(CannotLift, match="moved on"):
        lift(fork, later)


def test_a_main_that_has_moved_on_is_not_overwritten(borealis, hero, fork, now, play):
    play(borealis, hero, 6, start=30)
    with pytest.raises(CannotLift, match="never merged"):
        lift(fork, now + timedelta(hours=1))
    assert money_of(main_of(hero)) == 6


def test_nothing_is_lifted_under_a_player_and_main_is_no_fork(aurora, hero, fork, now, play):
    with pytest.raises(CannotLift, match="main line"):
        lift(main_of(hero), now + timedelta(hours=1))
    play(aurora, hero, stays=True)
    with pytest.raises(CannotLift, match="in play in Aurora"):
        lift(fork, now)
    assert money_of(main_of(hero)) == 5


def test_what_was_lifted_goes_with_its_world(aurora, hero, fork, now):
    later = now + timedelta(hours=1)
    lift(fork, later)
    since = now + timedelta(minutes=5)
    assert roll_back(aurora, hero, since, later + timedelta(hours=1)).verdict == "done"
    assert money_of(main_of(hero)) == 5


def run(*args):
    out = io.StringIO()
    call_command("rollbackworld", *args, stdout=out)
    return out.getvalue()


def test_the_command_looks_first_then_does_it_once(aurora, alice, hero, now, play):
    sorrel = create_character(account=alice, name="Sorrel", by=alice, now=now)
    start = now - timedelta(hours=2)
    play(aurora, hero, 5, start=-60)
    play(aurora, sorrel, 8, start=-50)
    since = start.strftime("%Y-%m-%dT%H:%M:%SZ")
    told = run("aurora", "--since", since, "--dry-run")
    assert "Rowan" in told and "Sorrel" in told and "nothing changed" in told
    assert main_of(hero).version == 2
    with pytest.raises(CommandError, match="--reason"):
        run("aurora", "--since", since)
    assert "2 went back" in run("aurora", "--since", since, "--reason", "dupes")
    assert (money_of(main_of(hero)), money_of(main_of(sorrel))) == (0, 0)
    assert AuditRecord.objects.get(action="world_rolled_back").detail["done"] == 2
    assert "nothing to do" in run("aurora", "--since", since, "--reason", "dupes")
    assert main_of(hero).version == 3


@pytest.mark.parametrize("args", [("nowhere", "--since", "2026-01-01"), ("aurora", "--since", "yesterday"),
                                  ("aurora", "--since", "2026-13-45T00:00")])  # fmt: skip
def test_the_command_says_what_is_wrong(aurora, args):
    with pytest.raises(CommandError):
        run(*args, "--dry-run")


# ---------------------------------------------------------------- reads


def test_a_history_is_paged_with_what_changed(aurora, hero, now, play):
    play(aurora, hero, *range(1, 31))
    line = main_of(hero)
    first = history_page(line, size=20)
    assert [row.version for row in first.rows] == list(range(31, 11, -1))
    assert first.rows[0].is_head and first.rows[0].changes == ("money 29 → 30",)
    assert first.rows[-1].changes == ("money 10 → 11",), "also at the page's end"
    second = history_page(line, before=first.older, size=20)
    assert [row.version for row in second.rows] == list(range(11, 0, -1)) and second.older is None
    assert second.rows[-1].changes == () and second.rows[-1].kind == "create"


def test_everything_a_world_wrote_is_exported(aurora, borealis, hero, now, play):
    play(borealis, hero, 3)
    play(aurora, hero, 5, 9, start=10)
    versions = written_by(aurora.world, now + timedelta(minutes=11, seconds=30))
    documents = [json.loads(text) for text in json_lines(versions)]
    assert [(one["version"], one["world"], one["state"]["money"]) for one in documents] == [(4, "aurora", 9)]
    assert documents[0]["character_name"] == "Rowan" and len(documents[0]["chain"]) == 64
