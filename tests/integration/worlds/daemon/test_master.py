"""The daemon's uplink client against the live master over HTTP."""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.utils import timezone

from accounts.models import Account
from characters.services import create_character
from tests.embedded_servers import free_port
from tests.integration.worlds.daemon.conftest import Realm
from worlds.daemon.core.effects import Call
from worlds.daemon.core.events import Unreachable
from worlds.daemon.core.saving import Offer, Outcome, WriteHead
from worlds.daemon.master import MasterClient
from worlds.models import Ticket, World
from worlds.uplink import messages
from worlds.uplink.keys import key_pair
from worlds.uplink.receipt import check_receipt, read_receipt


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


# ---------------------------------------------------------------- exchanges


def a_letter_with_coins(realm: Realm) -> tuple[messages.Lease, messages.Exchange]:
    """Let the character have five coins, and return a letter that takes three of them to Bob's character."""
    bob = Account.objects.create_user("bob@example.org", "a long password")
    create_character(account=bob, name="Reed", by=bob, now=timezone.now())
    lease = enter(realm)
    earned = save_after(lease, money=5)
    (saved,) = realm.ask(earned)
    write = msgspec.structs.replace(
        earned, version=saved.version, prev_chain=saved.chain, op_id=uuid4(), kind="mail",
        state=msgspec.structs.replace(earned.state, money=2),
    )  # fmt: skip
    sender = messages.LeaseRef(line=lease.line, epoch=lease.epoch)
    letter = messages.Letter(uuid4(), sender, "reed", "Coins", goods=messages.Goods(money=3))
    return lease, messages.Exchange(uuid4(), [write], post=letter)


def test_an_exchange_brings_receipts_that_hold(realm: Realm) -> None:
    lease, exchange = a_letter_with_coins(realm)
    first, again = realm.ask(exchange, exchange)
    (result,) = first.results
    assert (result.op_id, result.version) == (exchange.writes[0].op_id, lease.version + 2)
    assert (again.results[0].version, again.results[0].chain) == (result.version, result.chain)
    (mailbox,) = realm.ask(messages.Mailbox(exchange.post.sender))
    assert mailbox.letters == [], "the sender's mailbox is not the recipient's"


def test_an_exchange_that_is_refused_is_no_fault(realm: Realm) -> None:
    _, exchange = a_letter_with_coins(realm)
    nobody = msgspec.structs.replace(exchange.post, recipient="Nobody at all")
    (answer,) = realm.ask(msgspec.structs.replace(exchange, post=nobody))
    assert answer.refusal.code == "unknown_recipient" and answer.results == []


@pytest.mark.parametrize("fault", ["another receipt", "no answer for a write", "refused in part"])
def test_receipts_of_an_exchange_that_do_not_hold_are_no_answer(realm: Realm, fault: str) -> None:
    _, exchange = a_letter_with_coins(realm)

    async def run(client: MasterClient) -> Any:
        ask = client._ask

        async def lying(request: Any) -> Any:
            answer = await ask(request)
            (result,) = answer.results
            forged = {
                "another receipt": [msgspec.structs.replace(result, receipt="a.b.c")],
                "no answer for a write": [],
                "refused in part": [messages.Saved(result.op_id, refusal=messages.Refusal("stale", "No."))],
            }
            return msgspec.structs.replace(answer, results=forged[fault])

        client._ask = lying
        return (await client.carry_out([Call(uuid4(), exchange)]))[0].answer

    assert isinstance(realm.with_client(run), Unreachable)


def test_a_receipt_names_the_exchange_that_it_is_of(realm: Realm) -> None:
    _, exchange = a_letter_with_coins(realm)

    async def run(client: MasterClient) -> list[str]:
        (saved,) = (await client.carry_out([Call(uuid4(), exchange)]))[0].answer.results
        (write,) = exchange.writes
        return [client._receipt_problem(write, saved, asked) for asked in (exchange.id, None, uuid4())]

    good, of_a_save, of_another = realm.with_client(run)
    assert good == "" and "another write" in of_a_save and "another write" in of_another


def test_a_lease_brings_the_receipt_of_its_head(realm: Realm) -> None:
    _, exchange = a_letter_with_coins(realm)
    (answer,) = realm.ask(exchange)
    lease = enter(realm)
    assert (lease.exchange, lease.kind, lease.version) == (exchange.id, "mail", answer.results[0].version)

    async def run(client: MasterClient) -> list[Any]:
        await client.keys.refresh(datetime.now(UTC))
        others = [
            {"version": lease.version + 1},
            {"chain": bytes(32)},
            {"line": uuid4()},
            {"state": msgspec.structs.replace(lease.state, money=9)},
            {"receipt": "a.b.c"},
        ]
        return [client._head_problem(msgspec.structs.replace(lease, **change)) for change in [{}, *others]]

    good, *bad = realm.with_client(run)
    assert good == "" and all(bad)
    assert read_receipt(lease.receipt).op_id == exchange.writes[0].op_id


def test_a_receipt_that_cannot_be_checked_is_no_answer(realm: Realm, monkeypatch) -> None:
    """Left out, it would say that another world has written: what is played here would be dropped."""
    lease = enter(realm)
    (ticket,) = realm.ask(messages.Redeem(realm.ticket()))
    head = WriteHead.of_lease(lease)
    head.offer(Offer(uuid4(), "periodic", msgspec.structs.replace(head.state, money=5)))
    head.journaled(head.to_journal(), is_kept=True)
    realm.ask(head.next_attempt(uuid4(), 0.0))
    again = messages.Acquire(ticket.admission, realm.character.id, uuid4())
    with monkeypatch.context() as patched:
        patched.setattr("worlds.daemon.master.MasterKeys._read", _no_keys)
        (unchecked,) = realm.ask(again)
    assert unchecked == Unreachable("no keys")
    (checked,) = realm.ask(again)
    assert isinstance(checked, messages.Lease) and checked.receipt, "asked again, it is the same grant"


async def _no_keys(self: Any) -> str:
    return "no keys"
