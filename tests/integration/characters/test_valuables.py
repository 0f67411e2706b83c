"""Valuables on PostgreSQL: one owner each, on main strictly; refused, undone, lifted and counted anew."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from importlib import import_module
from uuid import UUID, uuid4

import msgspec
import pytest
from django.apps import apps
from django.db import DataError, IntegrityError, OperationalError, connection, transaction
from django.test.utils import CaptureQueriesContext

from accounts.models import AuditRecord
from characters import claiming, recounting
from characters.invariants import INVARIANTS, check_invariants
from characters.leases import release_lease
from characters.letters import goods_in
from characters.lifting import CannotLift, lift_fork, plan_lift
from characters.lines import Entry, append_version
from characters.models import Gain, Letter, Line, Valuable, ValuableEvent, Version
from characters.recounting import recount_owners
from characters.refusals import Refused
from characters.restoring import plan_rollback, restore_version, roll_back_line
from characters.saves import save_batch
from characters.services import create_character
from characters.valuable_rules import Step, kinds_of, moves_of, packed
from characters.valuables import move_valuables
from worlds.models import World
from worlds.services import limit_world
from worlds.uplink.messages import Goods, Release
from zonecluster.protocol.canonical import MAX_VALUABLES
from zonecluster.protocol.character import InvalidState, Item, decode_state, encode_state

pytestmark = pytest.mark.django_db

CROWN, RING = UUID(int=0xC0), UUID(int=0xC1)
Kind = ValuableEvent.Kind
OF_VALUABLES = ("valuables_of_heads", "one_owner", "owners", "known_valuables", "kinds_of_valuables")
fill = import_module("characters.migrations.0006_valuables").fill


@pytest.fixture
def rogue(mallory, now):
    return create_character(account=mallory, name="Sorrel", by=mallory, now=now + timedelta(seconds=1))


@pytest.fixture
def lease(aurora, alice, hero, now):
    return aurora.acquire(hero, aurora.admit(alice, now), now)


@pytest.fixture
def other(aurora, mallory, rogue, now):
    """Mallory's lease in the same world."""
    return aurora.acquire(rogue, aurora.admit(mallory, now), now)


def with_things(lease, *things, money=1):
    bags = {"inventory": [Item("drowned-crown", 1, thing) for thing in things]}
    return encode_state(msgspec.structs.replace(lease.state, money=money, bags=bags))


def after(lease, saved):
    assert saved.refusal is None, saved.refusal
    return msgspec.structs.replace(lease, version=saved.version, chain=saved.chain)


def code(saved):
    return saved.refusal.code if saved.refusal else "ok"


def owner_of(thing, world=None):
    return Valuable.objects.get(thing=thing, world=world).line_id


def kinds_of_events(thing, world=None):
    return list(
        ValuableEvent.objects.filter(valuable__thing=thing, valuable__world=world)
        .order_by("pk")
        .values_list("kind", flat=True)
    )


def check_columns():
    """Line.valuables says what the documents have, each thing on main has its line, and SQL agrees."""
    for line in Line.objects.all():
        things = kinds_of(decode_state(bytes(line.state)))
        assert bytes(line.valuables) == packed(things)
        if line.world_id is None:
            assert {owner_of(thing) for thing in things} <= {line.pk}
            owned = Valuable.objects.filter(world=None, line=line).values_list("thing", flat=True)
            assert set(owned) == set(things)
    with transaction.atomic(), connection.cursor() as cursor:
        assert check_invariants(cursor, [each for each in INVARIANTS if each.name in OF_VALUABLES]) == []


def log_out(operator, lease, now):
    assert release_lease(world=operator.world, request=Release(lease.line, lease.epoch), now=now)


def test_a_thing_comes_into_being_with_its_provenance(aurora, lease, now):
    saved = aurora.save(lease, now, state=with_things(lease, CROWN, RING), kind="item")
    lease = after(lease, saved)
    row = Valuable.objects.get(thing=CROWN)
    assert (row.line_id, row.kind, row.world, row.letter) == (lease.line, "drowned-crown", None, None)
    event = row.events.get()
    assert (event.kind, event.world, event.line_id, event.at) == (Kind.MADE, aurora.world, lease.line, now)
    assert Version.objects.get(op_id=event.op_id).version == saved.version
    again = aurora.save(lease, now, state=with_things(lease, CROWN, RING, money=9))
    assert code(again) == "ok" and ValuableEvent.objects.count() == 2
    check_columns()


