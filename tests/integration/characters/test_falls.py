"""Limited worlds: their writes fall to their forks, under every name and in every order; nothing is lost."""

from datetime import timedelta
from uuid import uuid4

import msgspec
import pytest
from django.conf import settings

from characters.history import check_history
from characters.leases import acquire_lease, release_lease, renew_leases
from characters.models import Fall, Line, Version
from characters.refusals import Refused
from characters.reports import receive_report
from characters.saves import save_batch
from characters.selectors import summaries_for_world
from worlds.models import World
from worlds.services import lift_limit, limit_world, suspend_world
from worlds.signing import signing_keys
from worlds.uplink.messages import Acquire, LeaseRef, Release, Renew, Report
from worlds.uplink.receipt import check_receipt
from zonecluster.protocol.character import decode_state

pytestmark = pytest.mark.django_db


@pytest.fixture
def lease(aurora, alice, hero, now):
    return aurora.acquire(hero, aurora.admit(alice, now), now)


@pytest.fixture
def limit(now):
    def set_limit(operator, is_limited=True):
        change = limit_world if is_limited else lift_limit
        assert change(world=operator.world, reason="test", by=None, now=now)

    return set_limit


def after(lease, saved):
    """Return the lease as the world knows it after a good answer."""
    assert saved.refusal is None
    return msgspec.structs.replace(lease, version=saved.version, chain=saved.chain)


def money_of(line):
    return decode_state(bytes(line.state)).money


def lines_of(hero):
    """Return main and the fork; None: there is none."""
    lines = Line.objects.filter(character=hero)
    return lines.get(world=None), lines.filter(world__isnull=False).first()


def test_the_next_write_of_a_limited_world_falls_to_its_fork(aurora, lease, hero, now, limit):
    lease = after(lease, aurora.save(lease, now, money=5))
    limit(aurora)
    before = lines_of(hero)[0]
    saved = aurora.save(lease, now, money=9, kind="item")
    main, fork = lines_of(hero)
    assert saved.refusal is None and saved.version == lease.version + 1
    assert (saved.forked.line, saved.forked.version, saved.forked.reason) == (fork.id, 2, "limited")
    assert saved.forked.chain == bytes(fork.chain)
    assert (money_of(main), money_of(fork)) == (5, 9)
    assert (main.version, bytes(main.chain)) == (before.version, bytes(before.chain))
    assert (main.holder, fork.holder, fork.lease_until) == (None, aurora.world, before.lease_until)
    first, second = Version.objects.filter(line=fork).order_by("version")
    assert (first.kind, first.source.line, first.source.version) == ("fork", main, main.version)
    assert (second.kind, second.world, second.epoch) == ("item", aurora.world, fork.epoch)
    assert check_history(fork, 50).fault == "" and check_history(main, 50).fault == ""


def test_the_receipt_is_of_the_fork(aurora, lease, hero, now, limit):
    limit(aurora)
    saved = aurora.save(lease, now, money=9)
    keys = signing_keys(settings.CONFIG.signing_keys_dir)
    receipt = check_receipt(saved.receipt, keys.key_of)
    fork = lines_of(hero)[1]
    assert (receipt.line, receipt.version, receipt.chain) == (fork.id, 2, bytes(fork.chain))


def test_the_world_goes_on_under_the_names_it_knows(aurora, lease, hero, now, limit):
    limit(aurora)
    for money in (1, 2, 3):
        lease = after(lease, aurora.save(lease, now, money=money))
    main, fork = lines_of(hero)
    assert (money_of(main), money_of(fork), fork.version) == (0, 3, 4)
    assert Fall.objects.filter(line=main, epoch=lease.epoch).count() == 3
    later = now + timedelta(seconds=60)
    ref = LeaseRef(lease.line, lease.epoch)
    renewed = renew_leases(world=aurora.world, request=Renew([ref]), now=later)
    assert (renewed.held, renewed.lost) == ([ref], [])
    assert Line.objects.get(pk=fork.pk).lease_until == later + timedelta(seconds=120)
    assert release_lease(world=aurora.world, request=Release(lease.line, lease.epoch), now=later)
    assert Line.objects.get(pk=fork.pk).holder is None
    assert not release_lease(world=aurora.world, request=Release(lease.line, lease.epoch), now=later)
    assert aurora.save(lease, later, money=4).refusal.code == "stale"


