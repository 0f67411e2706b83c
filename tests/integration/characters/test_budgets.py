"""Verified worlds on PostgreSQL: main within a budget; over it their writes fall, until staff decides."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import msgspec
import pytest
from django.db import connection, transaction

from accounts.models import AuditRecord
from characters import saves
from characters.budgeting import KEEP, delete_old_gains
from characters.leases import release_lease, renew_leases
from characters.lifting import NothingToDecide, dismiss_fall, lift_fork
from characters.models import Fall, Gain, Line, Version, WorldBudget
from characters.saves import save_batch
from characters.selectors import summaries_for_world
from characters.services import create_character
from worlds.models import World
from worlds.uplink.messages import LeaseRef, Release, Renew
from zonecluster.protocol.character import Item, decode_state, encode_state

pytestmark = pytest.mark.django_db

HOUR, DAY = 100, 250  # coins


@pytest.fixture
def now(now):
    """The middle of an hour, so that no test runs over its end."""
    return datetime.now(now.tzinfo).replace(minute=30, second=0, microsecond=0)


@pytest.fixture
def cairn(make_operator):
    """A verified world with a small budget."""
    operator = make_operator("cairn", tier="verified")
    WorldBudget.objects.create(
        world=operator.world, money_hour=HOUR, money_day=DAY, xp_hour=50, valuables_hour=1, items_hour=5
    )
    return operator


@pytest.fixture
def lease(cairn, alice, hero, now):
    return cairn.acquire(hero, cairn.admit(alice, now), now)


def after(lease, saved):
    assert saved.refusal is None, saved.refusal
    return msgspec.structs.replace(lease, version=saved.version, chain=saved.chain)


def fell(saved):
    """Return why a write fell; empty: it was accepted where it was asked for."""
    assert saved.refusal is None, saved.refusal
    return saved.forked.reason if saved.forked else ""


def lines_of(hero):
    lines = Line.objects.filter(character=hero)
    return lines.get(world=None), lines.filter(world__isnull=False).first()


def money_of(line):
    return decode_state(bytes(line.state)).money


def spent(line):
    return {row.hour: row.money for row in Gain.objects.filter(line=line)}


def again(operator, lease, account, hero, now):
    """Log out and come in again."""
    release_lease(world=operator.world, request=Release(lease.line, lease.epoch), now=now)
    return operator.acquire(hero, operator.admit(account, now), now)


def test_a_verified_world_writes_main_within_its_budget(cairn, lease, hero, now):
    assert (lease.line_kind, lease.why_fork) == ("main", "")
    for money in (40, 10, 70):
        saved = cairn.save(lease, now, money=money)
        assert fell(saved) == ""
        lease = after(lease, saved)
    main, fork = lines_of(hero)
    assert (money_of(main), fork) == (70, None)
    assert spent(main.pk) == {now.replace(minute=0): 40 + 60}
    ref = LeaseRef(lease.line, lease.epoch)
    assert renew_leases(world=cairn.world, request=Renew([ref]), now=now).held == [ref]


def test_over_the_budget_it_falls_and_nothing_is_lost(cairn, lease, hero, now):
    lease = after(lease, cairn.save(lease, now, money=HOUR))
    saved = cairn.save(lease, now, money=HOUR + 1)
    assert fell(saved) == "budget"
    main, fork = lines_of(hero)
    assert (money_of(main), money_of(fork)) == (HOUR, HOUR + 1)
    assert (main.holder, fork.holder, fork.undecided_since) == (None, cairn.world, now)
    assert Fall.objects.get().reason == "budget"
    assert spent(main.pk) == {now.replace(minute=0): HOUR}, "what fell is not counted"
    lease = after(lease, saved)
    assert fell(cairn.save(lease, now, money=5)) == "budget", "what follows in this lease falls too"
    assert Fall.objects.filter(reason="budget").count() == 2


@pytest.mark.parametrize(
    "change",
    [
        {"attributes": {"level": 1, "xp": 51}},
        {"attributes": {"level": 2, "xp": 0}},
        {"bags": {"bank": [Item("bread", 6)]}},
        {"bags": {"bank": [Item("crown", 1, UUID(int=1)), Item("crown", 1, UUID(int=2))]}},
    ],
    ids=["experience", "level", "items", "valuables"],
)
def test_every_kind_of_gain_has_a_limit(cairn, lease, now, change):
    state = encode_state(msgspec.structs.replace(lease.state, **change))
    assert fell(cairn.save(lease, now, state=state)) == "budget"


def test_valuables_within_the_budget_are_counted_on_the_slow_path(cairn, lease, now):
    crown = [Item("crown", 1, UUID(int=1))]
    state = encode_state(msgspec.structs.replace(lease.state, bags={"bank": crown}))
    lease = after(lease, cairn.save(lease, now, state=state))
    assert Gain.objects.get().valuables == 1
    two = encode_state(
        msgspec.structs.replace(lease.state, bags={"bank": [*crown, Item("crown", 1, UUID(int=2))]})
    )
    assert fell(cairn.save(lease, now, state=two)) == "budget"
    assert Gain.objects.get().valuables == 1


def test_hours_are_apart_and_a_day_is_24_of_them(cairn, lease, now):
    for number in range(3):
        at = now + timedelta(hours=number)
        saved = cairn.save(lease, at, money=0)
        lease = after(lease, saved)
        saved = cairn.save(lease, at, money=80)
        lease = after(lease, saved)
        assert fell(saved) == ""
    assert sum(spent(lease.line).values()) == 240
    lease = after(lease, cairn.save(lease, at, money=0))
    later = now + timedelta(hours=3)
    over = cairn.save(lease, later, money=11)
    assert fell(over) == "budget", "the day is used up"


def test_a_day_later_there_is_room_again(cairn, lease, now):
    lease = after(lease, cairn.save(lease, now, money=HOUR))
    at = now + timedelta(hours=24)
    assert fell(cairn.save(lease, at, money=2 * HOUR)) == ""


def test_worlds_and_characters_have_budgets_of_their_own(make_operator, cairn, alice, hero, lease, now):
    lease = after(lease, cairn.save(lease, now, money=HOUR))
    dolmen = make_operator("dolmen", tier="verified")  # the defaults
    release_lease(world=cairn.world, request=Release(lease.line, lease.epoch), now=now)
    there = dolmen.acquire(hero, dolmen.admit(alice, now), now)
    assert fell(dolmen.save(there, now, money=3 * HOUR)) == ""
    second = create_character(account=alice, name="Tansy", by=alice, now=now)
    other = cairn.acquire(second, cairn.admit(alice, now), now)
    assert fell(cairn.save(other, now, money=HOUR)) == ""


def test_a_repeat_is_counted_once(cairn, lease, now, make_save):
    save = make_save(lease, money=60)
    first = save_batch(world=cairn.world, saves=[save, save], now=now)
    assert save_batch(world=cairn.world, saves=[save], now=now + timedelta(seconds=9))[0].refusal is None
    assert first[0].refusal is None and sum(spent(lease.line).values()) == 60
    refused = cairn.save(lease, now, money=90)  # the head has moved on
    assert refused.refusal.code == "stale" and sum(spent(lease.line).values()) == 60


def test_a_batch_is_judged_write_by_write(cairn, alice, hero, lease, now, make_save):
    second = create_character(account=alice, name="Tansy", by=alice, now=now)
    other = cairn.acquire(second, cairn.admit(alice, now), now)
    saves = [make_save(lease, money=HOUR + 1), make_save(other, money=HOUR)]
    assert [fell(each) for each in save_batch(world=cairn.world, saves=saves, now=now)] == ["budget", ""]
    assert spent(lease.line) == {} and sum(spent(other.line).values()) == HOUR


def test_official_worlds_have_no_budget(aurora, alice, hero, now):
    lease = aurora.acquire(hero, aurora.admit(alice, now), now)
    assert fell(aurora.save(lease, now, money=10**9)) == "" and not Gain.objects.exists()


def test_a_head_that_cannot_be_read_spoils_no_batch(cairn, alice, hero, lease, now, make_save):
    second = create_character(account=alice, name="Tansy", by=alice, now=now)
    other = cairn.acquire(second, cairn.admit(alice, now), now)
    Line.objects.filter(pk=lease.line).update(state=b"{")
    saves = [make_save(lease, money=3), make_save(other, money=3)]
    assert [fell(each) for each in save_batch(world=cairn.world, saves=saves, now=now)] == ["", ""]


# ---------------------------------------------------------------- a world that lies


def test_a_world_is_what_the_master_says_it_is(wilds, cairn, alice, hero, now):
    """No request of the uplink says a tier; an open world that names main's line writes nothing there."""
    main = lines_of(hero)[0]
    held = cairn.acquire(hero, cairn.admit(alice, now), now)
    refused = wilds.save(held, now, money=5)
    assert refused.refusal.code == "stale" and lines_of(hero)[0].version == main.version
    World.objects.filter(pk=cairn.world.pk).update(tier="open")
    cairn.world.refresh_from_db()
    assert cairn.save(held, now, money=5).refusal.code == "stale"
    ref = LeaseRef(held.line, held.epoch)
    assert renew_leases(world=cairn.world, request=Renew([ref]), now=now).lost == [ref]