def test_a_thing_of_somebody_else_is_refused_and_nothing_is_written(aurora, lease, other, now):
    after(lease, aurora.save(lease, now, state=with_things(lease, CROWN)))
    stolen = aurora.save(other, now, state=with_things(other, CROWN))
    assert code(stolen) == "foreign_valuable" and "somebody else's" in stolen.refusal.detail
    assert Line.objects.get(pk=other.line).version == other.version
    assert owner_of(CROWN) == lease.line
    assert code(aurora.save(other, now, state=with_things(other, RING))) == "ok"
    check_columns()


def test_what_is_gone_does_not_come_back(aurora, lease, now):
    lease = after(lease, aurora.save(lease, now, state=with_things(lease, CROWN)))
    lease = after(lease, aurora.save(lease, now, state=with_things(lease)))
    assert owner_of(CROWN) is None and kinds_of_events(CROWN) == [Kind.MADE, Kind.GONE]
    refused = aurora.save(lease, now, state=with_things(lease, CROWN))
    assert code(refused) == "foreign_valuable" and "gone" in refused.refusal.detail
    check_columns()


def test_a_refused_write_of_a_batch_spoils_no_other(aurora, lease, other, now, make_save):
    lease = after(lease, aurora.save(lease, now, state=with_things(lease, CROWN)))
    saves = [
        make_save(other, state=with_things(other, CROWN)),
        make_save(lease, state=with_things(lease, CROWN, RING)),
    ]
    assert [code(each) for each in save_batch(world=aurora.world, saves=saves, now=now)] == [
        "foreign_valuable",
        "ok",
    ]
    repeated = save_batch(world=aurora.world, saves=saves, now=now)
    assert [code(each) for each in repeated] == ["foreign_valuable", "ok"]
    assert kinds_of_events(RING) == [Kind.MADE]
    check_columns()


def test_other_refusals_come_before(aurora, borealis, lease, other, now):
    after(lease, aurora.save(lease, now, state=with_things(lease, CROWN)))
    stolen = with_things(other, CROWN)
    assert code(aurora.save(other, now, state=stolen, version=7)) == "stale"
    assert code(aurora.save(other, now, state=stolen, prev_chain=bytes(32))) == "bad_chain"
    assert code(borealis.save(other, now, state=stolen)) == "stale"


def test_scopes_are_apart(aurora, wilds, alice, hero, lease, now):
    """An open world's forks have what main has; what they do with it changes nothing on main."""
    lease = after(lease, aurora.save(lease, now, state=with_things(lease, CROWN)))
    log_out(aurora, lease, now)
    fork = wilds.acquire(hero, wilds.admit(alice, now), now)
    assert owner_of(CROWN, wilds.world) == fork.line and owner_of(CROWN) == lease.line
    fork = after(fork, wilds.save(fork, now, state=with_things(fork, RING)))
    assert owner_of(CROWN, wilds.world) is None and owner_of(CROWN) == lease.line
    assert owner_of(RING, wilds.world) == fork.line
    assert not Valuable.objects.filter(thing=RING, world=None).exists()
    assert kinds_of_events(CROWN, wilds.world) == [Kind.FORKED, Kind.GONE]
    check_columns()


def test_a_write_that_falls_takes_its_things_along(aurora, lease, now, hero):
    lease = after(lease, aurora.save(lease, now, state=with_things(lease, CROWN)))
    limit_world(world=aurora.world, reason="test", by=None, now=now)
    lease = after(lease, aurora.save(lease, now, state=with_things(lease, CROWN, RING)))
    fork = Line.objects.get(character=hero, world=aurora.world)
    assert owner_of(CROWN, aurora.world) == owner_of(RING, aurora.world) == fork.pk
    assert owner_of(CROWN) == lease.line and not Valuable.objects.filter(thing=RING, world=None).exists()
    lease = after(lease, aurora.save(lease, now, state=with_things(lease, CROWN)))
    assert code(aurora.save(lease, now, state=with_things(lease, CROWN, RING))) == "foreign_valuable"
    assert Line.objects.get(pk=fork.pk).version == 3
    check_columns()