def test_a_repeat_gets_the_first_answer_and_other_content_is_an_error(aurora, lease, now, limit, make_save):
    limit(aurora)
    save = make_save(lease, money=9)
    first = save_batch(world=aurora.world, saves=[save], now=now)[0]
    aurora.save(after(lease, first), now, money=10)
    limit(aurora, is_limited=False)
    assert save_batch(world=aurora.world, saves=[save], now=now)[0] == first
    other = msgspec.structs.replace(save, kind="quest")
    assert save_batch(world=aurora.world, saves=[other], now=now)[0].refusal.code == "op_id_reused"


def test_a_write_that_was_accepted_on_main_stays_there(aurora, lease, hero, now, limit, make_save):
    save = make_save(lease, money=9)
    first = save_batch(world=aurora.world, saves=[save], now=now)[0]
    limit(aurora)
    assert save_batch(world=aurora.world, saves=[save], now=now)[0] == first
    assert lines_of(hero)[1] is None and first.forked is None


def test_writes_under_way_when_an_answer_was_lost_arrive_in_order(aurora, lease, hero, now, limit, make_save):
    """The journal of a dead daemon has two writes of main; the answer to the first was lost."""
    limit(aurora)
    one = make_save(lease, money=1)
    lost = save_batch(world=aurora.world, saves=[one], now=now)[0]
    two = make_save(after(lease, lost), money=2)
    answers = [save_batch(world=aurora.world, saves=[save], now=now)[0] for save in (one, two)]
    assert answers[0] == lost and answers[1].forked.version == 3
    assert money_of(lines_of(hero)[1]) == 2


def test_after_the_limit_was_lifted_the_lease_goes_on_on_the_fork(aurora, lease, alice, hero, now, limit):
    limit(aurora)
    lease = after(lease, aurora.save(lease, now, money=1))
    limit(aurora, is_limited=False)
    saved = aurora.save(lease, now, money=2)
    assert saved.forked is not None
    main, fork = lines_of(hero)
    assert (money_of(main), money_of(fork)) == (0, 2)
    again = aurora.acquire(hero, aurora.admit(alice, now), now)  # the daemon was restarted
    assert (again.line, again.line_kind, again.state.money) == (fork.id, "fork", 2)
    assert release_lease(world=aurora.world, request=Release(again.line, again.epoch), now=now)
    assert aurora.acquire(hero, aurora.admit(alice, now), now).line_kind == "main"


def test_a_world_that_restarts_under_a_limit_has_main_until_it_writes(aurora, lease, alice, hero, now, limit):
    limit(aurora)
    again = aurora.acquire(hero, aurora.admit(alice, now), now)
    assert (again.line, again.epoch) == (lease.line, lease.epoch + 1)
    assert aurora.save(again, now, money=3).forked is not None
    assert aurora.save(lease, now, money=4).refusal.code == "stale", "the dead daemon is fenced"


def test_an_older_fork_is_brought_to_main_and_keeps_its_history(aurora, lease, alice, hero, now, limit):
    limit(aurora)
    lease = after(lease, aurora.save(lease, now, money=7))
    release_lease(world=aurora.world, request=Release(lease.line, lease.epoch), now=now)
    limit(aurora, is_limited=False)
    lease = aurora.acquire(hero, aurora.admit(alice, now), now)
    lease = after(lease, aurora.save(lease, now, money=20))
    limit(aurora)
    aurora.save(lease, now, money=21)
    main, fork = lines_of(hero)
    kinds = list(Version.objects.filter(line=fork).order_by("version").values_list("kind", flat=True))
    assert kinds == ["fork", "periodic", "fork", "periodic"]
    states = [
        decode_state(bytes(v.state)).money for v in Version.objects.filter(line=fork).order_by("version")
    ]
    assert states == [0, 7, 20, 21] and money_of(main) == 20
    assert check_history(fork, 50).fault == ""


def test_main_is_free_for_another_world_at_once(aurora, borealis, lease, alice, hero, now, limit):
    limit(aurora)
    aurora.save(lease, now, money=7)
    other = borealis.acquire(hero, borealis.admit(alice, now), now)
    assert (other.line, other.state.money) == (lease.line, 0)