# ---------------------------------------------------------------- the staff decides


@pytest.fixture
def fallen(cairn, lease, hero, now):
    """The lease after a write of 500 coins that fell."""
    return after(lease, cairn.save(lease, now, money=500))


def test_until_it_is_decided_that_world_plays_its_fork_and_others_main(
    aurora, cairn, alice, hero, fallen, now
):
    lease = again(cairn, fallen, alice, hero, now)
    assert (lease.line_kind, lease.why_fork, lease.state.money) == ("fork", "budget", 500)
    assert [one.line for one in summaries_for_world(alice, cairn.world, now)] == ["fork"]
    there = aurora.acquire(hero, aurora.admit(alice, now), now)
    assert (there.line_kind, there.state.money) == ("main", 0)


def test_dismissed_it_stays_a_fork(cairn, alice, hero, fallen, now):
    dismiss_fall(fork=lines_of(hero)[1], reason="cheated", by=alice, now=now)
    lease = again(cairn, fallen, alice, hero, now)
    assert (lease.line_kind, lease.state.money) == ("main", 0)
    record = AuditRecord.objects.get(action="fall_dismissed")
    assert (record.account, record.detail["reason"], record.detail["world"]) == (alice, "cheated", "cairn")
    with pytest.raises(NothingToDecide):
        dismiss_fall(fork=lines_of(hero)[1], reason="again", by=alice, now=now)
    with pytest.raises(NothingToDecide):
        dismiss_fall(fork=lines_of(hero)[0], reason="main", by=alice, now=now)