def test_a_fall_with_somebody_elses_thing_is_refused_whole(aurora, lease, other, now, rogue):
    limit_world(world=aurora.world, reason="test", by=None, now=now)
    after(lease, aurora.save(lease, now, state=with_things(lease, CROWN)))
    assert code(aurora.save(other, now, state=with_things(other, CROWN))) == "foreign_valuable"
    assert not Line.objects.filter(character=rogue, world=aurora.world).exists()
    assert Line.objects.get(pk=other.line).holder == aurora.world


def trade(lease, other, thing, now, world):
    """Move a thing by the rules of exchanges; the documents are not looked at here."""
    steps = [Step(lease.line, {thing: "crown"}, {}, uuid4()), Step(other.line, {}, {thing: "crown"}, uuid4())]
    move_valuables(moves_of(steps, None), scope=None, world=world, now=now)


def test_moves_change_owners_and_refuse_what_is_not_there(aurora, lease, other, now):
    after(lease, aurora.save(lease, now, state=with_things(lease, CROWN)))
    trade(lease, other, CROWN, now, aurora.world)
    assert owner_of(CROWN) == other.line and kinds_of_events(CROWN)[-1] == Kind.MOVED
    for thing in (CROWN, RING):  # no longer hers; never there
        with pytest.raises(Refused) as refused:
            trade(lease, other, thing, now, aurora.world)
        assert refused.value.refusal.code == "foreign_valuable"


# ---------------------------------------------------------------- the staff


def restore(line, version, now):
    row = Version.objects.get(line=line, version=version)
    return restore_version(version=row, reason="asked for it", by=None, now=now)


def test_a_restore_brings_back_what_is_gone(aurora, lease, now):
    held = after(lease, aurora.save(lease, now, state=with_things(lease, CROWN)))
    log_out(aurora, after(held, aurora.save(held, now, state=with_things(lease, RING))), now)
    made = restore(lease.line, held.version, now)
    assert owner_of(CROWN) == lease.line and owner_of(RING) is None
    assert kinds_of_events(CROWN) == [Kind.MADE, Kind.GONE, Kind.RESTORED]
    assert ValuableEvent.objects.filter(kind=Kind.RESTORED).get().op_id == made.op_id
    check_columns()


def test_a_restore_leaves_out_what_somebody_else_has_by_now(aurora, lease, other, now):
    held = after(lease, aurora.save(lease, now, state=with_things(lease, CROWN, RING)))
    gone = after(held, aurora.save(held, now, state=with_things(lease)))
    Valuable.objects.filter(thing=CROWN).update(line=other.line)  # as if it had been traded
    log_out(aurora, gone, now)
    made = restore(lease.line, held.version, now)
    assert set(kinds_of(decode_state(bytes(made.state)))) == {RING}
    assert (owner_of(CROWN), owner_of(RING)) == (other.line, lease.line)
    assert AuditRecord.objects.get(action="character_restored").detail["left_out"] == [str(CROWN)]
    assert restore(lease.line, held.version, now) is None  # all that can come back is there


def test_a_rollback_says_before_what_it_leaves_out(aurora, lease, other, now):
    held = after(lease, aurora.save(lease, now, state=with_things(lease, CROWN)))
    later = now + timedelta(minutes=5)
    log_out(aurora, after(held, aurora.save(held, later, state=with_things(lease))), later)
    Valuable.objects.filter(thing=CROWN).update(line=other.line)
    (plan,) = plan_rollback(world=aurora.world, since=later, now=later)
    assert plan.verdict == "to do" and f"drowned-crown {CROWN}" in plan.note
    roll_back_line(line_id=lease.line, world=aurora.world, since=later, reason="dupes", by=None, now=later)
    line = Line.objects.get(pk=lease.line)
    assert bytes(line.valuables) == b"" and owner_of(CROWN) == other.line
    assert AuditRecord.objects.get(action="character_rolled_back").detail["left_out"] == [str(CROWN)]


