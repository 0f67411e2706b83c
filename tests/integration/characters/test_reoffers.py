"""A restore of the master on real PostgreSQL: worlds offer what they hold; forgeries change nothing."""

from datetime import timedelta
from io import StringIO
from uuid import uuid4

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.core.management import CommandError, call_command

from accounts.models import AuditRecord
from characters.collecting import begin_restore, collecting
from characters.models import Line, Reoffer, Version, WaitingOffer
from worlds.models import World
from worlds.uplink import messages
from worlds.uplink.keys import key_pair
from worlds.uplink.receipt import Receipt, sign_receipt
from zonecluster.protocol.character import decode_state, encode_state, state_hash

pytestmark = pytest.mark.django_db
KINDS = ("quest", "periodic", "item", "level")


@pytest.fixture
def lease(aurora, alice, hero, now):
    return aurora.acquire(hero, aurora.admit(alice, now), now)


def play(operator, lease, now, count=4, money=10):
    """Save some times; return the lease after that, and what the world holds of it."""
    held = []
    for number in range(count):
        state = encode_state(msgspec.structs.replace(lease.state, money=money + number))
        kind = KINDS[number % len(KINDS)]
        saved = operator.save(lease, now, state=state, kind=kind)
        held.append(messages.OfferedVersion(saved.receipt, kind, decode_state(state)))
        lease = msgspec.structs.replace(lease, version=saved.version, chain=saved.chain)
    return lease, held


def go_back(line_id, version):
    """Bring a line's rows to where a backup had them."""
    Version.objects.filter(line=line_id, version__gt=version).delete()
    row = Version.objects.get(line=line_id, version=version)
    Line.objects.filter(id=line_id).update(
        version=version, chain=row.chain, state_hash=row.state_hash, state=row.state, epoch=0, holder=None,
        lease_until=None, acquire_op_id=None, grants=0,
    )  # fmt: skip


def offer(operator, held, incarnation=2, *, is_last=True):
    """Offer by HTTP; return the status and the answer."""
    answer = operator.post("reoffer", messages.Reoffer(incarnation, held, is_last=is_last))
    kind = messages.Reoffered if answer.status_code == 200 else messages.Refusal
    return answer.status_code, msgspec.json.decode(answer.content, type=kind)


def rows_of(line_id):
    fields = (
        "version",
        "op_id",
        "epoch",
        "world",
        "at",
        "kind",
        "prev_chain",
        "chain",
        "state_hash",
        "state",
    )
    rows = Version.objects.filter(line=line_id).order_by("version").values_list(*fields)
    return [tuple(bytes(v) if isinstance(v, memoryview) else v for v in row) for row in rows]


def test_what_a_world_holds_comes_back_as_it_was(aurora, lease, now):
    end, held = play(aurora, lease, now)
    before = rows_of(lease.line)
    go_back(lease.line, 2)
    begin_restore(reason="test", now=now)
    status, answer = offer(aurora, held)
    assert (status, answer.replayed, answer.known, answer.waiting, answer.refused) == (200, 3, 1, 0, 0)
    assert rows_of(lease.line) == before
    line = Line.objects.get(id=lease.line)
    assert (line.version, bytes(line.chain)) == (end.version, end.chain)
    assert collecting() is None, "nobody else is waited for: the master is in service"


def test_the_player_who_is_in_play_plays_on(aurora, lease, now):
    end, held = play(aurora, lease, now)
    go_back(lease.line, 1)
    begin_restore(reason="test", now=now)
    offer(aurora, held)
    assert aurora.save(end, now).refusal is None
    renewed = aurora.post("renew", messages.Renew([messages.LeaseRef(lease.line, lease.epoch)]))
    assert msgspec.json.decode(renewed.content, type=messages.Renewed).lost == []


def test_new_leases_fence_all_of_before(aurora, alice, hero, lease, now):
    end, held = play(aurora, lease, now)
    go_back(lease.line, 1)
    begin_restore(reason="test", now=now)
    offer(aurora, held)
    new = aurora.acquire(hero, aurora.admit(alice, now), now)
    assert new.epoch == 2_000_001 and new.version == end.version
    assert aurora.save(end, now).refusal.code == "stale"


def as_sent(save):
    """Return an incoming save as the world's struct."""
    fields = {name: getattr(save, name) for name in save.__struct_fields__}
    return messages.Save(**{**fields, "state": decode_state(bytes(save.state))})


def test_a_write_that_came_back_by_its_receipt_is_repeated_as_ever(aurora, lease, now, make_save):
    """The world may not know that it was done: it asks again, and gets the first answer."""
    wanted = make_save(lease, money=5, kind="quest")
    body = messages.SaveBatch([as_sent(wanted)])
    first = msgspec.json.decode(aurora.post("save", body).content, type=messages.SavedBatch).results[0]
    go_back(lease.line, 1)
    begin_restore(reason="test", now=now)
    offer(aurora, [messages.OfferedVersion(first.receipt, "quest", decode_state(bytes(wanted.state)))])
    again = msgspec.json.decode(aurora.post("save", body).content, type=messages.SavedBatch).results[0]
    assert (again.refusal, again.version, again.chain) == (None, first.version, first.chain)