def test_while_it_is_played_a_dismissed_fork_goes_on(cairn, alice, hero, fallen, now):
    dismiss_fall(fork=lines_of(hero)[1], reason="cheated", by=alice, now=now)
    lease = cairn.acquire(hero, cairn.admit(alice, now), now)
    assert (lease.line_kind, lease.why_fork) == ("fork", "")


def test_lifted_it_is_main(cairn, alice, hero, fallen, now):
    release_lease(world=cairn.world, request=Release(fallen.line, fallen.epoch), now=now)
    made = lift_fork(fork=lines_of(hero)[1], reason="a great evening", by=alice, now=now)
    main, fork = lines_of(hero)
    assert (money_of(main), fork.undecided_since, made.kind) == (500, None, "lift")
    lease = cairn.acquire(hero, cairn.admit(alice, now), now)
    assert (lease.line_kind, lease.state.money) == ("main", 500)
    assert fell(cairn.save(lease, now, money=501)) == "", "what was lifted is not counted"


def test_old_gains_are_deleted(cairn, lease, now):
    Gain.objects.create(world=cairn.world, line_id=lease.line, hour=now - KEEP - timedelta(hours=2), xp=1)
    after(lease, cairn.save(lease, now, money=5))
    assert (delete_old_gains(now=now), delete_old_gains(now=now)) == (1, 0)
    assert sum(spent(lease.line).values()) == 5