def test_a_lift_makes_things_on_main_and_leaves_out_what_others_have(aurora, lease, other, now, hero):
    lease = after(lease, aurora.save(lease, now, state=with_things(lease, CROWN)))
    limit_world(world=aurora.world, reason="test", by=None, now=now)
    lease = after(lease, aurora.save(lease, now, state=with_things(lease, CROWN, RING)))
    log_out(aurora, lease, now)
    Valuable.objects.filter(thing=CROWN, world=None).update(line=other.line)
    fork = Line.objects.get(character=hero, world=aurora.world)
    assert f"drowned-crown {CROWN}" in plan_lift(fork, now).note
    made = lift_fork(fork=fork, reason="good", by=None, now=now)
    assert set(kinds_of(decode_state(bytes(made.state)))) == {RING}
    assert (owner_of(CROWN), owner_of(RING)) == (other.line, lease.line)
    assert AuditRecord.objects.get(action="fork_lifted").detail["left_out"] == [str(CROWN)]
    with pytest.raises(CannotLift):
        lift_fork(fork=fork, reason="again", by=None, now=now)


# ---------------------------------------------------------------- what a thing is


def things_of(lease, **kinds):
    """A document with things: CROWN and RING by the kinds given."""
    ids = {"crown": CROWN, "ring": RING}
    bags = {"inventory": [Item(kind, 1, ids[name]) for name, kind in kinds.items()]}
    return encode_state(msgspec.structs.replace(lease.state, bags=bags))


@pytest.fixture
def cairn(make_operator):
    return make_operator("cairn", tier="verified")


def test_a_verified_world_makes_nothing_else_of_a_thing_on_main(cairn, alice, hero, now):
    lease = cairn.acquire(hero, cairn.admit(alice, now), now)
    lease = after(lease, cairn.save(lease, now, state=things_of(lease, crown="pebble")))
    for kinds in (
        {"crown": "crown-of-gods"},
        {"crown": "crown-of-gods", "ring": "ring"},
    ):  # the same ids; more
        saved = cairn.save(lease, now, op_id=uuid4(), state=things_of(lease, **kinds))
        assert code(saved) == "foreign_valuable" and saved.forked is None
        assert "'pebble'" in saved.refusal.detail
    line = Line.objects.get(pk=lease.line)
    assert kinds_of(decode_state(bytes(line.state))) == {CROWN: "pebble"}
    assert Gain.objects.get().valuables == 1
    check_columns()
    saved = cairn.save(lease, now, op_id=uuid4(), state=things_of(lease, crown="pebble", ring="ring"))
    assert code(saved) == "ok"


def test_a_renamed_thing_spoils_no_other_write_of_the_batch(
    cairn, alice, mallory, hero, rogue, now, make_save
):
    lease = cairn.acquire(hero, cairn.admit(alice, now), now)
    bad = cairn.acquire(rogue, cairn.admit(mallory, now), now)
    bad = after(bad, cairn.save(bad, now, state=things_of(bad, crown="pebble")))
    saves = [
        make_save(bad, state=things_of(bad, crown="crown-of-gods")),
        make_save(lease, state=things_of(lease, ring="ring")),
    ]
    assert [code(each) for each in save_batch(world=cairn.world, saves=saves, now=now)] == [
        "foreign_valuable",
        "ok",
    ]


def test_what_a_fork_calls_otherwise_does_not_come_to_main(aurora, wilds, alice, hero, lease, now):
    lease = after(lease, aurora.save(lease, now, state=things_of(lease, crown="pebble", ring="ring")))
    log_out(aurora, lease, now)
    fork = wilds.acquire(hero, wilds.admit(alice, now), now)
    fork = after(fork, wilds.save(fork, now, state=things_of(fork, crown="crown-of-gods", ring="ring")))
    log_out(wilds, fork, now)
    line = Line.objects.get(pk=fork.line)
    assert f"made as something else: crown-of-gods {CROWN}" in plan_lift(line, now).note
    made = lift_fork(fork=line, reason="fair", by=None, now=now)
    assert kinds_of(decode_state(bytes(made.state))) == {RING: "ring"}
    check_columns()


