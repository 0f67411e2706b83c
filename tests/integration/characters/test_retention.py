"""Retention on the database: what goes, what stays, and a chain that can still be checked."""

import io
from datetime import timedelta

import msgspec
import pytest
from django.core.management import call_command

from characters import retention, tasks
from characters.history import check_history
from characters.leases import release_lease
from characters.models import Line, ThinnedVersions, Version
from characters.restoring import restore_version
from characters.retention import thin_batch
from worlds.services import limit_world
from worlds.uplink.messages import Release

pytestmark = pytest.mark.django_db


@pytest.fixture
def long_ago(now):
    return now - timedelta(days=60)


@pytest.fixture
def played(aurora, alice, hero, long_ago):
    """Forty saves, five minutes apart, 60 days ago; nobody in play."""
    lease = aurora.acquire(hero, aurora.admit(alice, long_ago), long_ago)
    for number in range(40):
        at = long_ago + timedelta(minutes=5 * number)
        saved = aurora.save(lease, at, money=number)
        lease = msgspec.structs.replace(lease, version=saved.version, chain=saved.chain)
    release_lease(world=aurora.world, request=Release(lease.line, lease.epoch), now=long_ago)
    return Line.objects.get(pk=lease.line)


def numbers(line):
    return list(line.versions.order_by("version").values_list("version", flat=True))


def test_versions_go_and_the_chain_is_still_checked(played, now):
    batch = thin_batch(after=None, now=now)
    kept = numbers(played)
    assert batch.last is None and batch.thinned == 41 - len(kept)
    assert kept[0] == 1 and kept[-1] == 41 and len(kept) <= 7
    check = check_history(played, 500)
    assert (check.versions, check.fault) == (len(kept), "")
    assert sum(run.last - run.first + 1 for run in ThinnedVersions.objects.all()) == batch.thinned


def test_again_and_later_it_changes_only_what_has_grown_older(played, now):
    thin_batch(after=None, now=now)
    kept = numbers(played)
    assert thin_batch(after=None, now=now).thinned == 0 and numbers(played) == kept
    later = now + timedelta(days=60)
    assert thin_batch(after=None, now=later).thinned > 0
    assert len(numbers(played)) <= 3 and check_history(played, 500).fault == ""
    firsts = list(ThinnedVersions.objects.order_by("first").values_list("first", "last"))
    assert all(last + 1 < first for (_, last), (first, _) in zip(firsts, firsts[1:], strict=False)), "merged"


def test_a_line_with_nothing_to_thin_is_not_locked(played, now, long_ago, django_assert_num_queries):
    played.versions.filter(version=1).update(at=long_ago)
    thin_batch(after=None, now=now)
    assert 1 in numbers(played)  # protected, though it is not the newest of its hour
    with django_assert_num_queries(2):  # the lines, and their old versions
        assert thin_batch(after=None, now=now).thinned == 0


def test_damage_to_a_thinned_version_is_seen(played, now):
    thin_batch(after=None, now=now)
    run = ThinnedVersions.objects.first()
    run.links = bytes([bytes(run.links)[0] ^ 1]) + bytes(run.links)[1:]
    run.save()
    assert "does not continue" in check_history(played, 500).fault
    run.delete()
    assert "is missing" in check_history(played, 500).fault


def test_what_a_restore_points_at_stays(played, now):
    old = Version.objects.get(line=played, version=14)
    restore_version(version=old, reason="test", by=None, now=now)
    thin_batch(after=None, now=now)
    assert 14 in numbers(played)
    played.refresh_from_db()
    assert check_history(played, 500).fault == ""


def test_the_base_of_a_fork_stays_and_old_falls_go(aurora, alice, hero, played, now):
    limit_world(world=aurora.world, reason="test", by=None, now=now)
    then = now - timedelta(days=40)
    Line.objects.filter(pk=played.pk).update(holder=aurora.world, lease_until=then)
    lease = aurora.acquire(hero, aurora.admit(alice, then), then)
    for number in range(6):
        saved = aurora.save(lease, then + timedelta(minutes=number), money=100 + number)
        lease = msgspec.structs.replace(lease, version=saved.version, chain=saved.chain)
    fork = Line.objects.get(character=hero, world=aurora.world)
    thin_batch(after=None, now=now)
    assert 41 in numbers(played) and numbers(fork)[0] == 1 and len(numbers(fork)) < 7
    for line in (played, fork):
        line.refresh_from_db()
        assert check_history(line, 500).fault == ""


def test_young_versions_stay(aurora, alice, hero, now):
    lease = aurora.acquire(hero, aurora.admit(alice, now), now)
    for number in range(10):
        saved = aurora.save(lease, now + timedelta(seconds=number), money=number)
        lease = msgspec.structs.replace(lease, version=saved.version, chain=saved.chain)
    assert thin_batch(after=None, now=now + timedelta(days=13)).thinned == 0


def test_the_command_counts_first(played):
    out = io.StringIO()
    call_command("thinversions", "--dry-run", stdout=out)
    assert "would be thinned" in out.getvalue() and len(numbers(played)) == 41
    call_command("thinversions", stdout=out)
    assert "were thinned" in out.getvalue() and len(numbers(played)) < 10


def test_the_task_hands_the_rest_to_another(played, monkeypatch):
    handed = []
    monkeypatch.setattr(retention, "LINES_AT_ONCE", 1)
    monkeypatch.setattr(tasks, "BATCHES_A_TASK", 1)
    monkeypatch.setattr(tasks.thin_versions, "delay", handed.append)
    tasks.thin_versions()
    assert handed == [str(played.pk)] and len(numbers(played)) < 10
    tasks.thin_versions(handed.pop())
    assert handed == []