def test_offered_twice_nothing_changes(aurora, borealis, lease, now):
    _, held = play(aurora, lease, now)
    go_back(lease.line, 1)
    begin_restore(reason="test", now=now)
    offer(aurora, held)
    before = rows_of(lease.line)
    status, answer = offer(aurora, held)
    assert (status, answer.replayed, answer.known) == (200, 0, 4)
    assert rows_of(lease.line) == before


def test_a_line_that_went_from_world_to_world(aurora, borealis, alice, hero, lease, now):
    """What comes later waits for what was before, whoever offers first."""
    end, early = play(aurora, lease, now)
    aurora.post("release", messages.Release(end.line, end.epoch))
    second = borealis.acquire(hero, borealis.admit(alice, now), now)
    _, late = play(borealis, second, now, money=100)
    before = rows_of(lease.line)
    go_back(lease.line, 1)
    begin_restore(reason="test", now=now)
    _, answer = offer(borealis, late)
    assert (answer.replayed, answer.waiting) == (0, 4) and WaitingOffer.objects.count() == 1
    _, answer = offer(aurora, early)
    assert answer.replayed == 4 and collecting() is not None
    _, answer = offer(borealis, late)
    assert (answer.replayed, answer.waiting) == (4, 0)
    assert rows_of(lease.line) == before and collecting() is None


def test_a_world_that_is_gone_leaves_a_gap_in_the_history_alone(aurora, borealis, alice, hero, lease, now):
    end, _ = play(aurora, lease, now)
    aurora.post("release", messages.Release(end.line, end.epoch))
    second = borealis.acquire(hero, borealis.admit(alice, now), now)
    last, late = play(borealis, second, now, money=100)
    go_back(lease.line, 1)
    begin_restore(reason="test", now=now)
    offer(borealis, late)
    out = StringIO()
    call_command("restoremaster", stdout=out)
    assert "waiting for: aurora" in out.getvalue() and "offered: 1" in out.getvalue()
    call_command("restoremaster", "--finish", stdout=out)
    line, newest = Line.objects.get(id=lease.line), Version.objects.filter(line=lease.line).first()
    assert decode_state(bytes(line.state)).money == 103
    assert (line.version, newest.kind, newest.world) == (2, "restore", borealis.world)
    assert borealis.save(last, now).refusal.code == "stale", "the player comes in again, and has it all"
    detail = AuditRecord.objects.get(action="restore_finished").detail
    assert detail == {
        "worlds_missing": ["aurora"], "lines_bridged": 1, "lines_that_gave_up_valuables": 0,
    }  # fmt: skip


def test_a_world_that_had_been_silent_is_not_waited_for(aurora, borealis, lease, now):
    _, held = play(aurora, lease, now)
    World.objects.filter(pk=borealis.world.pk).update(last_report_at=now - timedelta(days=20))
    begin_restore(reason="test", now=now)
    offer(aurora, held)
    assert collecting() is None


def test_pages_come_before_the_last(aurora, lease, now):
    _, held = play(aurora, lease, now)
    go_back(lease.line, 1)
    begin_restore(reason="test", now=now)
    for one in held[:-1]:
        offer(aurora, [one], is_last=False)
        assert collecting() is not None
    offer(aurora, held[-1:])
    assert collecting() is None
    assert Reoffer.objects.get().replayed == 4


@pytest.mark.parametrize("verb", ["redeem", "acquire", "renew", "save", "release"])
def test_to_everything_else_the_master_is_away(aurora, hero, nobody, lease, now, make_save, verb):
    requests = {
        "redeem": messages.Redeem("a ticket"),
        "acquire": messages.Acquire(nobody, hero.id, nobody),
        "renew": messages.Renew([messages.LeaseRef(lease.line, lease.epoch)]),
        "save": messages.SaveBatch([as_sent(make_save(lease))]),
        "release": messages.Release(lease.line, lease.epoch),
    }
    begin_restore(reason="test", now=now)
    answer = aurora.post(verb, requests[verb])
    assert answer.status_code == 503 and answer.json()["code"] == "master_fault"


def test_a_report_tells_that_it_collects(aurora, lease, now):
    def reported():
        body = messages.Report("ws://127.0.0.1:1/", now, [])
        return msgspec.json.decode(aurora.post("report", body).content, type=messages.Reported)

    assert (reported().incarnation, reported().collects_since) == (1, None)
    begin_restore(reason="test", now=now)
    newest = Version.objects.order_by("-at").first()
    assert reported().incarnation == 2 and reported().collects_since < newest.at
    call_command("restoremaster", "--finish", stdout=StringIO())
    assert (reported().incarnation, reported().collects_since) == (2, None)


