"""Registering a world, joining it, its set-up and keys: who may, what is refused, and what is left behind."""

import socket
import threading
from datetime import datetime, timedelta

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from accounts.models import Account, AuditRecord
from accounts.services import register_account
from worlds.models import World, WorldKeeper, WorldKey, WorldSetup
from worlds.operating import registering, setup
from worlds.operating.reaching import Look, reach_doors, reach_gateway
from worlds.operating.registering import code_of, make_code, register_own_world
from worlds.services import WorldRefused
from worlds.uplink.joining import JOIN_PATH, Join, Joined
from worlds.uplink.keys import KeyPair, key_pair
from worlds.uplink.proof import sign_request
from zonecluster.protocol.netcode import PROTOCOL_ID, mint_connect_token

pytestmark = pytest.mark.django_db

PASSWORD = "lichen on the north side"  # noqa: S105  (of people who exist only in tests)
SETUP, KEYS = "/operate/north/setup/", "/operate/north/keys/"


@pytest.fixture(autouse=True)
def _plainly(settings) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    settings.PUBLIC_URL = "http://127.0.0.1:8000"  # a local deployment, unless a test says otherwise
    cache.clear()


def _account(name: str) -> Account:
    account = register_account(email=f"{name}@example.org", password=PASSWORD, now=timezone.now())
    assert account is not None
    return account


def _as(account: Account) -> Client:
    client = Client()
    client.force_login(account)
    return client


@pytest.fixture
def alice() -> Account:
    return _account("alice")


@pytest.fixture
def mallory() -> Account:
    return _account("mallory")


@pytest.fixture
def north(alice: Account) -> World:
    return _register(alice, "north", "North")


def _register(account: Account, slug: str, name: str) -> World:
    about = {"tagline": "", "language": "en", "address": ""}
    return register_own_world(account=account, slug=slug, name=name, now=timezone.now(), **about)


def _pair(number: int) -> KeyPair:
    return key_pair(Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32))


def _join(
    world: str,
    code: str,
    key: KeyPair,
    *,
    at: datetime | None = None,
    signer: KeyPair | None = None,
    claim: str = "",
):
    body = msgspec.json.encode(Join(world, code, key.public_bytes))
    proof = sign_request(signer or key, claim or world, "POST", JOIN_PATH, body, at or timezone.now())
    return Client().post(
        JOIN_PATH, body, content_type="application/json", headers={"Authorization": f"Bearer {proof}"}
    )


def _code(world: World) -> str:
    return code_of(WorldSetup.objects.get(world=world), timezone.now())


# ---------------------------------------------------------------- registering


