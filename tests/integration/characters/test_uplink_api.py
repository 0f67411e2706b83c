"""The uplink by HTTP: who gets in, what a request must be, and the whole way of one character."""

from datetime import timedelta
from uuid import uuid4

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.db import InterfaceError, OperationalError
from django.test import Client
from django.utils import timezone

from accounts.models import Entitlement
from characters import uplink_api
from characters.models import Line
from worlds.models import World, WorldKey
from worlds.signing import NoSigningKey
from worlds.tickets import issue_ticket
from worlds.uplink import messages
from worlds.uplink.keys import key_pair
from worlds.uplink.proof import sign_request

pytestmark = pytest.mark.django_db

VERBS = ["redeem", "acquire", "renew", "save", "release", "report"]
REPORT = messages.Report(gateway_url="ws://127.0.0.1:9/", started_at=timezone.now(), clusters=[])


def answer(response, kind):
    assert response.status_code == 200, response.content
    return messages.decoders[kind].decode(response.content)


def problem(response):
    """Return status and code of a refusal, whose form is checked."""
    assert response["Content-Type"] == "application/problem+json"
    body = response.json()
    assert body["status"] == response.status_code
    assert body["detail"] and body["title"]
    assert msgspec.json.decode(response.content, type=messages.Refusal).code == body["code"]
    return response.status_code, body["code"]


def save_message(lease, state, **changes):
    fields = {
        "line": lease.line, "epoch": lease.epoch, "version": lease.version, "prev_chain": lease.chain,
        "op_id": uuid4(), "kind": "periodic", "state": state,
    }  # fmt: skip
    return messages.Save(**{**fields, **changes})


def test_the_whole_way_of_a_character(aurora, alice, hero, now):
    ticket = issue_ticket(account=alice, world=aurora.world, now=now).ticket
    admission = answer(aurora.post("redeem", messages.Redeem(ticket)), messages.Admission)
    assert (admission.edition, admission.limits.level_cap) == ("free", 15)
    assert admission.account not in (alice.uid, alice.pk)
    summary = admission.characters[0]
    assert (summary.id, summary.name, summary.level, summary.line) == (hero.id, "Rowan", 1, "main")
    assert summary.zone is None and not summary.is_locked

    acquire = messages.Acquire(admission.admission, hero.id, uuid4())
    lease = answer(aurora.post("acquire", acquire), messages.Lease)
    reference = messages.LeaseRef(lease.line, lease.epoch)
    assert answer(aurora.post("renew", messages.Renew([reference])), messages.Renewed).held == [reference]

    state = msgspec.structs.replace(lease.state, money=5)
    batch = messages.SaveBatch([save_message(lease, state)])
    first = answer(aurora.post("save", batch), messages.SavedBatch)
    assert (first.results[0].version, first.results[0].refusal) == (2, None)
    assert answer(aurora.post("save", batch), messages.SavedBatch) == first

    release = messages.Release(lease.line, lease.epoch)
    assert answer(aurora.post("release", release), messages.Released).was_held
    assert not answer(aurora.post("release", release), messages.Released).was_held
    again = answer(
        aurora.post("acquire", messages.Acquire(admission.admission, hero.id, uuid4())), messages.Lease
    )
    assert (again.state.money, again.version, again.epoch) == (5, 2, lease.epoch + 1)


def test_nobody_without_a_worlds_proof_gets_in(aurora, alice, make_account):
    staff = make_account("staff", staff=True)
    for verb in VERBS:
        path = f"/api/v1/uplink/{verb}/"
        for account in (None, alice, staff):
            client = Client(enforce_csrf_checks=True)
            if account:
                client.force_login(account)
            for headers in ({}, {"Authorization": "Basic YTpi"}, {"Authorization": "Bearer x.y.z"}):
                response = client.post(path, b"{}", content_type="application/json", headers=headers)
                assert problem(response) == (401, "bad_proof"), (verb, account, headers)
                assert response["WWW-Authenticate"] == "Bearer"
        refused = Client().get(path)
        assert (refused.status_code, refused["Allow"]) == (405, "POST")