def test_the_invariant_finds_a_thing_that_is_something_else(aurora, lease, now):
    after(lease, aurora.save(lease, now, state=things_of(lease, crown="pebble")))
    Valuable.objects.update(kind="crown-of-gods")
    with transaction.atomic(), connection.cursor() as cursor:
        found = check_invariants(cursor, [each for each in INVARIANTS if each.name == "kinds_of_valuables"])
    assert [each.broken for each in found] == [1]


# ---------------------------------------------------------------- what no row can keep, and too much of it


def test_u_0000_is_refused_and_spoils_no_other_write(aurora, lease, other, now, make_save):
    saves = [
        make_save(lease, state=things_of(lease, crown="a\0")),
        make_save(other, state=things_of(other, ring="ring")),
    ]
    assert [code(each) for each in save_batch(world=aurora.world, saves=saves, now=now)] == [
        "invalid_state",
        "ok",
    ]


def put_in_history(lease, now, **kinds):
    """Make a document the head that today's rules refuse."""
    line = Line.objects.get(pk=lease.line)
    entry = Entry("periodic", things_of(lease, **kinds), line.holder, epoch=lease.epoch)
    append_version(line=line, entry=entry, now=now)


def test_an_older_document_with_u_0000_stops_no_restore_and_no_fork(aurora, wilds, alice, hero, lease, now):
    put_in_history(lease, now, crown="a\0b", ring="ring")
    assert recount_owners(now) == 0
    assert Valuable.objects.get(thing=CROWN).kind == "a\ufffdb"
    assert owner_of(RING) == lease.line
    check_columns()
    log_out(aurora, lease, now)
    fork = wilds.acquire(hero, wilds.admit(alice, now), now)
    assert owner_of(CROWN, wilds.world) == fork.line


def test_one_thing_that_cannot_be_counted_stops_no_restore(aurora, lease, now, monkeypatch):
    put_in_history(lease, now, crown="crown", ring="ring")
    kinds = {CROWN: "x" * 65}  # no column takes it
    real = recounting._kind_of
    monkeypatch.setattr(recounting, "_kind_of", lambda thing, owner: kinds.get(thing) or real(thing, owner))
    recount_owners(now)
    assert owner_of(RING) == lease.line and not Valuable.objects.filter(thing=CROWN).exists()


def test_a_document_full_of_new_things_costs_as_many_queries_as_one(wilds, alice, hero, now):
    lease, counts = wilds.acquire(hero, wilds.admit(alice, now), now), []
    for size in (1, 64, MAX_VALUABLES):
        things = [Item("seal", 1, uuid4()) for _ in range(size)]
        state = encode_state(msgspec.structs.replace(lease.state, bags={"bank": things}))
        with CaptureQueriesContext(connection) as queries:
            lease = after(lease, wilds.save(lease, now, op_id=uuid4(), state=state))
        counts.append(len(queries))
    assert counts[1] == counts[2] <= counts[0] + 2  # the first one has nothing to lose
    assert Valuable.objects.exclude(line=None).count() == MAX_VALUABLES
    check_columns()
    things = [Item("seal", 1, uuid4()) for _ in range(MAX_VALUABLES + 1)]
    state = encode_state(msgspec.structs.replace(lease.state, bags={"bank": things}))
    assert code(wilds.save(lease, now, op_id=uuid4(), state=state)) == "invalid_state"


@pytest.mark.parametrize(
    ("error", "answer"),
    [(DataError, "invalid_state"), (InvalidState, "invalid_state"), (OperationalError, "master_fault"),
     (IntegrityError, "master_fault")],
)  # fmt: skip
def test_what_goes_wrong_with_one_claim_is_its_own(
    aurora, lease, other, now, make_save, monkeypatch, error, answer
):
    real = claiming.claim

    def claim(claims, **asked):
        if any(each.line.pk == lease.line for each in claims):
            raise error("deadlock detected")
        real(claims, **asked)

    monkeypatch.setattr(claiming, "claim", claim)
    saves = [
        make_save(lease, state=with_things(lease, CROWN)),
        make_save(other, state=with_things(other, RING)),
    ]
    assert [code(each) for each in save_batch(world=aurora.world, saves=saves, now=now)] == [answer, "ok"]
    assert Line.objects.get(pk=lease.line).version == lease.version
    check_columns()


