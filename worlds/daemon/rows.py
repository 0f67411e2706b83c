"""The world daemon's tables: its catalog, sessions, receipts, and its clusters' status. Sync; one thread."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

import msgspec
import structlog
from django.db import transaction
from django.db.models import F, Q
from django.db.models.functions import Greatest

from accounts.rules import Edition
from worlds import costs, quarantines, slow_handlers
from worlds.daemon.core.catalog import Catalog, ClusterInfo, LinkInfo, ZoneInfo
from worlds.daemon.core.effects import (
    CloseSession,
    EndQuarantine,
    ForgetWaiting,
    LoadReceipts,
    RecordSession,
    SessionRow,
    StoreExchange,
    StoreHead,
    StorePoison,
    StoreReceipt,
    StoreTokens,
    StoreWaiting,
    UpdateSession,
)
from worlds.daemon.core.events import OpenSession, ReceiptsLoaded
from worlds.daemon.core.measuring import MeasuringEffect, RecordMinute, SwitchOff
from worlds.daemon.core.upkeep import (
    EndAlarm,
    NoteAnnouncement,
    NoteMove,
    NoteRestart,
    RaiseAlarm,
    UpkeepEffect,
)
from worlds.daemon.host_rows import DoorStatus, HostStatus, load_hosts, write_host
from worlds.daemon.queue_rows import limits_in, write_queue
from worlds.daemon.upkeep_rows import write_upkeep
from worlds.models import (
    ItemKind,
    PlaySession,
    StoredReceipt,
    WaitingPlayer,
    World,
    Zone,
    ZoneCluster,
    ZoneLink,
)
from worlds.uplink.jws import BadToken
from worlds.uplink.messages import OfferedVersion, SaveKind
from worlds.uplink.receipt import read_receipt
from zonecluster.protocol.character import InvalidState, Place, decode_state, encode_state
from zonecluster.rules import items

log = structlog.get_logger(__name__)

RECEIPTS_AT_ONCE = 200  # of 64 KB each they fit into one request
CLOCKS_APART = timedelta(hours=1)  # receipts are dated by this world's clock, a backup by the master's


@dataclass(frozen=True)
class ClusterStatus:
    """What the admin shows of a living cluster."""

    name: str
    seen_at: datetime
    status: dict[str, Any]


RowEffect = (
    RecordSession
    | UpdateSession
    | StoreTokens
    | CloseSession
    | StoreWaiting
    | ForgetWaiting
    | StoreReceipt
    | StoreExchange
    | StoreHead
    | StorePoison
    | EndQuarantine
    | ClusterStatus
    | HostStatus
    | DoorStatus
    | UpkeepEffect
    | MeasuringEffect
)


def load_catalog(slug: str, gateway_url: str) -> Catalog:
    """Read the world's content and clusters.

    Raises: World.DoesNotExist.
    """
    world = World.objects.get(slug=slug)
    zones = Zone.objects.filter(world=world).select_related("home_cluster")
    links = ZoneLink.objects.filter(zone__world=world).select_related("zone", "target")
    return Catalog(
        world=slug,
        motd=world.motd,
        max_players=world.max_players,
        gateway_url=gateway_url,
        zones={zone.slug: _zone_info(zone) for zone in zones},
        links={(link.zone.slug, link.slug): _link_info(link) for link in links},
        kinds={row.slug: _item_kind(row) for row in ItemKind.objects.filter(world=world).order_by("slug")},
        clusters={
            row.name: ClusterInfo(
                row.name, row.max_players, row.is_enabled, row.host.name if row.host else ""
            )
            for row in ZoneCluster.objects.filter(world=world).select_related("host")
        },
        hosts=load_hosts(world),
        quarantined=quarantines.standing(world),
        max_queue=world.max_queue,
        game_rate=world.game_rate,
        game_epoch_s=world.game_epoch.timestamp(),
    )


def _zone_info(zone: Zone) -> ZoneInfo:
    heading = zone.entry_heading_deg % 360
    return ZoneInfo(
        number=zone.pk,
        slug=zone.slug,
        name=zone.name,
        size=zone.size,
        entry=Place(zone=zone.slug, position=(zone.entry_x, zone.entry_y, 0.0), heading_deg=heading),
        home_cluster=zone.home_cluster.name if zone.home_cluster else "",
        is_entry=zone.is_entry,
        climate=zone.climate,
        max_players=zone.max_players,
        max_instances=zone.max_instances,
        is_pinned=zone.is_pinned,
        is_by_alliance=zone.instancing == Zone.Instancing.ALLIANCE,
        is_premium=zone.edition == Edition.PREMIUM,
    )


def _item_kind(row: ItemKind) -> items.ItemKind:
    return items.ItemKind(
        row.slug, row.name, row.stack_size, row.value, row.weight, row.is_valuable, row.slot
    )


def _link_info(link: ZoneLink) -> LinkInfo:
    heading = link.arrival_heading_deg % 360
    arrival = Place(
        zone=link.target.slug, position=(link.arrival_x, link.arrival_y, 0.0), heading_deg=heading
    )
    return LinkInfo(zone=link.zone.slug, slug=link.slug, arrival=arrival)


def load_open_sessions(slug: str) -> list[OpenSession]:
    """Read the sessions that the last daemon left open."""
    return [
        OpenSession(
            id=row.id,
            account=row.pseudonym,
            admission=row.admission,
            character=row.character,
            name=row.character_name,
            edition=row.edition,
            limits=limits_in(row.limits),
            line=row.line,
            epoch=row.epoch,
            zone=row.zone,
            cluster=row.cluster,
            resume_digest=bytes(row.resume_digest),
            proven_digest=bytes(row.proven_digest),
            stay=row.stay,
            has_gap=row.has_gap,
        )
        for row in PlaySession.objects.filter(world__slug=slug, ended_at__isnull=True)
    ]


def write_rows(slug: str, effects: Sequence[RowEffect], now: datetime) -> None:
    """Carry out the effects in their order, all or none. Repeating them is harmless."""
    world = World.objects.get(slug=slug)
    with transaction.atomic():
        for effect in effects:
            match effect:
                case RecordSession(row):
                    _record(world, row, now)
                case UpdateSession(row):
                    PlaySession.objects.filter(id=row.id).update(
                        **_fields(row), stay=Greatest(F("stay"), row.stay)
                    )
                case StoreTokens(session, newest, proven):
                    for model in (PlaySession, WaitingPlayer):
                        model.objects.filter(world=world, id=session).update(
                            resume_digest=newest, proven_digest=proven
                        )
                case CloseSession(session, reason):
                    open_rows = PlaySession.objects.filter(id=session, ended_at__isnull=True)
                    open_rows.update(ended_at=now, end_reason=reason)
                case StorePoison(report, digest, line, version):
                    quarantines.store_report(
                        world=world, report=report, digest=digest, line=line, version=version, now=now
                    )
                case EndQuarantine(character):
                    quarantines.end_quarantine(world=world, character=character, now=now)
                case ClusterStatus(name, seen_at, status):
                    rows = ZoneCluster.objects.filter(world=world, name=name)
                    rows.update(last_seen_at=seen_at, status=status)
                case HostStatus() | DoorStatus():
                    write_host(world, effect)
                case StoreWaiting() | ForgetWaiting():
                    write_queue(world, effect, now)
                case NoteMove() | NoteRestart() | NoteAnnouncement() | RaiseAlarm() | EndAlarm():
                    write_upkeep(world, effect, now)
                case RecordMinute(zones, players):
                    costs.record_minute(world, zones, players, now)
                case SwitchOff():
                    slow_handlers.switch_off(world=world, now=now, **asdict(effect))
        receipts = [_receipt(world, receipt, now) for effect in effects for receipt in receipts_in(effect)]
        StoredReceipt.objects.bulk_create(receipts, ignore_conflicts=True)


def receipts_in(effect: RowEffect) -> tuple[StoreReceipt, ...]:
    """Return the receipts that an effect wants kept."""
    match effect:
        case StoreReceipt():
            return (effect,)
        case StoreExchange(receipts):
            return receipts
        case StoreHead():
            return _receipt_of_head(effect)
    return ()


def _receipt_of_head(head: StoreHead) -> tuple[StoreReceipt, ...]:
    try:
        op_id = read_receipt(head.receipt).op_id
    except BadToken as error:  # the uplink checks it before
        log.error("receipt_of_a_lease_unreadable", line=str(head.line), cause=str(error))
        return ()
    return (StoreReceipt(head.line, head.version, op_id, head.receipt, head.state, head.kind),)


def load_receipts(slug: str, asked: LoadReceipts) -> ReceiptsLoaded:
    """Read a page of what the master acknowledged since an instant, by line and version."""
    rows = StoredReceipt.objects.filter(world__slug=slug, at__gte=asked.since - CLOCKS_APART)
    if asked.after is not None:
        line, version = asked.after
        rows = rows.filter(Q(line__gt=line) | Q(line=line, version__gt=version))
    page = list(rows.order_by("line", "version")[: RECEIPTS_AT_ONCE + 1])
    is_last = len(page) <= RECEIPTS_AT_ONCE
    page = page[:RECEIPTS_AT_ONCE]
    end = (page[-1].line, page[-1].version) if page else None
    versions = [offered for row in page if (offered := _offered(row)) is not None]
    return ReceiptsLoaded(asked.incarnation, asked.after, versions, end, is_last)


def _offered(row: StoredReceipt) -> OfferedVersion | None:
    try:
        state = decode_state(bytes(row.state))
    except InvalidState as error:
        log.error("receipt_not_offered", op_id=str(row.op_id), cause=str(error))
        return None
    return OfferedVersion(row.receipt, msgspec.convert(row.kind, SaveKind), state)


def _record(world: World, row: SessionRow, now: datetime) -> None:
    # An open row of the same character can only be one whose end was lost: the lease is held by this one.
    others = PlaySession.objects.filter(world=world, character=row.character, ended_at__isnull=True)
    others.exclude(id=row.id).update(ended_at=now, end_reason="superseded")
    fields = {**_fields(row), "world": world, "started_at": now, "ended_at": None, "end_reason": ""}
    PlaySession.objects.update_or_create(id=row.id, defaults=fields)


def _fields(row: SessionRow) -> dict[str, Any]:
    return {
        "pseudonym": row.account,
        "admission": row.admission,
        "character": row.character,
        "character_name": row.name,
        "edition": row.edition,
        "limits": msgspec.to_builtins(row.limits),
        "line": row.line,
        "epoch": row.epoch,
        "zone": row.zone,
        "cluster": row.cluster,
        "instance": row.instance,
        "entity": row.entity,
        "resume_digest": row.resume_digest,
        "proven_digest": row.proven_digest,
        "has_gap": row.has_gap,
    }


def _receipt(world: World, effect: StoreReceipt, now: datetime) -> StoredReceipt:
    return StoredReceipt(
        world=world,
        op_id=effect.op_id,
        line=effect.line,
        version=effect.version,
        receipt=effect.receipt,
        state=encode_state(effect.state),
        at=now,
        kind=effect.kind,
    )