def test_a_proof_must_be_by_a_valid_key_of_that_world(aurora, wilds, mallory, now):
    stranger = key_pair(Ed25519PrivateKey.generate())
    assert aurora.post("report", REPORT).status_code == 200
    assert problem(aurora.post("report", REPORT, key=stranger)) == (401, "bad_proof")
    assert problem(aurora.post("report", REPORT, key=wilds.key)) == (401, "bad_proof")
    assert problem(aurora.post("report", REPORT, slug="nowhere")) == (401, "bad_proof")
    assert problem(aurora.post("report", REPORT, now=now - timedelta(minutes=5))) == (401, "bad_proof")
    assert problem(aurora.post("report", REPORT, now=now + timedelta(minutes=5))) == (401, "bad_proof")
    WorldKey.objects.filter(kid=aurora.key.kid).update(revoked_at=now)
    assert problem(aurora.post("report", REPORT)) == (401, "bad_proof")


def test_a_proof_is_for_one_verb_and_one_body(aurora):
    body = messages.encoder.encode(REPORT)
    token = sign_request(aurora.key, "aurora", "POST", "/api/v1/uplink/report/", body, timezone.now())
    headers = {"Authorization": f"Bearer {token}"}

    def send(path, data):
        return Client().post(path, data, content_type="application/json", headers=headers)

    assert problem(send("/api/v1/uplink/release/", body)) == (401, "bad_proof")
    assert problem(send("/api/v1/uplink/report/", body + b" ")) == (401, "bad_proof")
    assert send("/api/v1/uplink/report/", body).status_code == 200


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 5000, b'{"saves":[]}', b'{"line":1}']
)
def test_a_malformed_body_is_refused_with_a_reason(aurora, verb, body):
    assert problem(aurora.post(verb, body)) == (400, "bad_request")


def test_numbers_out_of_range_are_refused(aurora):
    for epoch in (-1, 2**63, 2**70, 1.5, "1"):
        body = msgspec.json.encode({"line": str(uuid4()), "epoch": epoch})
        assert problem(aurora.post("release", body)) == (400, "bad_request")


def test_a_body_too_large_is_refused_before_it_is_read(aurora, monkeypatch):
    def fail(request, now):
        pytest.fail("the proof was looked at")

    monkeypatch.setattr(uplink_api, "authenticate", fail)
    too_large = {"redeem": uplink_api.SMALL, "renew": uplink_api.MEDIUM}
    for verb, limit in too_large.items():
        assert problem(aurora.post(verb, b" " * (limit + 1))) == (413, "bad_request")
    response = Client().post(
        "/api/v1/uplink/save/", b"", content_type="application/json", CONTENT_LENGTH=str(10**9)
    )
    assert problem(response) == (413, "bad_request")


@pytest.mark.parametrize("length", ["", "many", "-1", "１"])
def test_a_body_of_undeclared_length_is_refused_with_advice(length):
    response = Client().post(
        "/api/v1/uplink/release/", b"{}", content_type="application/json", CONTENT_LENGTH=length
    )
    assert problem(response) == (400, "bad_request")
    assert "Content-Length" in response.json()["detail"]


def test_a_batch_with_one_bad_state_saves_the_others(aurora, alice, hero, now):
    lease = aurora.acquire(hero, aurora.admit(alice, now), now)
    bad = msgspec.to_builtins(save_message(lease, {"wings": 2}, line=uuid4()))
    good = msgspec.to_builtins(save_message(lease, lease.state))
    for save in (bad, good):
        save["prev_chain"] = msgspec.json.decode(msgspec.json.encode(lease.chain))
    response = aurora.post("save", msgspec.json.encode({"saves": [bad, good]}))
    results = answer(response, messages.SavedBatch).results
    assert results[0].refusal.code == "invalid_state" and "wings" in results[0].refusal.detail
    assert (results[1].refusal, results[1].version) == (None, 2)


