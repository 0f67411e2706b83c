"""The daemon's rows and its lock, on a real PostgreSQL."""

from datetime import timedelta
from uuid import uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.db import OperationalError, connection
from django.utils import timezone

from tests.integration.worlds.makers import make_world
from worlds.daemon import rows
from worlds.daemon.core.effects import (
    CloseSession,
    LoadReceipts,
    RecordSession,
    SessionRow,
    StoreExchange,
    StoreHead,
    StoreReceipt,
    StoreTokens,
    StoreWaiting,
    UpdateSession,
    WaitingRow,
)
from worlds.daemon.lock import AlreadyRunning, WorldLock
from worlds.daemon.queue_rows import load_queue
from worlds.models import ItemKind, PlaySession, StoredReceipt, Zone, ZoneCluster, ZoneLink
from worlds.uplink.keys import key_pair
from worlds.uplink.receipt import Receipt, sign_receipt, sign_receipts
from zonecluster.protocol.character import CharacterState
from zonecluster.rules.items import ItemKind as Kind


def session_row(**changes: object) -> SessionRow:
    fields = {
        "id": uuid4(), "account": uuid4(), "admission": uuid4(), "character": uuid4(), "name": "Aria",
        "edition": "free", "line": uuid4(), "epoch": 1_000_001, "zone": "harbour", "cluster": "east",
        "instance": 1001, "entity": 7, "resume_digest": b"d" * 32, "proven_digest": b"p" * 32,
    }  # fmt: skip
    return SessionRow(**{**fields, **changes})


def waiting_row() -> WaitingRow:
    return WaitingRow(
        id=uuid4(), account=uuid4(), admission=uuid4(), character=uuid4(), name="Bob", edition="free",
        rank=2, arrival=1, resume_digest=b"d" * 32,
    )  # fmt: skip


@pytest.mark.django_db
def test_session_from_record_to_close() -> None:
    make_world("aurora")
    row = session_row()
    moved = session_row(**{**vars(row), "cluster": "west", "zone": "mossgate"})
    now = timezone.now()
    rows.write_rows("aurora", [RecordSession(row)], now)
    rows.write_rows("aurora", [RecordSession(row), UpdateSession(moved)], now)  # repeating does no harm
    (loaded,) = rows.load_open_sessions("aurora")
    assert (loaded.id, loaded.zone, loaded.cluster) == (row.id, "mossgate", "west")
    assert (loaded.character, loaded.resume_digest) == (row.character, b"d" * 32)
    assert loaded.proven_digest == b"p" * 32
    rows.write_rows("aurora", [CloseSession(row.id, "logout")], now)
    assert rows.load_open_sessions("aurora") == []
    assert PlaySession.objects.get().end_reason == "logout"


@pytest.mark.django_db
def test_tokens_go_to_whichever_row_a_session_has() -> None:
    make_world("aurora")
    make_world("boreal")
    now, playing, waiting = timezone.now(), session_row(), waiting_row()
    rows.write_rows("aurora", [RecordSession(playing), StoreWaiting(waiting)], now)
    tokens = [StoreTokens(each.id, b"n" * 32, b"s" * 32) for each in (playing, waiting)]
    rows.write_rows("boreal", [StoreTokens(each.session, b"x", b"x") for each in tokens], now)
    rows.write_rows("aurora", [*tokens, StoreTokens(uuid4(), b"x", b"x")], now)
    loaded = [*rows.load_open_sessions("aurora"), *load_queue("aurora", now)]
    assert [(each.id, each.resume_digest, each.proven_digest) for each in loaded] == [
        (each.session, each.resume_digest, each.proven_digest) for each in tokens
    ]


@pytest.mark.django_db
def test_newest_stay_of_a_session_never_goes_back() -> None:
    """A daemon with an old memory must not make ghosts respectable."""
    make_world("aurora")
    row = session_row(stay=7)
    rows.write_rows("aurora", [RecordSession(row)], timezone.now())
    for stay, newest in ((9, 9), (8, 9), (0, 9)):
        update = UpdateSession(session_row(**{**vars(row), "stay": stay}))
        rows.write_rows("aurora", [update], timezone.now())
        assert [one.stay for one in rows.load_open_sessions("aurora")] == [newest]


