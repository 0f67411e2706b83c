"""Leases on real PostgreSQL: who gets one, when it moves, and what a world cannot get."""

from datetime import timedelta
from uuid import uuid4

import msgspec
import pytest

from accounts.models import Entitlement
from characters.leases import release_lease, renew_leases
from characters.models import Incarnation, Line, Version
from characters.refusals import Refused
from characters.rules import LEASE_S
from characters.selectors import players_by_world
from characters.services import CharacterInPlay, create_character, delete_character
from worlds.tickets import close_old_admissions
from worlds.uplink.messages import LeaseRef, Release, Renew

pytestmark = pytest.mark.django_db


def later(now, seconds):
    return now + timedelta(seconds=seconds)


def renew(operator, leases, now):
    refs = [LeaseRef(lease.line, lease.epoch) for lease in leases]
    return renew_leases(world=operator.world, request=Renew(refs), now=now)


def refusal_of(call):
    with pytest.raises(Refused) as caught:
        call()
    return caught.value.refusal.code


def test_an_official_world_gets_the_main_line(aurora, alice, hero, now):
    lease = aurora.acquire(hero, aurora.admit(alice, now), now)
    main = Line.objects.get(character=hero, world=None)
    assert (lease.line, lease.line_kind, lease.version) == (main.id, "main", 1)
    assert lease.chain == bytes(main.chain)
    assert lease.epoch == 1_000_001
    assert lease.lease_s == LEASE_S == 120
    assert main.lease_until == later(now, 120)
    assert players_by_world(now) == {aurora.world.pk: 1}
    assert players_by_world(later(now, 121)) == {}


def test_open_worlds_get_a_fork_of_main_once(wilds, alice, hero, now):
    main = Line.objects.get(character=hero)
    admission = wilds.admit(alice, now)
    lease = wilds.acquire(hero, admission, now)
    again = wilds.acquire(hero, admission, now)
    assert lease.line_kind == "fork"
    assert lease.line == again.line != main.id
    fork = Version.objects.get(line=lease.line)
    assert (fork.kind, fork.version, fork.world) == ("fork", 1, wilds.world)
    assert bytes(fork.prev_chain) == bytes(main.chain)
    assert bytes(fork.state) == bytes(main.state)


def test_the_same_op_id_gets_the_same_grant(aurora, alice, hero, now):
    admission, op_id = aurora.admit(alice, now), uuid4()
    first = aurora.acquire(hero, admission, now, op_id)
    again = aurora.acquire(hero, admission, later(now, 60), op_id)
    assert again.epoch == first.epoch
    line = Line.objects.get(id=first.line)
    assert (line.grants, line.lease_until) == (1, later(now, 180))


def test_a_spent_op_id_does_not_bring_a_released_lease_back(aurora, alice, hero, now):
    admission, op_id = aurora.admit(alice, now), uuid4()
    lease = aurora.acquire(hero, admission, now, op_id)
    assert release_lease(world=aurora.world, request=Release(lease.line, lease.epoch), now=now)
    assert refusal_of(lambda: aurora.acquire(hero, admission, now, op_id)) == "stale"
    assert Line.objects.get(id=lease.line).holder is None


def test_a_restarted_world_daemon_fences_its_predecessor(aurora, alice, hero, now):
    admission = aurora.admit(alice, now)
    first = aurora.acquire(hero, admission, now)
    close_old_admissions(now=later(now, 25 * 3600))
    for seconds in (30, 25 * 3600):  # within the lease, and long after it lapsed unclaimed
        second = aurora.acquire(hero, admission, later(now, seconds))
        assert second.epoch > first.epoch
        assert aurora.save(first, now).refusal.code == "stale"
        first = second


def test_a_lease_in_force_is_not_another_worlds(aurora, borealis, alice, hero, now):
    lease = aurora.acquire(hero, aurora.admit(alice, now), now)
    elsewhere = borealis.admit(alice, now)
    assert refusal_of(lambda: borealis.acquire(hero, elsewhere, later(now, 119.9))) == "held_elsewhere"
    assert aurora.save(lease, now).refusal is None


def test_an_expired_lease_moves_only_when_the_player_asks_elsewhere(aurora, borealis, alice, hero, now):
    lease = aurora.acquire(hero, aurora.admit(alice, now), now)
    late = later(now, 500)
    saved = aurora.save(lease, late)
    assert saved.refusal is None
    moved = borealis.acquire(hero, borealis.admit(alice, late), late)
    assert (moved.version, moved.chain) == (saved.version, saved.chain)
    assert moved.epoch > lease.epoch
    assert renew(aurora, [lease], late).lost == [LeaseRef(lease.line, lease.epoch)]
    assert not release_lease(world=aurora.world, request=Release(lease.line, lease.epoch), now=late)
    assert Line.objects.get(id=lease.line).holder == borealis.world


def test_renewal_is_one_batch_and_revives_a_lapsed_lease(aurora, alice, hero, now, django_assert_num_queries):
    second = create_character(account=alice, name="Linden", by=alice, now=now)
    admission = aurora.admit(alice, now)
    leases = [aurora.acquire(hero, admission, now), aurora.acquire(second, admission, now)]
    with django_assert_num_queries(1):
        renewed = renew(aurora, leases, later(now, 300))
    assert len(renewed.held) == 2 and not renewed.lost
    assert set(Line.objects.values_list("lease_until", flat=True)) == {later(now, 420)}