# ---------------------------------------------------------------- at once


def in_threads(*calls):
    def run(call):
        try:
            return call()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


@pytest.mark.django_db(transaction=True)
def test_the_same_write_at_once_is_counted_once(cairn, lease, now, make_save):
    total = 0
    for money in (20, 45, 90):
        save = make_save(lease, money=money)
        results = in_threads(*[lambda save=save: save_batch(world=cairn.world, saves=[save], now=now)[0]] * 3)
        assert {fell(each) for each in results} == {""}
        total = money
        lease = after(lease, results[0])
        assert sum(spent(lease.line).values()) == total


@pytest.mark.django_db(transaction=True)
def test_batches_at_once_cannot_both_spend_the_rest(cairn, lease, now, make_save):
    """Of writes of the same head one is accepted; the others are stale and count nothing."""
    saves = [make_save(lease, money=60, op_id=uuid4()) for _ in range(3)]
    results = in_threads(
        *[lambda save=save: save_batch(world=cairn.world, saves=[save], now=now)[0] for save in saves]
    )
    assert sorted(each.refusal.code if each.refusal else "ok" for each in results) == ["ok", "stale", "stale"]
    assert sum(spent(lease.line).values()) == 60
    assert Version.objects.filter(line=lease.line, world=cairn.world).count() == 1


@pytest.mark.django_db(transaction=True)
def test_forks_are_locked_in_one_order_with_main(cairn, lease, alice, hero, now, make_save, monkeypatch):
    """As a renewal locks them: else the two could wait for each other for good."""
    free = []

    def look():
        unlocked = Line.objects.select_for_update(no_key=True, skip_locked=True)
        with transaction.atomic():
            return list(unlocked.filter(holder=cairn.world).values_list("id", flat=True))

    def run(*asked, real=saves._run_statement):
        free.extend(in_threads(look)[0])
        return real(*asked)

    other = create_character(account=alice, name="Sorrel", by=alice, now=now)
    admission = cairn.admit(alice, now)
    cairn.save(cairn.acquire(other, admission, now), now, money=HOUR + 1)
    fork = Line.objects.get(character=other, world=cairn.world)
    lease = cairn.acquire(hero, admission, now)
    monkeypatch.setattr(saves, "_run_statement", run)
    named = msgspec.structs.replace(
        lease, line=fork.pk, epoch=fork.epoch, version=fork.version, chain=bytes(fork.chain)
    )
    batch = [make_save(lease, money=3), make_save(named, money=4)]
    assert [fell(each) for each in save_batch(world=cairn.world, saves=batch, now=now)] == ["", ""]
    assert free == [] and Line.objects.filter(holder=cairn.world).count() == 2


@pytest.mark.django_db(transaction=True)
def test_two_that_go_over_at_once_fall_once(cairn, lease, now, make_save, hero):
    saves = [make_save(lease, money=500 + number, op_id=uuid4()) for number in range(2)]
    results = in_threads(
        *[lambda save=save: save_batch(world=cairn.world, saves=[save], now=now)[0] for save in saves]
    )
    codes = sorted(each.refusal.code if each.refusal else fell(each) for each in results)
    assert codes == ["budget", "stale"]
    assert lines_of(hero)[1].version == 2 and Fall.objects.count() == 1 and not Gain.objects.exists()