@pytest.mark.django_db
def test_new_session_closes_a_forgotten_one_of_the_same_character() -> None:
    """The unique constraint must not keep a player out because an end was never written."""
    make_world("aurora")
    old = session_row()
    new = session_row(character=old.character)
    rows.write_rows("aurora", [RecordSession(old), RecordSession(new)], timezone.now())
    assert [one.id for one in rows.load_open_sessions("aurora")] == [new.id]


@pytest.mark.django_db
def test_receipt_is_stored_once() -> None:
    make_world("aurora")
    receipt = StoreReceipt(uuid4(), 4, uuid4(), "jws", CharacterState(money=3))
    rows.write_rows("aurora", [receipt, receipt], timezone.now())
    rows.write_rows("aurora", [receipt], timezone.now())
    stored = StoredReceipt.objects.get()
    assert (stored.version, bytes(stored.state)) == (4, b'{"attributes":{},"bags":{},"money":3,"places":{},'
                                                        b'"quests":{},"schema":1,"skills":{}}')  # fmt: skip


@pytest.mark.django_db
def test_both_receipts_of_a_trade_are_stored_or_neither() -> None:
    make_world("aurora")
    halves = tuple(StoreReceipt(uuid4(), 4, uuid4(), "jws", CharacterState(), "trade") for _ in range(2))
    rows.write_rows("aurora", [StoreExchange(halves)], timezone.now())
    assert set(StoredReceipt.objects.values_list("op_id", "kind")) == {
        (half.op_id, "trade") for half in halves
    }
    assert rows.receipts_in(StoreExchange(halves)) == halves
    assert rows.receipts_in(CloseSession(uuid4(), "logout")) == ()


@pytest.mark.django_db
def test_the_receipt_of_a_lease_is_stored_if_the_world_has_none() -> None:
    make_world("aurora")
    key = key_pair(Ed25519PrivateKey.generate())
    line, op_id, now = uuid4(), uuid4(), timezone.now()
    receipt = Receipt("aurora", line, 5, 1_000_001, op_id, bytes(32), bytes(32), now)
    singly, (in_batch, _) = sign_receipt(key, receipt), sign_receipts(key, [receipt, receipt])
    for token in (in_batch, singly):
        rows.write_rows("aurora", [StoreHead(line, 5, token, CharacterState(), "trade")], now)
    stored = StoredReceipt.objects.get()
    assert (stored.op_id, stored.version, stored.kind) == (op_id, 5, "trade")
    assert stored.receipt == in_batch, "what was there stays"
    for token in ("no receipt", "a.b.c", "x~y~z", "~~", singly[:-40].rsplit(".", 2)[0]):
        rows.write_rows("aurora", [StoreHead(line, 6, token, CharacterState(), "mail")], now)
    assert StoredReceipt.objects.count() == 1


@pytest.mark.django_db
def test_catalog_is_read_whole() -> None:
    world = make_world("aurora", motd="Hello.", max_players=7)
    east = ZoneCluster.objects.create(world=world, name="east", udp_port=0)
    entry = {"size": 100, "entry_x": 10, "entry_y": 20, "entry_heading_deg": 360}
    harbour = Zone.objects.create(
        world=world, slug="harbour", name="Harbour", is_entry=True, home_cluster=east, **entry
    )
    moss = Zone.objects.create(world=world, slug="moss", name="Moss", **entry)
    ZoneLink.objects.create(
        zone=harbour, slug="stair", label="Up", x=1, y=1, target=moss, arrival_x=5, arrival_y=6
    )
    ItemKind.objects.create(world=world, slug="crown", name="crown", value=9, is_valuable=True, slot="head")
    catalog = rows.load_catalog("aurora", "ws://127.0.0.1:1/")
    assert catalog.kinds == {"crown": Kind("crown", "crown", value=9, is_valuable=True, slot="head")}
    assert (catalog.motd, catalog.max_players, catalog.entry_zone().slug) == ("Hello.", 7, "harbour")
    assert catalog.zones["harbour"].home_cluster == "east"
    assert catalog.zones["harbour"].entry.heading_deg == 0
    assert catalog.links[("harbour", "stair")].arrival.position == (5, 6, 0)
    assert catalog.zone_of_instance(catalog.zones["moss"].instance()).slug == "moss"


