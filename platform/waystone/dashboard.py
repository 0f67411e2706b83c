"""The admin's first page: what goes on now, and what needs attention. Real figures, a handful of queries."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from allauth.usersessions.models import UserSession
from django.conf import settings
from django.db.models import Count, Exists, OuterRef, Q, Sum
from django.db.models.functions import TruncMinute
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from redis import Redis
from redis.exceptions import RedisError

from accounts.models import Account, AuditRecord, Payment
from characters.models import Character, Line, Version
from waystone.backups.cycle import last_proven_at
from worlds.models import Alarm, Ticket, World, WorldKey
from worlds.rules import is_online
from worlds.selectors import platform_population

SHOWN = 10
UNSEALED = timedelta(minutes=10)  # sealing runs every 10 s
HISTORY = timedelta(minutes=60)


@dataclass(frozen=True)
class Figure:
    """One number of the page, with what it counts and where to look closer."""

    title: str
    value: str
    note: str
    href: str
    permission: str | None = None  # who may see it; None: all staff


@dataclass(frozen=True)
class ClusterRow:
    """A zone cluster as its world last reported it."""

    world: str
    name: str
    is_alive: bool
    players: int
    tick_ms: float


def dashboard_callback(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Add the figures to the context of the first page. Names only for those who may view the rows."""
    now, may = timezone.now(), request.user.has_perm
    clusters = reported_clusters(now)
    context.update(
        title="Now",
        now=now,
        figures=[each for each in figures(now, clusters) if each.permission is None or may(each.permission)],
        clusters=clusters[:SHOWN] if may("worlds.view_world") else [],
        attention=attention(now, clusters) if may("worlds.view_world") else [],
        versions=newest_versions() if may("characters.view_version") else [],
        deeds=newest_deeds() if may("accounts.view_auditrecord") else [],
        saves=saves_by_minute(now),
    )
    return context


def reported_clusters(now: datetime) -> list[ClusterRow]:
    """Return the clusters of all worlds, by what the worlds reported; of a silent world none is alive."""
    rows = []
    for name, last_report_at, report in World.objects.filter(last_report_at__isnull=False).values_list(
        "name", "last_report_at", "report"
    ):
        reporting = is_online(last_report_at, now)
        for cluster in report.get("clusters", []):
            is_alive = reporting and bool(cluster.get("is_alive"))
            players, tick_ms = int(cluster.get("players", 0)), float(cluster.get("tick_ms", 0))
            rows.append(ClusterRow(name, str(cluster.get("name", "?")), is_alive, players, tick_ms))
    return rows


def figures(now: datetime, clusters: list[ClusterRow]) -> list[Figure]:
    """Return the numbers at the top."""
    population = platform_population(now)
    accounts = Account.objects.aggregate(
        total=Count("pk"), new=Count("pk", filter=Q(date_joined__gt=now - timedelta(days=1)))
    )
    alive = sum(row.is_alive for row in clusters)
    characters = Character.objects.filter(deleted_at__isnull=True).count()
    saves = Version.objects.filter(at__gt=now - timedelta(minutes=1)).count()
    alarms = Alarm.objects.filter(ended_at=None).count()
    log_ins = UserSession.objects.filter(created_at__gt=now - timedelta(days=1)).count()
    tickets = Ticket.objects.filter(issued_at__gt=now - timedelta(hours=1)).count()
    return [
        Figure(
            "Players", str(population.players), "leases in force", _list("characters_line", "?lease=in-force")
        ),
        Figure(
            "Worlds online",
            f"{population.worlds_online} of {population.worlds}",
            "reported within 15 s",
            _list("worlds_world"),
        ),
        Figure(
            "Clusters alive",
            f"{alive} of {len(clusters)}",
            "by their worlds' reports",
            _list("worlds_zonecluster"),
        ),
        Figure("Alarms", str(alarms), "not over yet", _list("worlds_alarm")),
        Figure("Backup", *backup_age(now), _list("worlds_backup")),
        Figure("Queue", *queue_length(), _list("django_celery_beat_periodictask")),
        sales(now),
        Figure("Log-ins", str(log_ins), "sessions begun in 24 h", _list("usersessions_usersession")),
        Figure("Saves", str(saves), "in the last minute", _list("characters_version")),
        Figure(
            "Accounts", str(accounts["total"]), f"{accounts['new']} new in 24 h", _list("accounts_account")
        ),
        Figure(
            "Characters",
            str(characters),
            f"{tickets} tickets in the last hour",
            _list("characters_character"),
        ),
    ]


def sales(now: datetime) -> Figure:
    """Return what was paid in the last 30 days, by currency."""
    rows = (
        Payment.objects.filter(standing=Payment.Standing.PAID, paid_at__gt=now - timedelta(days=30))
        .values_list("currency")
        .annotate(total=Sum("total"), count=Count("pk"))
        .order_by("currency")
    )
    paid = list(rows)
    value = ", ".join(f"{total:,.2f} {currency}" for currency, total, _ in paid) or "0"
    count = sum(count for _, _, count in paid)
    note = f"{count} payment{'' if count == 1 else 's'} in 30 days"
    return Figure("Sales", value, note, _list("accounts_payment"), permission="accounts.view_payment")


