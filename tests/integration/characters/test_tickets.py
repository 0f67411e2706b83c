"""Tickets: issued to those who may enter, used once, and every way to forge one."""

import base64
import hmac
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import uuid4

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.conf import settings
from django.db import connection

from accounts.models import Entitlement
from characters.tasks import close_admissions, delete_tickets
from worlds.models import Ticket
from worlds.signing import NoSigningKey, ensure_signing_key, new_signing_key, signing_keys
from worlds.tickets import MAX_A_MINUTE, MAX_WAITING, NoTicket, issue_ticket, redeem_ticket
from worlds.uplink.jws import sign
from worlds.uplink.keys import key_pair, load_key
from worlds.uplink.ticket import TICKET_TYPE, TicketRefused, check_ticket, keys_of_jwks

pytestmark = pytest.mark.django_db


def refusal_of(token, operator, now):
    with pytest.raises(TicketRefused) as caught:
        redeem_ticket(token=token, world=operator.world, now=now)
    assert caught.value.detail
    return caught.value.code


def no_ticket(account, operator, now):
    with pytest.raises(NoTicket) as caught:
        issue_ticket(account=account, world=operator.world, now=now)
    return caught.value.code


def test_a_ticket_tells_a_world_nothing_but_its_own_pseudonym(aurora, wilds, alice, now):
    here = issue_ticket(account=alice, world=aurora.world, now=now)
    there = issue_ticket(account=alice, world=wilds.world, now=now)
    claims = [jwt.decode(t.ticket, options={"verify_signature": False}) for t in (here, there)]
    assert set(claims[0]) == {"iss", "aud", "sub", "jti", "iat", "nbf", "exp", "edition"}
    assert claims[0]["sub"] != claims[1]["sub"]
    assert str(alice.uid) not in json.dumps(claims) and alice.email not in json.dumps(claims)
    assert (claims[0]["iss"], claims[0]["aud"], claims[0]["edition"]) == ("waystone-master", "aurora", "free")
    assert claims[0]["exp"] - claims[0]["iat"] == 60
    again = jwt.decode(
        issue_ticket(account=alice, world=aurora.world, now=now).ticket, options={"verify_signature": False}
    )
    assert again["sub"] == claims[0]["sub"] and again["jti"] != claims[0]["jti"]


def test_a_ticket_is_used_once(aurora, alice, now):
    token = issue_ticket(account=alice, world=aurora.world, now=now).ticket
    assert redeem_ticket(token=token, world=aurora.world, now=now).redeemed_at == now
    assert refusal_of(token, aurora, now) == "ticket_used"


def test_a_ticket_runs_for_60_seconds(aurora, alice, now):
    token = issue_ticket(account=alice, world=aurora.world, now=now).ticket
    start = now.replace(microsecond=0)
    assert refusal_of(token, aurora, start + timedelta(seconds=60)) == "ticket_expired"
    assert refusal_of(token, aurora, start - timedelta(seconds=5)) == "bad_ticket"
    assert (
        redeem_ticket(token=token, world=aurora.world, now=start + timedelta(seconds=59.9)).account == alice
    )


def test_a_ticket_is_for_one_world(aurora, borealis, alice, now):
    token = issue_ticket(account=alice, world=aurora.world, now=now).ticket
    assert refusal_of(token, borealis, now) == "bad_ticket"
    assert redeem_ticket(token=token, world=aurora.world, now=now)