@pytest.mark.django_db
def test_cluster_status_is_shown() -> None:
    world = make_world("aurora")
    ZoneCluster.objects.create(world=world, name="east", udp_port=0)
    now = timezone.now()
    rows.write_rows("aurora", [rows.ClusterStatus("east", now, {"players": 3})], now)
    east = ZoneCluster.objects.get()
    assert (east.last_seen_at, east.status) == (now, {"players": 3})


@pytest.mark.django_db(transaction=True)
def test_one_daemon_per_world() -> None:
    first, second, elsewhere = WorldLock(1), WorldLock(1), WorldLock(2)
    try:
        first.acquire()
        first.acquire()  # still held
        elsewhere.acquire()
        with pytest.raises(AlreadyRunning, match="Another world daemon"):
            second.acquire()
        first.release()
        second.acquire()
    finally:
        for lock in (first, second, elsewhere):
            lock.release()


@pytest.mark.django_db(transaction=True)
def test_the_lock_is_free_before_the_server_has_noticed_that_its_connection_is_closed() -> None:
    first, second = WorldLock(1), WorldLock(1)
    try:
        first.acquire()
        close, first._connection.close = first._connection.close, lambda: None
        first.release()
        second.acquire()
        first._connection.close = close
    finally:
        for lock in (first, second):
            lock.release()


@pytest.mark.django_db(transaction=True)
def test_lock_survives_a_database_that_went_away() -> None:
    """A lost connection is reported once; then the lock is taken anew."""
    lock = WorldLock(1)
    try:
        lock.acquire()
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'")
        with pytest.raises(OperationalError):
            lock.acquire()
        lock.acquire()
        rival = WorldLock(1)
        with pytest.raises(AlreadyRunning):
            rival.acquire()
        rival.release()
    finally:
        lock.release()


@pytest.mark.django_db
def test_receipts_are_read_page_by_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "RECEIPTS_AT_ONCE", 3)
    make_world("aurora")
    make_world("borealis")
    now, lines = timezone.now(), sorted(uuid4() for _ in range(2))
    kept = [
        StoreReceipt(line, version, uuid4(), f"receipt {version}", CharacterState(money=version), "quest")
        for line in lines
        for version in range(4)
    ]
    rows.write_rows("aurora", kept, now)
    rows.write_rows("borealis", [StoreReceipt(lines[0], 9, uuid4(), "other", CharacterState())], now)
    rows.write_rows(
        "aurora", [StoreReceipt(lines[0], 99, uuid4(), "old", CharacterState())], now - timedelta(2)
    )
    after, read, pages = None, [], 0
    while True:
        page = rows.load_receipts("aurora", LoadReceipts(2, now - timedelta(minutes=5), after))
        assert (page.incarnation, page.after) == (2, after)
        read, after, pages = read + page.versions, page.end, pages + 1
        if page.is_last:
            break
    assert pages == 3
    assert [(each.receipt, each.kind, each.state.money) for each in read] == [
        (f"receipt {version}", "quest", version) for _ in lines for version in range(4)
    ]


@pytest.mark.django_db
def test_a_receipt_with_a_document_of_another_schema_is_left_out() -> None:
    make_world("aurora")
    good, bad = uuid4(), uuid4()
    stored = [StoreReceipt(line, 1, uuid4(), "r", CharacterState()) for line in (good, bad)]
    rows.write_rows("aurora", stored, timezone.now())
    StoredReceipt.objects.filter(line=bad).update(state=b'{"schema":9}')
    page = rows.load_receipts("aurora", LoadReceipts(2, timezone.now(), None))
    assert len(page.versions) == 1 and page.is_last