def test_a_world_renews_and_releases_only_its_own(aurora, borealis, alice, hero, now):
    lease = aurora.acquire(hero, aurora.admit(alice, now), now)
    assert renew(borealis, [lease], now).lost == [LeaseRef(lease.line, lease.epoch)]
    old_epoch = LeaseRef(lease.line, lease.epoch)
    lease = aurora.acquire(hero, aurora.admit(alice, now), now)
    request = Renew([old_epoch, msgspec.structs.replace(old_epoch, epoch=lease.epoch + 1)])
    assert renew_leases(world=aurora.world, request=request, now=later(now, 9)).lost == request.leases
    assert Line.objects.get(id=lease.line).lease_until == later(now, 120)
    assert not release_lease(world=borealis.world, request=Release(lease.line, lease.epoch), now=now)
    assert not release_lease(world=aurora.world, request=Release(lease.line, lease.epoch - 1), now=now)
    assert Line.objects.get(id=lease.line).holder == aurora.world


def test_an_admission_serves_its_world_and_account_only(aurora, borealis, alice, mallory, hero, now, nobody):
    here = aurora.admit(alice, now)
    assert refusal_of(lambda: borealis.acquire(hero, here, now)) == "not_admitted"
    assert refusal_of(lambda: aurora.acquire(hero, nobody, now)) == "not_admitted"
    foreign = aurora.admit(mallory, now)
    assert refusal_of(lambda: aurora.acquire(hero, foreign, now)) == "not_admitted"
    assert refusal_of(lambda: aurora.acquire(hero, here, later(now, 24 * 3600))) == "not_admitted"


def test_redeeming_elsewhere_closes_the_admission_but_not_the_lease(aurora, wilds, alice, hero, now):
    here = aurora.admit(alice, now)
    lease = aurora.acquire(hero, here, now)
    second = create_character(account=alice, name="Linden", by=alice, now=now)
    wilds.admit(alice, now)
    assert refusal_of(lambda: aurora.acquire(second, here, now)) == "not_admitted"
    assert renew(aurora, [lease], now).held
    assert aurora.save(lease, now).refusal is None


def test_unknown_and_deleted_characters_are_not_granted(aurora, alice, hero, now):
    admission = aurora.admit(alice, now)
    delete_character(account=alice, character_id=hero.id, by=alice, now=now)
    assert refusal_of(lambda: aurora.acquire(hero, admission, now)) == "unknown_character"


def test_a_leased_character_is_not_deleted_and_a_deleted_one_not_written(aurora, alice, hero, now):
    lease = aurora.acquire(hero, aurora.admit(alice, now), now)
    with pytest.raises(CharacterInPlay):
        delete_character(account=alice, character_id=hero.id, by=alice, now=now)
    delete_character(account=alice, character_id=hero.id, by=alice, now=later(now, 121))
    assert aurora.save(lease, later(now, 122)).refusal.code == "stale"
    assert Version.objects.filter(line=lease.line).count() == 1


def test_a_banned_account_gets_no_lease_and_loses_nothing(aurora, alice, hero, now):
    admission = aurora.admit(alice, now)
    lease = aurora.acquire(hero, admission, now)
    second = create_character(account=alice, name="Linden", by=alice, now=now)
    type(alice).objects.filter(pk=alice.pk).update(banned_until=later(now, 3600))
    assert refusal_of(lambda: aurora.acquire(second, admission, now)) == "account_banned"
    assert aurora.save(lease, now, kind="logout").refusal is None


def test_a_suspended_world_gets_no_grants_and_no_writes(aurora, alice, hero, now):
    admission = aurora.admit(alice, now)
    lease = aurora.acquire(hero, admission, now)
    aurora.world.suspended_at = now
    aurora.world.save(update_fields=["suspended_at"])
    assert refusal_of(lambda: aurora.acquire(hero, admission, now)) == "world_suspended"
    assert refusal_of(lambda: renew(aurora, [lease], now)) == "world_suspended"
    assert aurora.save(lease, now).refusal.code == "world_suspended"
    assert Version.objects.filter(line=lease.line).count() == 1
    assert release_lease(world=aurora.world, request=Release(lease.line, lease.epoch), now=now)


def test_a_world_that_lost_its_tier_writes_main_no_more(aurora, alice, hero, now):
    lease = aurora.acquire(hero, aurora.admit(alice, now), now)
    aurora.world.tier = "open"
    aurora.world.save(update_fields=["tier"])
    assert aurora.save(lease, now).refusal.code == "stale"
    assert renew(aurora, [lease], now).lost
    assert Line.objects.get(id=lease.line).version == 1


def test_locked_characters_are_not_granted_and_stay_as_they_are(aurora, make_account, now):
    bob = make_account("bob", premium=True)
    names = ["Ash", "Birch", "Cedar", "Elder"]
    group = [
        create_character(account=bob, name=name, by=bob, now=later(now, at)) for at, name in enumerate(names)
    ]
    before = list(Version.objects.order_by("id").values_list())
    admission = aurora.admit(bob, now)
    fields = {"account": bob, "edition": "premium", "source": "staff"}
    Entitlement.objects.create(**fields, reference="test", is_grant=False)
    assert refusal_of(lambda: aurora.acquire(group[3], admission, now)) == "character_locked"
    assert aurora.acquire(group[2], admission, now).name == "Cedar"
    Entitlement.objects.create(**fields, reference="again", starts_at=now)
    assert aurora.acquire(group[3], admission, now).name == "Elder"
    assert list(Version.objects.order_by("id").values_list()) == before
    for character in group:
        line, version = Line.objects.get(character=character), Version.objects.get(line__character=character)
        assert bytes(line.state) == bytes(version.state)


def test_the_incarnation_raises_every_epoch(aurora, alice, hero, now):
    admission = aurora.admit(alice, now)
    first = aurora.acquire(hero, admission, now)
    Incarnation.objects.create(number=2, began_at=now, reason="restored from a backup")
    assert aurora.acquire(hero, admission, now).epoch == 2_000_002 > first.epoch