def test_forged_tickets_are_refused(aurora, alice, mallory, now):
    good = issue_ticket(account=alice, world=aurora.world, now=now).ticket
    claims = jwt.decode(good, options={"verify_signature": False})
    kid = jwt.get_unverified_header(good)["kid"]
    master = load_key(settings.CONFIG.signing_keys_dir / f"{kid}.pem")
    stranger = key_pair(Ed25519PrivateKey.generate())
    header = {"typ": TICKET_TYPE, "kid": kid}
    pem = master.public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def by_hand(algorithm, secret):
        parts = ({"alg": algorithm, **header}, claims)
        text = ".".join(base64.urlsafe_b64encode(json.dumps(p).encode()).rstrip(b"=").decode() for p in parts)
        mac = base64.urlsafe_b64encode(hmac.digest(secret, text.encode(), "sha256")).rstrip(b"=").decode()
        return f"{text}.{mac}"

    head, body, signature = good.split(".")
    forged = {
        "alg none": jwt.encode(claims, "", algorithm="none", headers=header),
        "none, with a signature": by_hand("none", b"x"),
        "HS256 with the public key": by_hand("HS256", pem),
        "HS256 with the raw public key": by_hand("HS256", master.public_bytes),
        "a stranger's key under the master's kid": jwt.encode(
            claims, stranger.private, algorithm="EdDSA", headers=header
        ),
        "a stranger's key": sign(stranger, TICKET_TYPE, claims),
        "the world's own key": sign(aurora.key, TICKET_TYPE, claims),
        "the type of an uplink proof": sign(master, "waystone-uplink+jwt", claims),
        "the type of a receipt": sign(master, "waystone-receipt+jwt", claims),
        "another audience": sign(master, TICKET_TYPE, {**claims, "aud": "borealis"}),
        "two audiences": sign(master, TICKET_TYPE, {**claims, "aud": ["aurora", "borealis"]}),
        "another issuer": sign(master, TICKET_TYPE, {**claims, "iss": "mallory"}),
        "a long life": sign(master, TICKET_TYPE, {**claims, "exp": claims["exp"] + 3600}),
        "the future": sign(
            master, TICKET_TYPE, {**claims, **{k: claims[k] + 99 for k in ("iat", "nbf", "exp")}}
        ),
        "no expiry": sign(master, TICKET_TYPE, {k: v for k, v in claims.items() if k != "exp"}),
        "a ticket never issued": sign(master, TICKET_TYPE, {**claims, "jti": uuid4()}),
        "a jti that is none": sign(master, TICKET_TYPE, {**claims, "jti": "' OR 1=1"}),
        "a changed body": f"{head}.{body[:-3]}AAA.{signature}",
        "another's body": f"{head}.{body}.{'A' * len(signature)}",
        "nothing": "",
        "noise": "🙂.🙂.🙂",
    }
    for name, token in forged.items():
        with pytest.raises(TicketRefused) as caught:
            redeem_ticket(token=token, world=aurora.world, now=now)
        assert caught.value.code == "bad_ticket", name
    assert not Ticket.objects.exclude(redeemed_at=None).exists()
    assert redeem_ticket(token=good, world=aurora.world, now=now)


def test_a_key_that_is_deleted_is_revoked_and_a_new_one_signs(aurora, alice, now, tmp_path, monkeypatch):
    monkeypatch.setattr("worlds.tickets.signing_keys", lambda folder: signing_keys(tmp_path))
    with pytest.raises(NoSigningKey, match="manage.py up"):
        issue_ticket(account=alice, world=aurora.world, now=now)
    first = ensure_signing_key(tmp_path)
    assert ensure_signing_key(tmp_path) == first
    by_first = issue_ticket(account=alice, world=aurora.world, now=now).ticket
    second = new_signing_key(tmp_path)
    by_second = issue_ticket(account=alice, world=aurora.world, now=now).ticket
    assert jwt.get_unverified_header(by_second)["kid"] == second != first
    assert [key["kid"] for key in signing_keys(tmp_path).jwks()["keys"]] == [second, first]
    (tmp_path / f"{first}.pem").unlink()
    assert refusal_of(by_first, aurora, now) == "bad_ticket"
    assert redeem_ticket(token=by_second, world=aurora.world, now=now)


def test_an_unusable_key_file_stops_nobody(tmp_path):
    kid = ensure_signing_key(tmp_path)
    (tmp_path / "broken.pem").write_text("hello")
    (tmp_path / "renamed.pem").write_bytes((tmp_path / f"{kid}.pem").read_bytes())
    assert list(signing_keys(tmp_path).by_kid) == [kid]


def test_who_may_not_enter_gets_no_ticket(aurora, make_operator, alice, make_account, now):
    premium_world = make_operator("citadel", edition="premium")
    assert no_ticket(alice, premium_world, now) == "edition_needed"
    assert issue_ticket(account=make_account("bob", premium=True), world=premium_world.world, now=now).ticket
    Entitlement.objects.create(account=alice, edition="premium", source="gift", reference="g", starts_at=now)
    assert issue_ticket(account=alice, world=premium_world.world, now=now).ticket
    assert no_ticket(alice, make_operator("silent", last_report_at=None), now) == "world_offline"
    stale = make_operator("stale", last_report_at=now - timedelta(minutes=1))
    assert no_ticket(alice, stale, now) == "world_offline"
    assert no_ticket(alice, make_operator("stopped", suspended_at=now), now) == "world_suspended"
    alice.banned_until = now + timedelta(days=1)
    assert no_ticket(alice, aurora, now) == "account_banned"
    alice.banned_until = now
    assert issue_ticket(account=alice, world=aurora.world, now=now).ticket


