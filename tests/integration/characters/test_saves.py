"""Saves on real PostgreSQL: one statement, and every attack on it."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import uuid4

import msgspec
import pytest
from django.conf import settings
from django.db import connection
from django.test.utils import CaptureQueriesContext

from characters import saves as saves_module
from characters.leases import renew_leases
from characters.models import Line, Version
from characters.saves import save_batch
from characters.services import create_character
from worlds.signing import signing_keys
from worlds.uplink.messages import LeaseRef, Renew
from worlds.uplink.receipt import check_receipt
from zonecluster.protocol.character import (
    GENESIS_CHAIN,
    MAX_STATE_BYTES,
    decode_state,
    next_chain,
    state_hash,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def lease(aurora, alice, hero, now):
    return aurora.acquire(hero, aurora.admit(alice, now), now)


def snapshot(line_id):
    """Return everything of a line that a write could change, as bytes and plain values."""
    line = Line.objects.filter(id=line_id).values_list()[0]
    versions = Version.objects.filter(line=line_id).order_by("version").values_list()
    plain = [tuple(bytes(v) if isinstance(v, memoryview) else v for v in row) for row in (line, *versions)]
    return plain


def code_of(saved):
    """Return the refusal's code, or "ok"."""
    return saved.refusal.code if saved.refusal else "ok"


def said(saved):
    """Return an outcome with what its receipt says in place of its text: two may be signed differently."""
    keys = signing_keys(settings.CONFIG.signing_keys_dir)
    receipt = check_receipt(saved.receipt, keys.key_of) if saved.receipt else None
    return msgspec.structs.replace(saved, receipt=receipt)


def after(lease, saved):
    """Return the lease as it stands after an accepted save."""
    return msgspec.structs.replace(lease, version=saved.version, chain=saved.chain)


def test_a_save_moves_the_head_and_appends_a_version(aurora, lease, now, make_save):
    wanted = make_save(lease, money=77, kind="quest")
    saved = save_batch(world=aurora.world, saves=[wanted], now=now)[0]
    line, version = Line.objects.get(id=lease.line), Version.objects.get(op_id=wanted.op_id)
    assert (saved.refusal, saved.version, line.version, version.version) == (None, 2, 2, 2)
    assert saved.chain == bytes(line.chain) == bytes(version.chain)
    assert bytes(version.prev_chain) == lease.chain
    assert bytes(line.state) == bytes(version.state) == bytes(wanted.state)
    assert decode_state(bytes(line.state)).money == 77
    assert (version.kind, version.world, version.epoch, version.at) == (
        "quest",
        aurora.world,
        lease.epoch,
        now,
    )
    assert line.updated_at == now


@pytest.mark.parametrize("kind", ["periodic", "level", "quest", "item", "handoff", "logout"])
def test_every_kind_of_save_is_kept_as_such(aurora, lease, now, kind):
    saved = aurora.save(lease, now, kind=kind)
    assert Version.objects.get(line=lease.line, version=saved.version).kind == kind


@pytest.mark.parametrize("kind", ["trade", "mail"])
def test_goods_do_not_change_hands_by_a_save(aurora, lease, now, kind):
    assert aurora.save(lease, now, kind=kind).refusal.code == "bad_request"
    assert Line.objects.get(id=lease.line).version == lease.version


def test_the_chain_holds_from_the_first_version_to_the_last(aurora, lease, now):
    for money in range(5):
        lease = after(lease, aurora.save(lease, now, money=money))
    previous = GENESIS_CHAIN
    versions = list(Version.objects.filter(line=lease.line).order_by("version"))
    assert [row.version for row in versions] == [1, 2, 3, 4, 5, 6]
    for row in versions:
        assert bytes(row.prev_chain) == previous
        assert bytes(row.state_hash) == state_hash(bytes(row.state))
        previous = next_chain(previous, row.version, row.op_id, bytes(row.state_hash))
        assert bytes(row.chain) == previous
    assert bytes(Line.objects.get(id=lease.line).chain) == previous