def test_a_world_suspended_while_its_batch_runs_writes_no_more(
    aurora, lease, other, now, make_save, monkeypatch
):
    real = claiming.writer_now

    def suspended_at_this_instant(world):
        writer = real(world)
        World.objects.filter(pk=world.pk).update(suspended_at=now)
        return writer

    monkeypatch.setattr(claiming, "writer_now", suspended_at_this_instant)
    saves = [
        make_save(lease, state=with_things(lease, CROWN)),
        make_save(other, state=with_things(other, RING)),
    ]
    answers = save_batch(world=aurora.world, saves=saves, now=now)
    # The one statement looks again. What it finds is rolled back here with the rest, so the world asks again.
    assert [code(each) for each in answers] == ["master_fault", "master_fault"]
    assert Line.objects.get(pk=other.line).version == other.version and not Valuable.objects.exists()


def test_a_batch_that_changes_things_costs_as_many_queries_as_one_write(aurora, lease, other, now, make_save):
    lease = after(lease, aurora.save(lease, now, state=with_things(lease, CROWN)))
    with CaptureQueriesContext(connection) as one:
        lease = after(lease, aurora.save(lease, now, op_id=uuid4(), state=with_things(lease, uuid4())))
    saves = [
        make_save(lease, op_id=uuid4(), state=with_things(lease, RING)),
        make_save(other, op_id=uuid4(), state=with_things(other, uuid4())),
    ]
    with CaptureQueriesContext(connection) as two:
        answers = save_batch(world=aurora.world, saves=saves, now=now)
    assert [code(each) for each in answers] == ["ok", "ok"] and len(two) == len(one)
    assert kinds_of_events(RING) == [Kind.MADE] and kinds_of_events(CROWN) == [Kind.MADE, Kind.GONE]
    check_columns()


def test_of_two_writes_of_a_batch_that_make_the_same_thing_one_has_it(aurora, lease, other, now, make_save):
    saves = [
        make_save(lease, op_id=uuid4(), state=with_things(lease, CROWN, RING)),
        make_save(other, op_id=uuid4(), state=with_things(other, CROWN)),
    ]
    first, second = save_batch(world=aurora.world, saves=saves, now=now)
    assert (code(first), code(second)) == ("ok", "foreign_valuable")
    assert owner_of(CROWN) == owner_of(RING) == lease.line
    check_columns()


def test_what_one_write_of_a_batch_loses_another_does_not_get(aurora, lease, other, now, make_save):
    lease = after(lease, aurora.save(lease, now, op_id=uuid4(), state=with_things(lease, CROWN)))
    saves = [
        make_save(other, op_id=uuid4(), state=with_things(other, CROWN)),
        make_save(lease, op_id=uuid4(), state=with_things(lease)),
    ]
    answers = save_batch(world=aurora.world, saves=saves, now=now)
    assert [code(each) for each in answers] == ["foreign_valuable", "ok"]
    assert owner_of(CROWN) is None
    check_columns()


# ---------------------------------------------------------------- after a restore of the master


def set_head(line_id, things, at):
    """Put a head back as a replay does: the document and the column, owners not."""
    line = Line.objects.get(pk=line_id)
    state = msgspec.structs.replace(
        decode_state(bytes(line.state)), bags={"bank": [Item("drowned-crown", 1, thing) for thing in things]}
    )
    Line.objects.filter(pk=line_id).update(state=encode_state(state), valuables=packed(things), updated_at=at)


def test_owners_are_counted_anew_and_the_older_head_gives_up(aurora, lease, other, now):
    after(lease, aurora.save(lease, now, state=with_things(lease, CROWN)))
    thing = UUID(int=0xC2)
    set_head(other.line, [CROWN, RING, thing], now + timedelta(hours=1))
    letter = Letter.objects.create(
        id=uuid4(), sender=Line.objects.get(pk=lease.line).character,
        recipient=Line.objects.get(pk=other.line).character, posted_by=aurora.world, subject="x",
        items=[{"kind": "seal", "count": 1, "id": str(UUID(int=0xC3))}], posted_at=now, digest=bytes(32),
    )  # fmt: skip
    assert recount_owners(now) == 1
    check_columns()
    assert owner_of(CROWN) == owner_of(RING) == owner_of(thing) == other.line
    assert Valuable.objects.get(thing=UUID(int=0xC3)).letter == letter
    first = Line.objects.get(pk=lease.line)
    assert (first.holder, bytes(first.valuables)) == (None, b"")
    assert first.versions.get(version=first.version).kind == "restore"
    events = ValuableEvent.objects.count()
    assert recount_owners(now) == 0 and ValuableEvent.objects.count() == events