def test_the_acquire_that_got_main_repeated_is_the_same_grant(aurora, alice, hero, now, limit):
    admission = aurora.admit(alice, now)
    request = Acquire(admission=admission, character=hero.id, op_id=uuid4(), order=3)
    lease = acquire_lease(world=aurora.world, request=request, now=now)
    limit(aurora)
    lease = after(lease, aurora.save(lease, now, money=7))
    doubled = acquire_lease(world=aurora.world, request=request, now=now)
    assert doubled.epoch == lines_of(hero)[1].epoch
    assert aurora.save(lease, now, money=8).refusal is None, "it fenced nobody"


@pytest.mark.parametrize("change", [{"version": 7}, {"prev_chain": bytes(32)}, {"epoch": 99}])
def test_bad_writes_of_a_limited_world_are_refused_as_ever(aurora, lease, hero, now, limit, change):
    limit(aurora)
    refused = aurora.save(lease, now, money=9, **change)
    assert refused.refusal.code in ("stale", "bad_chain") and refused.forked is None
    assert lines_of(hero)[1] is None
    fell = after(lease, aurora.save(lease, now, money=9))
    assert aurora.save(fell, now, money=10, **change).refusal.code in ("stale", "bad_chain")
    assert lines_of(hero)[1].version == 2


def test_another_world_cannot_use_the_names(aurora, borealis, lease, hero, now, limit):
    limit(aurora)
    lease = after(lease, aurora.save(lease, now, money=9))
    limit(borealis)
    assert borealis.save(lease, now, money=1).refusal.code == "stale"
    ref = LeaseRef(lease.line, lease.epoch)
    assert renew_leases(world=borealis.world, request=Renew([ref]), now=now).lost == [ref]
    assert not release_lease(world=borealis.world, request=Release(lease.line, lease.epoch), now=now)
    assert lines_of(hero)[1].holder == aurora.world


def test_new_entries_play_the_fork(aurora, alice, hero, now, limit):
    limit(aurora)
    lease = aurora.acquire(hero, aurora.admit(alice, now), now)
    assert lease.line_kind == "fork"
    assert aurora.save(lease, now, money=4).forked is None, "its own line: nothing fell"
    assert [one.line for one in summaries_for_world(alice, aurora.world, now)] == ["fork"]


def test_the_report_tells_of_the_limit(aurora, now, limit):
    report = Report(gateway_url="ws://127.0.0.1:1/", started_at=now, clusters=[])
    assert not receive_report(world=aurora.world, report=report, now=now).is_limited
    limit(aurora)
    assert receive_report(world=aurora.world, report=report, now=now).is_limited


def test_a_batch_may_fall_in_part(aurora, alice, lease, hero, now, limit, make_save):
    from characters.services import create_character  # noqa: PLC0415  (beside its one use)

    sorrel = create_character(account=alice, name="Sorrel", by=alice, now=now)
    limit(aurora)
    fork = aurora.acquire(sorrel, aurora.admit(alice, now), now)
    saves = [make_save(fork, money=1), make_save(lease, money=2), make_save(lease, money=3)]
    answers = save_batch(world=aurora.world, saves=saves, now=now)
    assert [saved.forked is not None for saved in answers] == [False, True, False]
    assert answers[2].refusal.code in ("master_fault", "stale")


def test_a_suspension_ends_leases_and_refuses_by_name(aurora, borealis, lease, alice, hero, now):
    assert suspend_world(world=aurora.world, reason="test", by=None, now=now)
    assert Line.objects.get(pk=lease.line).lease_until == now
    assert aurora.save(lease, now, money=9).refusal.code == "world_suspended"
    with pytest.raises(Refused) as refused:
        aurora.acquire(hero, uuid4(), now)
    assert refused.value.refusal.code == "world_suspended"
    World.objects.filter(pk=aurora.world.pk).update(suspended_at=None)
    aurora.world.refresh_from_db()
    assert aurora.save(lease, now, money=9).refusal is None, "what waited in its journal is not lost"
    taken = borealis.acquire(hero, borealis.admit(alice, now), now)
    assert taken.state.money == 9