def test_the_receipt_says_what_was_written_and_verifies(aurora, lease, now, make_save):
    wanted = make_save(lease)
    saved = save_batch(world=aurora.world, saves=[wanted], now=now)[0]
    receipt = check_receipt(saved.receipt, signing_keys(settings.CONFIG.signing_keys_dir).key_of)
    assert (receipt.world, receipt.line, receipt.version) == ("aurora", lease.line, 2)
    assert (receipt.epoch, receipt.op_id, receipt.chain) == (lease.epoch, wanted.op_id, saved.chain)
    assert (receipt.state_hash, receipt.at) == (state_hash(bytes(wanted.state)), now)


def test_a_repeated_op_id_gets_the_first_answer_whatever_came_since(
    aurora, borealis, alice, hero, lease, now, make_save
):
    wanted = make_save(lease)
    first = save_batch(world=aurora.world, saves=[wanted], now=now)[0]
    assert save_batch(world=aurora.world, saves=[wanted], now=now + timedelta(seconds=5))[0] == first
    aurora.save(after(lease, first), now)
    late = now + timedelta(seconds=500)
    borealis.acquire(hero, borealis.admit(alice, late), late)
    assert save_batch(world=aurora.world, saves=[wanted], now=late)[0] == first
    assert Version.objects.filter(op_id=wanted.op_id).count() == 1


@pytest.mark.parametrize("change", ["state", "version", "epoch", "prev_chain", "kind", "line"])
def test_an_op_id_with_other_content_is_an_error(aurora, lease, now, make_save, change):
    wanted = make_save(lease)
    save_batch(world=aurora.world, saves=[wanted], now=now)
    before = snapshot(lease.line)
    other = {
        "state": make_save(lease, money=9).state, "version": 2, "epoch": lease.epoch + 1,
        "prev_chain": bytes(32), "kind": "logout", "line": uuid4(),
    }  # fmt: skip
    changed = msgspec.structs.replace(wanted, **{change: other[change]})
    assert code_of(save_batch(world=aurora.world, saves=[changed], now=now)[0]) == "op_id_reused"
    assert snapshot(lease.line) == before


def test_a_used_op_id_on_the_next_good_write_changes_nothing(aurora, lease, now):
    first_op = uuid4()
    saved = aurora.save(lease, now, op_id=first_op)
    before = snapshot(lease.line)
    assert aurora.save(after(lease, saved), now, op_id=first_op, money=2).refusal.code == "op_id_reused"
    assert snapshot(lease.line) == before


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"version": 0}, "stale"),
        ({"version": 2}, "stale"),
        ({"epoch": 1_000_000}, "stale"),
        ({"epoch": 1_000_002}, "stale"),
        ({"version": 2**63 - 1}, "stale"),
        ({"line": uuid4()}, "stale"),
        ({"prev_chain": bytes(32)}, "bad_chain"),
        ({"state": b"[]"}, "invalid_state"),
        ({"state": b'{"money":-1}'}, "invalid_state"),
        ({"state": b'{"money":1,"wings":2}'}, "invalid_state"),
        ({"state": b'{"quests":{"a":"' + b"x" * MAX_STATE_BYTES + b'"}}'}, "invalid_state"),
        ({"state": b'{"places":{"w":{"zone":"z","position":[1,2,1e999]}}}'}, "invalid_state"),
    ],
)
def test_a_write_that_does_not_fit_is_refused_and_changes_nothing(aurora, lease, now, changes, code):
    before = snapshot(lease.line)
    outcome = aurora.save(lease, now, **changes)
    assert code_of(outcome) == code
    assert not outcome.receipt and not outcome.chain
    assert snapshot(lease.line) == before
    assert aurora.save(lease, now).refusal is None


def test_another_world_cannot_write_with_a_stolen_lease(aurora, borealis, wilds, lease, now):
    before = snapshot(lease.line)
    for thief in (borealis, wilds):
        assert thief.save(lease, now).refusal.code == "stale"
    assert snapshot(lease.line) == before