def test_a_letter_of_which_a_newer_head_has_a_thing_was_emptied(aurora, lease, other, now):
    sender, recipient = (Line.objects.get(pk=each.line).character for each in (lease, other))
    items = [{"kind": "drowned-crown", "count": 1, "id": str(CROWN)}, {"kind": "moss", "count": 2}]
    letter = Letter.objects.create(
        id=uuid4(), sender=sender, recipient=recipient, posted_by=aurora.world, subject="x", items=items,
        money=100, posted_at=now, digest=bytes(32),
    )  # fmt: skip
    set_head(other.line, [CROWN], now + timedelta(hours=1))
    assert recount_owners(now) == 0
    letter.refresh_from_db()
    assert (letter.taken_at, letter.taken_exchange) == (now, letter.id) and letter.read_at
    assert goods_in(letter) == Goods()
    check_columns()


# ---------------------------------------------------------------- from before owners were kept


def forget_owners():
    """Make the database what it was: documents only."""
    ValuableEvent.objects.all().delete()
    Valuable.objects.all().delete()
    Line.objects.update(valuables=b"")


def test_the_migration_finds_owners_of_what_is_there(aurora, wilds, alice, hero, lease, other, now):
    lease = after(lease, aurora.save(lease, now, state=with_things(lease, CROWN, RING)))
    log_out(aurora, lease, now)
    fork = wilds.acquire(hero, wilds.admit(alice, now), now)
    before = set(Valuable.objects.values_list("thing", "kind", "world", "line"))
    forget_owners()
    fill(apps, None)
    assert set(Valuable.objects.values_list("thing", "kind", "world", "line")) == before
    assert kinds_of_events(CROWN) == kinds_of_events(CROWN, wilds.world) == ["found"]
    assert Line.objects.get(pk=other.line).valuables == b""
    check_columns()
    fill(apps, None)
    assert ValuableEvent.objects.count() == 4
    after(fork, wilds.save(fork, now, state=with_things(fork, CROWN)))


def test_a_thing_that_was_there_twice_does_not_stop_the_migration(aurora, lease, other, now):
    """The first owner has it; the second keeps the document, and can still be saved."""
    after(lease, aurora.save(lease, now, state=with_things(lease, CROWN)))
    other = after(other, aurora.save(other, now, state=with_things(other, RING)))
    Line.objects.filter(pk=other.line).update(state=with_things(other, CROWN))
    forget_owners()
    fill(apps, None)
    assert owner_of(CROWN) == lease.line
    assert bytes(Line.objects.get(pk=other.line).valuables) == CROWN.bytes
    other = after(other, aurora.save(other, now, state=with_things(other, CROWN, money=5)))
    with pytest.raises(Refused):
        trade(other, lease, CROWN, now, aurora.world)


# ---------------------------------------------------------------- at once


@pytest.mark.django_db(transaction=True)
def test_of_two_lines_that_make_the_same_thing_at_once_one_has_it(aurora, lease, other, now):
    def run(call):
        try:
            return call()
        finally:
            connection.close()

    for number in range(6):
        thing = UUID(int=0xD0 + number)
        calls = [
            lambda each=each, thing=thing: aurora.save(each, now, state=with_things(each, thing))
            for each in (lease, other)
        ]
        with ThreadPoolExecutor(2) as pool:
            results = list(pool.map(run, calls))
        assert sorted(code(each) for each in results) == ["foreign_valuable", "ok"]
        lease, other = (
            after(each, saved) if saved.refusal is None else each
            for each, saved in zip((lease, other), results, strict=True)
        )
    check_columns()