def test_a_ban_or_suspension_after_the_ticket_still_counts(aurora, alice, now):
    first, second = (issue_ticket(account=alice, world=aurora.world, now=now).ticket for _ in range(2))
    type(alice).objects.filter(pk=alice.pk).update(banned_until=now + timedelta(hours=1))
    assert refusal_of(first, aurora, now) == "account_banned"
    type(alice).objects.filter(pk=alice.pk).update(banned_until=None)
    aurora.world.suspended_at = now
    assert refusal_of(second, aurora, now) == "world_suspended"


def test_who_hoards_tickets_waits(aurora, alice, now):
    for _ in range(MAX_WAITING):
        issue_ticket(account=alice, world=aurora.world, now=now)
    assert no_ticket(alice, aurora, now) == "too_many_tickets"
    aurora.world.last_report_at = now + timedelta(seconds=61)
    assert issue_ticket(account=alice, world=aurora.world, now=now + timedelta(seconds=61)).ticket


@pytest.mark.django_db(transaction=True)
def test_of_many_redeems_at_once_one_counts(aurora, alice, now):
    token = issue_ticket(account=alice, world=aurora.world, now=now).ticket

    def redeem(_):
        try:
            redeem_ticket(token=token, world=aurora.world, now=now)
            return "in"
        except TicketRefused as error:
            return error.code
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(redeem, range(4))) == ["in", "ticket_used", "ticket_used", "ticket_used"]


@pytest.mark.django_db(transaction=True)
def test_of_two_worlds_redeeming_at_once_one_stays_open(aurora, borealis, alice, now):
    def redeem(pair):
        token, operator = pair
        try:
            return redeem_ticket(token=token, world=operator.world, now=now)
        finally:
            connection.close()

    tokens = [(issue_ticket(account=alice, world=o.world, now=now).ticket, o) for o in (aurora, borealis)]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(redeem, tokens))
    assert Ticket.objects.filter(redeemed_at__isnull=False, closed_at=None).count() == 1


def test_the_keys_are_published_and_check_a_ticket_offline(aurora, alice, now, client):
    response = client.get("/.well-known/jwks.json")
    assert response.status_code == 200
    assert "max-age=300" in response["Cache-Control"] and "public" in response["Cache-Control"]
    keys = keys_of_jwks(response.json())
    assert set(response.json()["keys"][0]) == {"kty", "crv", "x", "kid", "use", "alg"}
    ticket = issue_ticket(account=alice, world=aurora.world, now=now).ticket
    claims = check_ticket(ticket, keys.get, world="aurora", now=now)
    assert claims.sub == alice.pseudonyms.get().value
    assert client.post("/.well-known/jwks.json").status_code == 405


KEY = {"kty": "OKP", "crv": "Ed25519"}


@pytest.mark.parametrize(
    "jwks", [None, [], {}, {"keys": 1}, {"keys": [KEY]}, {"keys": [{**KEY, "kid": "a", "x": "AA"}]}]
)
def test_a_document_that_is_no_jwks_is_refused(jwks):
    with pytest.raises(ValueError):
        keys_of_jwks(jwks)


def test_the_tasks_close_and_delete_what_has_had_its_time(aurora, alice, now):
    def ticket(**times):
        row = Ticket.objects.create(
            account=alice, world=aurora.world, issued_at=now, expires_at=times.pop("expires_at", now), **times
        )
        return row.jti

    hours = timedelta(hours=1)
    fresh = ticket(redeemed_at=now - 23 * hours)
    old = ticket(redeemed_at=now - 25 * hours)
    unused = ticket(expires_at=now - 23 * hours)
    ticket(expires_at=now - 25 * hours)
    ticket(redeemed_at=now - 60 * hours, closed_at=now - 25 * hours)
    for _ in range(2):
        close_admissions()
        delete_tickets()
    assert set(Ticket.objects.values_list("jti", flat=True)) == {fresh, old, unused}
    assert Ticket.objects.get(jti=old).closed_at is not None
    assert Ticket.objects.get(jti=fresh).closed_at is None


def test_used_tickets_are_limited_too_for_a_minute(aurora, alice, mallory, now):
    for _ in range(MAX_A_MINUTE):
        aurora.admit(mallory, now)
    assert no_ticket(mallory, aurora, now) == "too_many_tickets"
    assert issue_ticket(account=alice, world=aurora.world, now=now)
    later = now + timedelta(seconds=61)
    aurora.world.last_report_at = later
    assert issue_ticket(account=mallory, world=aurora.world, now=later)
