"""The daemon's uplink client against the live master over HTTP."""

from uuid import uuid4

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.utils import timezone

from tests.embedded_servers import free_port
from tests.integration.worlds.daemon.conftest import Realm
from worlds.daemon.core.effects import Call
from worlds.daemon.core.events import Unreachable
from worlds.daemon.core.saving import Offer, Outcome, WriteHead
from worlds.models import Ticket, World
from worlds.uplink import messages
from worlds.uplink.keys import key_pair
from worlds.uplink.receipt import check_receipt


def enter(realm: Realm) -> messages.Lease:
    """Redeem a ticket and acquire the character."""
    (admission,) = realm.ask(messages.Redeem(realm.ticket()))
    assert isinstance(admission, messages.Admission), admission
    assert [one.id for one in admission.characters] == [realm.character.id]
    (lease,) = realm.ask(messages.Acquire(admission.admission, realm.character.id, uuid4()))
    assert isinstance(lease, messages.Lease), lease
    return lease


def test_whole_way_of_a_character(realm: Realm) -> None:
    """The head that the daemon computes is the head that the master has, write after write."""
    lease = enter(realm)
    head = WriteHead.of_lease(lease)
    for money in (5, 6, 7):
        head.offer(Offer(uuid4(), "periodic", msgspec.structs.replace(head.state, money=money)))
        head.journaled(head.to_journal(), is_kept=True)
        save = head.next_attempt(uuid4(), 0.0)
        first, repeated = realm.ask(save, save)
        assert repeated == first, "a repeated op_id gets the first answer again"
        assert head.answered(first, 0.0, None) is Outcome.ACCEPTED
    assert (head.version, head.state.money) == (lease.version + 3, 7)
    ref = messages.LeaseRef(lease.line, lease.epoch)
    renewed, released, again = realm.ask(
        messages.Renew([ref]), messages.Release(*_fields(ref)), messages.Release(*_fields(ref))
    )
    assert renewed.held == [ref] and renewed.lost == []
    assert (released.was_held, again.was_held) == (True, False)
    (lost,) = realm.ask(messages.Renew([ref]))
    assert lost.lost == [ref]


def _fields(ref: messages.LeaseRef) -> tuple:
    return ref.line, ref.epoch


def test_saves_of_one_flush_travel_together(realm: Realm) -> None:
    """Each write of a batch stands or falls by itself, and each call gets its own answer."""
    lease = enter(realm)
    good = save_after(lease, money=1)
    foreign = msgspec.structs.replace(save_after(lease, money=2), line=uuid4())
    calls = [Call(uuid4(), good), Call(uuid4(), foreign)]
    answers = realm.with_client(lambda client: client.carry_out(calls))
    by_call = {answered.call: answered.answer for answered in answers}
    assert by_call[calls[0].id].version == lease.version + 1
    assert by_call[calls[1].id].refusal.code == "stale"


def save_after(lease: messages.Lease, *, money: int) -> messages.Save:
    state = msgspec.structs.replace(lease.state, money=money)
    return messages.Save(
        line=lease.line, epoch=lease.epoch, version=lease.version, prev_chain=lease.chain, op_id=uuid4(),
        kind="periodic", state=state,
    )  # fmt: skip


def test_receipt_is_checked_against_the_masters_keys(realm: Realm) -> None:
    lease = enter(realm)
    save = save_after(lease, money=3)

    async def run(client: object) -> tuple:
        saved = (await client.carry_out([Call(uuid4(), save)]))[0].answer
        receipt = check_receipt(saved.receipt, client.keys.get)
        other = msgspec.structs.replace(save, op_id=uuid4())
        return receipt, client._receipt_problem(save, saved), client._receipt_problem(other, saved)

    receipt, problem, problem_of_other = realm.with_client(run)
    assert (receipt.line, receipt.version, receipt.op_id) == (lease.line, lease.version + 1, save.op_id)
    assert problem == ""
    assert "another write" in problem_of_other


def test_the_receipt_of_a_write_that_fell_is_of_the_fork(realm: Realm) -> None:
    lease = enter(realm)
    World.objects.filter(slug=realm.world.slug).update(limited_at=timezone.now())
    save = save_after(lease, money=3)

    async def run(client: object) -> tuple:
        saved = (await client.carry_out([Call(uuid4(), save)]))[0].answer
        forked = msgspec.structs.replace(saved.forked, version=saved.forked.version + 1)
        other = msgspec.structs.replace(saved, forked=forked)
        return saved, client._receipt_problem(save, saved), client._receipt_problem(save, other)

    saved, problem, problem_of_other = realm.with_client(run)
    assert saved.forked is not None and saved.forked.line != lease.line
    assert (saved.version, problem) == (lease.version + 1, "")
    assert "another write" in problem_of_other


@pytest.mark.parametrize("ticket", ["not a ticket, but long enough", "a.b.c" * 10])
def test_forged_ticket_is_refused_without_the_master(realm: Realm, ticket: str) -> None:
    (refusal,) = realm.ask(messages.Redeem(ticket))
    assert isinstance(refusal, messages.Refusal) and refusal.code == "bad_ticket"


def test_ticket_of_another_world_is_refused(realm: Realm) -> None:
    request = messages.Redeem(realm.ticket())
    (refusal,) = realm.with_client(lambda client: _as_world(client, "borealis", request))
    assert refusal.code == "bad_ticket" and "borealis" in refusal.detail
    assert not Ticket.objects.filter(redeemed_at__isnull=False).exists(), "the ticket is not used up"


async def _as_world(client: object, world: str, request: messages.Redeem) -> list:
    client._world = world
    return [(await client.carry_out([Call(uuid4(), request)]))[0].answer]


def test_ticket_is_good_once(realm: Realm) -> None:
    ticket = realm.ticket()
    first, second = realm.ask(messages.Redeem(ticket), messages.Redeem(ticket))
    assert isinstance(first, messages.Admission)
    assert second.code == "ticket_used"


def test_stranger_is_refused(realm: Realm) -> None:
    """Mallory signs with a key that the master does not know."""
    report = messages.Report("ws://127.0.0.1:1/", timezone.now(), [])
    (refusal,) = realm.ask(report, key=key_pair(Ed25519PrivateKey.generate()))
    assert refusal.code == "bad_proof"


def test_report_is_answered_with_news(realm: Realm) -> None:
    enter(realm)
    report = messages.Report(
        "ws://127.0.0.1:1/", timezone.now(), [messages.ClusterReport("east", True, 1, 1.0)]
    )
    (reported,) = realm.ask(report)
    assert (reported.tier, reported.is_suspended) == ("official", False)
    assert [(one.edition, one.is_banned) for one in reported.accounts] == [("free", False)]


def test_master_that_is_away_is_unreachable(realm: Realm) -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    answers = realm.ask(messages.Release(uuid4(), 1), messages.Redeem(realm.ticket()), url=nobody)
    assert all(isinstance(answer, Unreachable) and answer.cause for answer in answers)