def test_an_open_world_changes_no_byte_of_main(aurora, wilds, alice, hero, now):
    main = Line.objects.get(character=hero).id
    before = snapshot(main)
    lease = wilds.acquire(hero, wilds.admit(alice, now), now)
    for money in range(3):
        lease = after(lease, wilds.save(lease, now, money=10**9 + money))
    assert wilds.save(msgspec.structs.replace(lease, line=main, version=1), now).refusal.code == "stale"
    assert snapshot(main) == before
    assert aurora.acquire(hero, aurora.admit(alice, now), now).state.money == 0


def test_states_are_kept_as_canonical_bytes(aurora, lease, now):
    aurora.save(lease, now, state=b' {"money": 5,\n "attributes": {"xp": 2, "level": 3}} ')
    kept = bytes(Line.objects.get(id=lease.line).state)
    assert b" " not in kept and kept.index(b'"level"') < kept.index(b'"xp"')
    assert decode_state(kept).attributes == {"level": 3, "xp": 2}


@pytest.fixture
def several(aurora, make_account, now):
    bob = make_account("bob", premium=True)
    admission = aurora.admit(bob, now)
    names = ["Ash", "Birch", "Cedar", "Elder", "Hazel"]
    group = [create_character(account=bob, name=name, by=bob, now=now) for name in names]
    return [aurora.acquire(character, admission, now) for character in group]


def test_each_write_of_a_batch_stands_or_falls_by_itself(aurora, several, now, make_save):
    saves = [
        make_save(several[0]),
        make_save(several[1], version=9),
        make_save(several[2], state=b"{"),
        make_save(several[3], prev_chain=bytes(32)),
        make_save(several[4]),
    ]
    results = save_batch(world=aurora.world, saves=saves, now=now)
    assert [r.op_id for r in results] == [s.op_id for s in saves]
    codes = [code_of(r) for r in results]
    assert codes == ["ok", "stale", "invalid_state", "bad_chain", "ok"]
    versions = [Line.objects.get(id=lease.line).version for lease in several]
    assert versions == [2, 1, 1, 1, 2]


def test_a_clean_batch_is_one_statement_and_no_look_at_the_journal(
    aurora, several, now, make_save, monkeypatch
):
    batches = []
    write = saves_module.write_batch
    monkeypatch.setattr(
        saves_module, "write_batch", lambda **asked: batches.append(len(asked["writes"])) or write(**asked)
    )
    saves = [make_save(lease) for lease in several]
    with CaptureQueriesContext(connection) as captured:  # what is not by a cursor of psycopg's own
        results = save_batch(world=aurora.world, saves=saves, now=now)
    assert all(r.refusal is None for r in results)
    assert batches == [len(several)]
    assert [q["sql"] for q in captured.captured_queries if "SAVEPOINT" not in q["sql"]] == []
    # The receipts say what those say that the journal's rows give.
    again = save_batch(world=aurora.world, saves=saves, now=now + timedelta(seconds=9))
    assert list(map(said, again)) == list(map(said, results))


def test_a_used_op_id_does_not_keep_the_others_of_its_batch_waiting(
    aurora, several, now, make_save, monkeypatch
):
    used = make_save(several[0])
    save_batch(world=aurora.world, saves=[used], now=now)
    batches = []
    write = saves_module.write_batch
    monkeypatch.setattr(
        saves_module, "write_batch", lambda **asked: batches.append(len(asked["writes"])) or write(**asked)
    )
    saves = [make_save(several[1]), make_save(several[2], op_id=used.op_id), make_save(several[3])]
    results = save_batch(world=aurora.world, saves=saves, now=now)
    assert [code_of(result) for result in results] == ["ok", "op_id_reused", "ok"]
    assert batches == [3, 2]
    versions = [Line.objects.get(id=lease.line).version for lease in several[:4]]
    assert versions == [2, 2, 1, 2]


def test_a_hostile_batch_cannot_write_twice(aurora, several, now, make_save):
    first = make_save(several[0])
    twin = make_save(several[0], money=2)
    shared = make_save(several[1], op_id=first.op_id)
    results = save_batch(world=aurora.world, saves=[first, twin, shared, first], now=now)
    assert results[0].refusal is None
    assert code_of(results[1]) == "stale"
    assert code_of(results[2]) == "op_id_reused"
    assert said(results[3]) == said(results[0])
    assert [Line.objects.get(id=lease.line).version for lease in several[:2]] == [2, 1]


