"""A hostile or broken world: whatever it signs and sends, it gets an answer with a code, never a fault."""

import json
from typing import get_args
from uuid import uuid4

import msgspec
import pytest
from django.test import RequestFactory
from django.utils import timezone
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from characters.models import Letter, Line, Version
from characters.uplink_api import report
from worlds.uplink import messages
from worlds.uplink.base64url import encode_base64url
from worlds.uplink.proof import PROOF_TYPE, sign_request
from zonecluster.protocol.character import Item

pytestmark = pytest.mark.django_db

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=20),
    st.sampled_from(["\x00", "1e999", "ws://a\x00/", str(uuid4()), "A" * 44, "=" * 44]),
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
)


def leaves(value, path=()):
    """Return the path of every value in a JSON document, inner ones too."""
    found = [path] if path else []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        found += leaves(inner, (*path, key))
    return found


def with_value(document, path, value):
    """Return a copy of a document with one value replaced."""
    copy = json.loads(json.dumps(document))
    inner = copy
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return copy


@pytest.fixture
def documents(aurora, alice, hero, now):
    """One good request of every verb but redeem, as plain JSON values; of `exchange` one of each form."""
    admission = aurora.admit(alice, now)
    lease = aurora.acquire(hero, admission, now)
    place = {"zone": "harbour", "position": [1.0, 2.0, 0.0], "heading_deg": 90.0}
    state = {
        **msgspec.to_builtins(lease.state),
        "places": {"aurora": place},
        "bags": {"b": [{"kind": "rope"}]},
    }
    requests = {
        "acquire": messages.Acquire(admission, hero.id, uuid4()),
        "renew": messages.Renew([messages.LeaseRef(lease.line, lease.epoch)]),
        "release": messages.Release(uuid4(), lease.epoch),
        "report": messages.Report("ws://127.0.0.1/", now, [messages.ClusterReport("east", True, 1, 1.0)]),
        "save": messages.SaveBatch(
            [
                messages.Save(
                    lease.line, lease.epoch, lease.version, lease.chain, uuid4(), "periodic", lease.state
                )
            ]
        ),
    }
    poorer = messages.Save(lease.line, lease.epoch, lease.version, lease.chain, uuid4(), "mail", lease.state)
    mine = messages.LeaseRef(lease.line, lease.epoch)
    goods = messages.Goods([Item("gem", 1, uuid4()), Item("rope", 2)], 3)
    letter = messages.Letter(uuid4(), mine, "Sorrel", "Hello", "As promised.", goods)
    requests |= {
        "exchange": messages.Exchange(uuid4(), [poorer], post=letter),
        "exchange?take": messages.Exchange(uuid4(), [poorer], take=messages.Taking(uuid4(), mine)),
        "exchange?trade": messages.Exchange(
            uuid4(),
            [
                msgspec.structs.replace(poorer, kind="trade", line=line, op_id=uuid4())
                for line in (lease.line, uuid4())
            ],
        ),
        "exchange?words": messages.Exchange(
            uuid4(), [], post=msgspec.structs.replace(letter, goods=messages.Goods())
        ),
        "mailbox": messages.Mailbox(mine, [uuid4()]),
    }
    plain = {verb: json.loads(messages.encoder.encode(request)) for verb, request in requests.items()}
    plain["save"]["saves"][0]["state"] = state
    return plain


@settings(
    max_examples=150,
    deadline=None,
    phases=[Phase.reuse, Phase.generate, Phase.shrink],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_any_signed_request_gets_an_answer_with_a_code(aurora, documents, data):
    verb = data.draw(st.sampled_from(sorted(documents)))
    path = data.draw(st.sampled_from(leaves(documents[verb])))
    body = json.dumps(with_value(documents[verb], path, data.draw(values))).encode()
    response = aurora.post(verb.split("?")[0], body)
    if response.status_code != 200:
        assert response["Content-Type"] == "application/problem+json"
        assert response.status_code < 500
        assert response.json()["code"] in get_args(messages.RefusalCode)
    for line in Line.objects.all():
        newest = Version.objects.filter(line=line).order_by("-version")[0]
        assert (line.version, bytes(line.chain), bytes(line.state)) == (
            newest.version,
            bytes(newest.chain),
            bytes(newest.state),
        )
    assert not Letter.objects.exists(), "there is nobody to write to, and nothing to send"


@pytest.mark.parametrize("kid", ["\x00", "\ud800", "x" * 43])
def test_a_strangers_proof_with_any_kid_is_a_bad_proof(client, kid):
    header = {"alg": "EdDSA", "typ": PROOF_TYPE, "kid": kid}
    token = ".".join(encode_base64url(part) for part in (json.dumps(header).encode(), b"{}", b"x" * 64))
    response = client.post(
        "/api/v1/uplink/report/", b"{}", "application/json", headers={"Authorization": f"Bearer {token}"}
    )
    assert (response.status_code, response.json()["code"]) == (401, "bad_proof")


def test_a_text_that_postgresql_cannot_hold_tells_nothing_of_our_sql(aurora, documents):
    report = with_value(documents["report"], ("clusters", 0, "name"), "\x00")
    response = aurora.post("report", json.dumps(report).encode())
    assert (response.status_code, response.json()["code"]) == (400, "bad_request")
    assert "LINE" not in response.content.decode() and "report" not in response.json()["detail"]


class BrokenInput:
    """The body of a world whose connection ends before the body does."""

    def read(self, size=-1):
        raise OSError("the connection is gone")


def test_a_body_that_cannot_be_read_is_asked_for_again(aurora, documents):
    body = json.dumps(documents["report"]).encode()
    path = "/api/v1/uplink/report/"
    proof = sign_request(aurora.key, aurora.world.slug, "POST", path, body, timezone.now())
    request = RequestFactory().post(
        path, body, "application/json", headers={"Authorization": f"Bearer {proof}"}
    )
    request._stream = BrokenInput()
    response = report(request)
    assert (response.status_code, json.loads(response.content)["code"]) == (503, "master_fault")