def test_a_world_is_registered_by_the_form(alice: Account) -> None:
    client = _as(alice)
    sent = {"name": "The Åland Ice", "slug": "", "tagline": "Cold", "language": "de", "address": ""}
    assert client.post("/operate/register/", sent)["Location"] == "/operate/the-aland-ice/setup/"
    world = World.objects.get(slug="the-aland-ice")
    assert (world.owner, world.tier, world.is_listed, world.language) == (alice, "open", False, "de")
    assert AuditRecord.objects.filter(action="world_registered", target=world.slug, account=alice).exists()
    page = client.get("/operate/the-aland-ice/setup/")
    assert f"the-aland-ice:{_code(world)}@http://127.0.0.1:8000" in page.content.decode()
    assert "no-store" in page["Cache-Control"]
    assert "The Åland Ice" in client.get("/operate/").content.decode()


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("slug", "admin", "reserved"),
        ("slug", "waystone-official", "reserved"),
        ("slug", "N_", "3 to 40 characters"),
        ("name", "N0rth", "similar name"),
        ("name", "NΟrth", "mixes alphabets"),
        ("name", "x", "3 to 60"),
        ("address", "$(reboot)", "no name of a machine"),
        ("language", "xx", "xx"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_typed_is_lost(
    alice: Account, north: World, field: str, value: str, says: str
) -> None:
    typed = {"name": "Southern Sea", "slug": "", "tagline": "Warm & wet", "language": "en", "address": ""}
    answer = _as(alice).post("/operate/register/", typed | {field: value})
    page = answer.content.decode()
    assert answer.status_code == 400
    assert says in page
    assert "Warm &amp; wet" in page
    assert World.objects.count() == 1


def test_nobody_hoards_names(alice: Account) -> None:
    for number in range(registering.MAX_UNOPENED):
        _register(alice, f"world-{number}", f"Number {'abcdefg'[number] * 3}")
    with pytest.raises(WorldRefused, match="never been up"):
        _register(alice, "one-more", "One more")


def test_an_unconfirmed_address_registers_nothing_where_others_play(alice: Account, settings) -> None:
    settings.PUBLIC_URL = "https://play.example.org"
    with pytest.raises(WorldRefused, match="Confirm your e-mail address"):
        _register(alice, "north", "North")


def test_others_are_told_that_there_is_no_such_world(alice: Account, mallory: Account, north: World) -> None:
    key = _pair(5)
    _join("north", _code(north), key)
    manager = _account("bob")
    WorldKeeper.objects.create(world=north, account=manager, role="manager", since=timezone.now())
    paths = {
        SETUP: "get",
        KEYS: "get",
        f"{SETUP}check/": "post",
        f"{SETUP}code/": "post",
        f"{KEYS}{key.kid}/revoke/": "post",
    }
    for path, method in paths.items():
        assert getattr(_as(mallory), method)(path).status_code == 404, path
        assert getattr(Client(), method)(path)["Location"].startswith("/account/log-in/"), path
        expected = 403 if "keys" in path or "code" in path else 200 if method == "get" else 302
        assert getattr(_as(manager), method)(path).status_code == expected, path
    assert WorldKey.objects.get(kid=key.kid).revoked_at is None
    make_code(world=north, by=alice, now=timezone.now())
    assert _code(north) not in _as(manager).get(SETUP).content.decode(), "codes are the owner's"


# ---------------------------------------------------------------- joining


def test_a_machine_joins_once_and_may_say_so_again(north: World) -> None:
    code, key = _code(north), _pair(1)
    answer = _join("north", code, key)
    joined = msgspec.json.decode(answer.content, type=Joined)
    assert (answer.status_code, joined.name, joined.is_local) == (200, "North", True)
    assert _join("north", code, key).status_code == 200, "the same machine, after a lost answer"
    other = _join("north", code, _pair(2))
    assert (other.status_code, other.json()["code"]) == (403, "not_admitted")
    assert "another machine has used" in other.json()["detail"]
    assert [row.kid for row in WorldKey.objects.filter(world=north)] == [key.kid]
    assert AuditRecord.objects.filter(action="world_joined", target="north").count() == 1
    assert _code(north) == ""


def test_what_is_no_code_of_the_world_opens_nothing(alice: Account, north: World) -> None:
    south = _register(alice, "south", "Southern Sea")
    old = _code(north)
    make_code(world=north, by=alice, now=timezone.now())
    for code in ("", "x" * 24, old, _code(south), "é" * 24):
        assert _join("north", code, _pair(1)).status_code == 403, code
    assert "newest one" in WorldSetup.objects.get(world=north).call_fault
    WorldSetup.objects.filter(world=north).update(code_until=timezone.now() - timedelta(seconds=1))
    setup_row = WorldSetup.objects.get(world=north)
    run_out = registering._code(setup_row)
    assert "run out" in _join("north", run_out, _pair(1)).json()["detail"]
    assert _join("nowhere", old, _pair(1)).status_code == 403
    assert not WorldKey.objects.exists()


def test_who_does_not_hold_the_key_does_not_join(north: World) -> None:
    code, key = _code(north), _pair(1)
    assert _join("north", code, key, signer=_pair(2)).status_code == 401
    assert _join("north", code, key, claim="south").status_code == 401
    late = _join("north", code, key, at=timezone.now() - timedelta(minutes=9))
    assert (late.status_code, "clock" in late.json()["detail"]) == (401, True)
    assert "clock" in WorldSetup.objects.get(world=north).call_fault, "the set-up page tells, too"
    assert not WorldKey.objects.exists()


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[]", b"\xff", b"[" * 3000, b'{"slug":"north","code":"","public_key":"AA=="}']
)
def test_what_is_no_request_to_join_is_refused(north: World, body: bytes) -> None:
    answer = Client().post(JOIN_PATH, body, content_type="application/json")
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")
    assert Client().post(JOIN_PATH, b"x" * 5000, content_type="application/json").status_code == 413
    assert Client().get(JOIN_PATH).status_code == 405


def test_a_suspended_world_is_joined_by_nobody(north: World) -> None:
    code = _code(north)
    World.objects.update(suspended_at=timezone.now())
    assert _join("north", code, _pair(1)).status_code == 403


def test_a_key_is_rotated_and_the_old_one_revoked(alice: Account, north: World) -> None:
    client, old, new = _as(alice), _pair(1), _pair(2)
    _join("north", _code(north), old)
    client.post(f"{SETUP}code/", {"for": "keys"})
    page = client.get(KEYS).content.decode()
    assert f"{_code(north)}@http://127.0.0.1:8000 --new-key" in page
    assert _join("north", _code(north), new).status_code == 200
    assert client.post(f"{KEYS}{old.kid}/revoke/")["Location"] == KEYS
    assert WorldKey.objects.get(kid=old.kid).revoked_at is not None
    assert client.post(f"{KEYS}{'A' * 43}/revoke/").status_code == 404
    assert _join("north", "", old).status_code == 403, "a revoked key does not come back"


# ---------------------------------------------------------------- set-up


def test_a_world_gets_into_the_list_when_all_steps_are_done(north: World) -> None:
    now = timezone.now()
    _join("north", _code(north), _pair(1))
    World.objects.filter(pk=north.pk).update(last_report_at=now)
    assert setup.note_report(world=north, doors=[], zones=0, now=now), "it is asked for its doors"
    setup.note_look(world=north, seen=Look("No connection.", "", "", True), now=now)
    setup.note_report(world=north, doors=[], zones=3, now=now)
    assert not World.objects.get().is_listed
    setup.note_look(world=north, seen=Look("", "", "127.0.0.1:4", True), now=now)
    assert World.objects.get().is_listed
    assert AuditRecord.objects.filter(action="world_opened").count() == 1
    World.objects.update(is_listed=False)
    setup.note_look(world=north, seen=Look("", "", "127.0.0.1:4", True), now=now)
    assert not World.objects.get().is_listed, "who took it out of the list later is not overruled"


def test_one_look_at_a_time(north: World, monkeypatch, django_capture_on_commit_callbacks) -> None:
    sent: list[object] = []
    monkeypatch.setattr(setup.current_app, "send_task", lambda name, args: sent.append((name, args)))
    now = timezone.now()
    WorldSetup.objects.update(check_at=now)
    for _ in range(3):
        with django_capture_on_commit_callbacks(execute=True):
            setup.note_report(world=north, doors=[b"door"], zones=0, now=now)
    assert sent == [("worlds.look_at_world", [north.pk, ["ZG9vcg=="]])]


def test_addresses_inside_of_networks_are_not_called(north: World, settings) -> None:
    """Mallory gives the addresses of the master's own servers; nothing is sent to them."""
    settings.PUBLIC_URL = "https://play.example.org"
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        listening.settimeout(0.2)
        north.gateway_url = f"ws://127.0.0.1:{listening.getsockname()[1]}/world-link/"
        assert "inside of some network" in reach_gateway(north, _pair(9), timezone.now())
        with pytest.raises(TimeoutError):
            listening.accept()
    fault, tried = reach_doors([_door(("127.0.0.1", 9))])
    assert "inside of some network" in fault
    assert tried == ["127.0.0.1:9"]


def test_a_gateway_that_is_none_is_told_apart(north: World) -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
        north.gateway_url = f"ws://127.0.0.1:{port}/world-link/"
        assert "No connection" in reach_gateway(north, _pair(9), timezone.now())
        listening.listen()
        for answer, words in (
            (b"404 Not Found\r\n", "no gateway of ours"),
            (b"301 Moved Permanently\r\nLocation: ws://127.0.0.1:9/\r\n", "sends players on"),
        ):
            server = threading.Thread(target=_answer_as_a_web_site, args=(listening, answer))
            server.start()
            assert words in reach_gateway(north, _pair(9), timezone.now())
            server.join()


def test_udp_that_nobody_answers_is_a_fault() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        address = ("127.0.0.1", silent.getsockname()[1])
        fault, tried = reach_doors([_door(address)])
    assert f"No answer by UDP from 127.0.0.1:{address[1]}" in fault
    assert tried == [f"127.0.0.1:{address[1]}"]
    assert reach_doors([b"no token"])[0].startswith("A zone cluster names no address")


def _door(address: tuple[str, int]) -> bytes:
    return mint_connect_token(
        client_id=1,
        server_addresses=[address],
        user_data=b"",
        expire_s=45,
        timeout_s=10,
        protocol_id=PROTOCOL_ID,
        private_key=b"k" * 32,
        random_bytes=lambda count: b"r" * count,
        unix_now=1_800_000_000,
    )


def _answer_as_a_web_site(listening: socket.socket, answer: bytes) -> None:
    link, _ = listening.accept()
    with link:
        link.recv(4096)
        link.sendall(b"HTTP/1.1 " + answer + b"Content-Length: 0\r\n\r\n")