def queue_length() -> tuple[str, str]:
    """Return how many tasks wait for a worker, and what that means; a dash if Redis does not answer."""
    prefix = settings.CELERY_BROKER_TRANSPORT_OPTIONS["global_keyprefix"]
    try:
        with Redis.from_url(settings.CELERY_BROKER_URL, socket_timeout=1, socket_connect_timeout=1) as redis:
            return str(redis.llen(f"{prefix}celery")), "tasks that wait for a worker"
    except (RedisError, ValueError):  # ValueError: no address is set
        return "–", "Redis does not answer"


def backup_age(now: datetime) -> tuple[str, str]:
    """Return how old the newest backup is that was proven by a restore, and what that means."""
    last = last_proven_at()
    if last is None:
        return "–", "none proven yet"
    return f"{int((now - last).total_seconds() // 3600)} h", "since one was proven by a restore"


def attention(now: datetime, clusters: list[ClusterRow]) -> list[tuple[str, str]]:
    """Return what staff should look at: (sentence, address)."""
    valid_key = WorldKey.objects.filter(world=OuterRef("pk"), revoked_at__isnull=True)
    found = []
    for world in World.objects.annotate(has_key=Exists(valid_key)).order_by("name")[:200]:
        address = reverse("admin:worlds_world_change", args=[world.pk])
        if world.suspended_at is not None:
            found.append((f"{world} is suspended since {world.suspended_at:%Y-%m-%d %H:%M}.", address))
        elif not world.has_key:
            found.append((f"{world} has no valid key and cannot reach the uplink.", address))
        elif world.is_listed and world.last_report_at and not is_online(world.last_report_at, now):
            found.append((f"{world} is silent since {world.last_report_at:%Y-%m-%d %H:%M:%S}.", address))
    alarms = Alarm.objects.filter(ended_at=None).select_related("world").order_by("-level", "began_at")
    found = [
        (alarm.text, reverse("admin:worlds_alarm_change", args=[alarm.pk])) for alarm in alarms[:SHOWN]
    ] + found
    found += [
        (f"Cluster {row.name} of {row.world} is dead.", _list("worlds_zonecluster"))
        for row in clusters
        if not row.is_alive
    ]
    waits = AuditRecord.objects.filter(position=None, at__lt=now - UNSEALED).order_by("pk").first()
    if waits is not None:
        text = f"The audit record is not sealed since {waits.at:%Y-%m-%d %H:%M}: do worker and beat run?"
        found.append((text, _list("accounts_auditrecord")))
    concerns = Payment.objects.exclude(concern="").count()
    if concerns:
        found.append((f"{concerns} payments need a look.", _list("accounts_payment")))
    undecided = Line.objects.filter(undecided_since__isnull=False).count()
    if undecided:
        falls = "character has" if undecided == 1 else "characters have"
        found.append(
            (
                f"{undecided} {falls} gained more than a verified world may give; it waits for a decision.",
                _list("characters_line", "?decision=waits"),
            )
        )
    lapsed = Line.objects.filter(holder__isnull=False, lease_until__lte=now).count()
    if lapsed:
        leases = "lease has" if lapsed == 1 else "leases have"
        found.append(
            (f"{lapsed} {leases} lapsed and was not given back.", _list("characters_line", "?lease=lapsed"))
        )
    return found[:SHOWN]


def newest_versions() -> list[Version]:
    """Return the newest accepted writes, without their states."""
    versions = Version.objects.select_related("line__character", "world").defer("state", "line__state")
    return list(versions.order_by("-at", "-pk")[:SHOWN])


def newest_deeds() -> list[AuditRecord]:
    """Return the newest audit rows."""
    return list(AuditRecord.objects.select_related("account")[:SHOWN])


def saves_by_minute(now: datetime) -> dict[str, Any]:
    """Return the accepted writes of the last hour as bars in a box 61 wide and 100 high."""
    start = (now - HISTORY).replace(second=0, microsecond=0)
    counts = dict(
        Version.objects.filter(at__gte=start)
        .annotate(minute=TruncMinute("at"))
        .values("minute")
        .annotate(writes=Count("pk"))
        .values_list("minute", "writes")
    )
    highest = max(counts.values(), default=0)
    minutes = [start + timedelta(minutes=n) for n in range(int(HISTORY.total_seconds() // 60) + 1)]
    bars = [
        {
            "x": number,
            "y": 100 - round(100 * counts.get(minute, 0) / highest) if highest else 100,
            "height": round(100 * counts.get(minute, 0) / highest) if highest else 0,
            "title": f"{minute:%H:%M}: {counts.get(minute, 0)}",
        }
        for number, minute in enumerate(minutes)
    ]
    return {"bars": bars, "highest": highest, "total": sum(counts.values())}


def _list(name: str, query: str = "") -> str:
    return reverse(f"admin:{name}_changelist") + query