def test_refusals_have_their_codes(aurora, borealis, alice, hero, now, nobody):
    admission = aurora.admit(alice, now)

    def acquire(operator, admission, character):
        return problem(operator.post("acquire", messages.Acquire(admission, character, uuid4())))

    assert acquire(aurora, admission, nobody) == (404, "unknown_character")
    assert acquire(borealis, admission, hero.id) == (403, "not_admitted")
    aurora.acquire(hero, admission, now)
    assert acquire(borealis, borealis.admit(alice, now), hero.id) == (409, "held_elsewhere")
    World.objects.filter(pk=aurora.world.pk).update(suspended_at=now)
    assert acquire(aurora, admission, hero.id) == (403, "world_suspended")
    assert problem(aurora.post("renew", messages.Renew([]))) == (403, "world_suspended")


def test_a_report_is_noted_and_answered_with_news(aurora, wilds, alice, mallory, hero, now):
    aurora.acquire(hero, aurora.admit(alice, now), now)
    wilds.admit(mallory, now)
    World.objects.filter(pk=aurora.world.pk).update(last_report_at=None)
    clusters = [messages.ClusterReport("east", is_alive=True, players=10**6, tick_ms=1.5)]
    report = messages.Report("ws://game.example.org:8001/world-link/", now, clusters)
    told = answer(aurora.post("report", report), messages.Reported)
    world = World.objects.get(slug="aurora")
    assert world.last_report_at is not None
    assert world.gateway_url == "ws://game.example.org:8001/world-link/"
    assert world.report["clusters"][0]["players"] == 10**6
    assert (told.tier, told.is_suspended, len(told.accounts)) == ("official", False, 1)
    assert (told.accounts[0].edition, told.accounts[0].is_banned) == ("free", False)
    assert told.accounts[0].account == alice.pseudonyms.get(world=world).value

    Entitlement.objects.create(account=alice, edition="premium", source="staff", reference="x", starts_at=now)
    type(alice).objects.filter(pk=alice.pk).update(banned_until=now + timedelta(days=1))
    World.objects.filter(pk=world.pk).update(suspended_at=now)
    told = answer(aurora.post("report", report), messages.Reported)
    assert told.is_suspended
    assert (told.accounts[0].edition, told.accounts[0].limits.level_cap) == ("premium", None)
    assert told.accounts[0].is_banned


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://a/",
        "ws://",
        "javascript:alert(1)",
        "ws://a b/",
        "ws://a:port/",
        "ws://[::1/",
        "ws://ä/",
        "ws://u:p@a/",
    ],
)
def test_a_gateway_address_that_cannot_be_one_is_refused(aurora, url):
    report = messages.Report(url, timezone.now(), [])
    assert problem(aurora.post("report", report)) == (400, "bad_request")
    assert World.objects.get(slug="aurora").gateway_url == "ws://127.0.0.1:1/"


def test_a_text_that_the_database_cannot_hold_is_refused(aurora):
    clusters = [messages.ClusterReport("ea\x00st", is_alive=True, players=1, tick_ms=1.5)]
    report = messages.Report("ws://127.0.0.1:9/", timezone.now(), clusters)
    assert problem(aurora.post("report", report)) == (400, "bad_request")


@pytest.mark.parametrize(
    "fault", [NoSigningKey("no usable key"), OperationalError("no route"), InterfaceError("gone")]
)
def test_a_master_that_cannot_answer_says_so_and_changes_nothing(
    aurora, alice, hero, now, monkeypatch, fault
):
    lease = aurora.acquire(hero, aurora.admit(alice, now), now)

    def fail(folder):
        raise fault

    monkeypatch.setattr("characters.saves.signing_keys", fail)
    batch = messages.SaveBatch([save_message(lease, lease.state)])
    assert problem(aurora.post("save", batch)) == (503, "master_fault")
    assert Line.objects.get(id=lease.line).version == 1
    monkeypatch.undo()
    assert answer(aurora.post("save", batch), messages.SavedBatch).results[0].version == 2