# ---------------------------------------------------------------- hostile offers


def forged(aurora, held, how, now):
    """Return an offer in which something is not as the master had it."""
    offered = held[0]
    match how:
        case "another state":
            return msgspec.structs.replace(offered, state=msgspec.structs.replace(offered.state, money=10**9))
        case "signed by the world":
            state = msgspec.structs.replace(offered.state, money=10**9)
            digest = state_hash(encode_state(state))
            claims = Receipt("aurora", Line.objects.get().id, 2, 1, uuid4(), bytes(32), digest, now)
            return messages.OfferedVersion(
                sign_receipt(key_pair(Ed25519PrivateKey.generate()), claims), "quest", state
            )
        case "cut":
            return msgspec.structs.replace(offered, receipt=offered.receipt[:-5])
        case "a ticket":
            return msgspec.structs.replace(offered, receipt="eyJhbGciOiJub25lIn0.e30.")
    raise AssertionError(how)


@pytest.mark.parametrize("how", ["another state", "signed by the world", "cut", "a ticket"])
def test_forgeries_prove_nothing(aurora, borealis, lease, now, how):
    _, held = play(aurora, lease, now)
    go_back(lease.line, 1)
    begin_restore(reason="test", now=now)
    before = rows_of(lease.line)
    status, answer = offer(aurora, [forged(aurora, held, how, now)])
    assert (status, answer.refused, answer.replayed, answer.waiting) == (200, 1, 0, 0)
    assert rows_of(lease.line) == before and not WaitingOffer.objects.exists()


def test_mallory_cannot_offer_what_alices_world_was_given(aurora, wilds, lease, now):
    _, held = play(aurora, lease, now)
    go_back(lease.line, 1)
    begin_restore(reason="test", now=now)
    _, answer = offer(wilds, held)
    assert (answer.refused, answer.replayed) == (4, 0)
    assert Line.objects.get(id=lease.line).version == 1


def test_one_bad_offer_spoils_no_other(aurora, borealis, lease, now):
    _, held = play(aurora, lease, now)
    go_back(lease.line, 1)
    begin_restore(reason="test", now=now)
    _, answer = offer(aurora, [forged(aurora, held, "cut", now), *held])
    assert (answer.refused, answer.replayed) == (1, 4)


def test_what_was_written_since_is_not_overwritten(aurora, borealis, alice, hero, lease, now):
    """The master went into service, and then an offer comes late: in the next restore, say."""
    _, held = play(aurora, lease, now)
    go_back(lease.line, 1)
    begin_restore(reason="test", now=now)
    call_command("restoremaster", "--finish", stdout=StringIO())
    new = aurora.acquire(hero, aurora.admit(alice, now), now)
    play(aurora, new, now, count=2, money=500)
    begin_restore(reason="again", now=now)
    before = rows_of(lease.line)
    _, answer = offer(aurora, held, incarnation=3)
    assert answer.replayed == 0 and rows_of(lease.line) == before


@pytest.mark.parametrize("incarnation", [1, 2, 3])
def test_without_a_restore_nothing_is_taken(aurora, lease, now, incarnation):
    _, held = play(aurora, lease, now)
    go_back(lease.line, 1)
    status, answer = offer(aurora, held, incarnation)
    assert (status, answer.code) == (409, "stale")
    assert Line.objects.get(id=lease.line).version == 1


def test_of_another_incarnation_nothing_is_taken(aurora, lease, now):
    _, held = play(aurora, lease, now)
    go_back(lease.line, 1)
    begin_restore(reason="test", now=now)
    assert offer(aurora, held, incarnation=1)[0] == 409
    assert offer(aurora, held, incarnation=7)[0] == 409
    assert Line.objects.get(id=lease.line).version == 1


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b'{"incarnation":-1,"versions":[],"is_last":true}',
        b'{"incarnation":2,"versions":[{}],"is_last":true}',
        b'{"incarnation":2,"versions":[{"receipt":"x","kind":"gift","state":{}}],"is_last":true}',
    ],
)
def test_strange_bodies_are_refused(aurora, now, body):
    begin_restore(reason="test", now=now)
    assert aurora.post("reoffer", body).status_code == 400


# ---------------------------------------------------------------- the command


def test_the_command(aurora, now):
    out = StringIO()
    call_command("restoremaster", stdout=out)
    assert "in service" in out.getvalue()
    with pytest.raises(CommandError, match="no restore is under way"):
        call_command("restoremaster", "--finish", stdout=out)
    call_command("restoremaster", "--raise-incarnation", "--reason", "disk failed", stdout=out)
    assert "incarnation 2" in out.getvalue() and "waiting for: aurora" in out.getvalue()
    with pytest.raises(CommandError, match="under way already"):
        call_command("restoremaster", "--raise-incarnation", stdout=out)
    assert AuditRecord.objects.get(action="restore_begun").detail["reason"] == "disk failed"
    call_command("restoremaster", "--finish", stdout=out)
    assert collecting() is None