def in_threads(*calls):
    """Run calls at once, each on its own connection; return their results."""

    def run(call):
        try:
            return call()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


@pytest.mark.django_db(transaction=True)
def test_of_two_writes_at_once_one_wins(aurora, lease, now):
    for _ in range(5):
        results = in_threads(
            *[lambda held=lease, money=money: aurora.save(held, now, money=money) for money in range(4)]
        )
        winners = [r for r in results if r.refusal is None]
        assert len(winners) == 1
        assert {r.refusal.code for r in results if r.refusal} == {"stale"}
        lease = after(lease, winners[0])
    assert Version.objects.filter(line=lease.line).count() == 6


@pytest.mark.django_db(transaction=True)
def test_the_same_write_at_once_is_written_once_and_answered_alike(aurora, lease, now, make_save):
    wanted = make_save(lease)
    results = in_threads(*[lambda: save_batch(world=aurora.world, saves=[wanted], now=now)[0]] * 4)
    assert len({r.receipt for r in results}) == 1
    assert all(r.refusal is None for r in results)
    assert Version.objects.filter(line=lease.line).count() == 2


@pytest.mark.django_db(transaction=True)
def test_one_op_id_for_two_lines_at_once_is_written_once(aurora, several, now, make_save):
    op_id = uuid4()
    results = in_threads(
        *[
            lambda lease=lease: save_batch(
                world=aurora.world, saves=[make_save(lease, op_id=op_id)], now=now
            )[0]
            for lease in several[:4]
        ]
    )
    assert sorted(code_of(r) for r in results) == ["ok"] + ["op_id_reused"] * 3
    assert Version.objects.filter(op_id=op_id).count() == 1
    assert sorted(Line.objects.get(id=lease.line).version for lease in several[:4]) == [1, 1, 1, 2]


@pytest.mark.django_db(transaction=True)
def test_batches_and_renewals_in_any_order_do_not_block_each_other(aurora, several, now, make_save):
    def save(leases):
        outcomes = save_batch(world=aurora.world, saves=[make_save(lease) for lease in leases], now=now)
        return [outcome.refusal for outcome in outcomes]

    def renew(leases):
        refs = [LeaseRef(lease.line, lease.epoch) for lease in leases]
        return renew_leases(world=aurora.world, request=Renew(refs), now=now).lost

    backwards = several[::-1]
    for _ in range(5):  # all saves but the first are stale: what counts is that no call dies of a deadlock
        in_threads(
            lambda: save(several), lambda: renew(backwards), lambda: save(backwards), lambda: renew(several)
        )
    assert {Line.objects.get(id=lease.line).version for lease in several} == {2}


@pytest.mark.django_db(transaction=True)
def test_of_two_worlds_acquiring_at_once_one_gets_the_lease(aurora, borealis, alice, hero, now):
    def ask(operator, admission):
        try:
            return operator.acquire(hero, admission, now).epoch
        except Exception as error:  # noqa: BLE001  (what it is, is asserted)
            return error

    admissions = [aurora.admit(alice, now), borealis.admit(alice, now)]
    # The second admission closed the first; both are opened again, so that only the lease decides.
    hero.account.tickets.update(closed_at=None)
    answers = in_threads(
        *[lambda o=o, a=a: ask(o, a) for o, a in zip((aurora, borealis), admissions, strict=True)]
    )
    assert [a for a in answers if isinstance(a, int)] == [1_000_001]
    assert [a.refusal.code for a in answers if not isinstance(a, int)] == ["held_elsewhere"]


@pytest.mark.django_db(transaction=True)
def test_two_first_acquires_of_an_open_world_make_one_fork(wilds, alice, hero, now):
    admission = wilds.admit(alice, now)
    leases = in_threads(*[lambda: wilds.acquire(hero, admission, now)] * 4)
    assert len({lease.line for lease in leases}) == 1
    assert len({lease.epoch for lease in leases}) == 4
    assert Line.objects.filter(character=hero).count() == 2
