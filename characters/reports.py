"""A world reports that it is up; the master answers with what it must know of itself and its players."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec
import structlog
from django.db import transaction
from django.db.models import Q

from accounts.selectors import edition_of_many
from characters.collecting import collecting
from characters.incarnations import current_incarnation
from characters.letters import characters_with_new_letters
from characters.models import Line
from characters.refusals import Refused
from characters.rules import limits_message
from characters.selectors import locked_of
from characters.trade_stops import stops_in
from worlds.models import Pseudonym, World
from worlds.operating.orders import note_ended, orders_for
from worlds.operating.sanctions import ban_text, mute_told, sanctions_of_many
from worlds.operating.setup import note_report
from worlds.rules import gateway_fault
from worlds.tickets import admitted_accounts, is_banned
from worlds.uplink.messages import AccountNews, Refusal, Report, Reported

log = structlog.get_logger(__name__)


def receive_report(*, world: World, report: Report, now: datetime) -> Reported:
    """Note that the world is up and where its gateway is. Nothing in the report is believed beyond that.

    Raises: Refused: bad_request: the gateway's address cannot be one.
    """
    _check_gateway_url(report.gateway_url)
    shown = {
        name: value for name, value in msgspec.to_builtins(report).items() if name not in ("waiting", "doors")
    }
    with transaction.atomic():  # a text that the database cannot hold spoils nothing else
        World.objects.filter(pk=world.pk).update(
            last_report_at=now, report=shown, gateway_url=report.gateway_url
        )
        note_ended(world, report.done, now)
    log.debug("world_reported", world=world.slug)
    wants_doors = note_report(world=world, doors=report.doors, zones=report.zones, now=now)
    restored, stops = collecting(), stops_in(world)
    return Reported(
        tier=world.tier,
        is_suspended=world.suspended_at is not None,
        accounts=_news_for(world, report.waiting, now),
        is_limited=world.limited_at is not None,
        incarnation=current_incarnation(),
        is_trade_off="" in stops,
        kinds_off=sorted(stops - {""}),
        letters=characters_with_new_letters(world),
        maintenance=None if world.maintenance_since is None else world.maintenance_text,
        orders=orders_for(world, now),
        motd=world.motd,
        collects_since=restored.collects_since if restored is not None else None,
        wants_doors=wants_doors,
    )


def _check_gateway_url(url: str) -> None:
    if gateway_fault(url) or not url.isascii():
        raise Refused(Refusal("bad_request", "gateway_url must be a ws:// or wss:// address"))


def _news_for(world: World, waiting: Sequence[UUID], now: datetime) -> list[AccountNews]:
    """Return the standing of every account that has a character in play there, or is there without one.

    Three queries, and one more if anybody waits.

    Args: waiting: accounts of which the world says so; those with an open admission to it are told of.
    """
    in_play = set(Line.objects.filter(holder=world).values_list("character__account", flat=True))
    told = Q(account__in=in_play)
    if waiting:
        told |= Q(value__in=waiting, account__in=admitted_accounts(world, now))
    pseudonyms = list(Pseudonym.objects.filter(told, world=world).select_related("account"))
    editions = edition_of_many([pseudonym.account_id for pseudonym in pseudonyms], now)
    over = locked_of({key: edition for key, edition in editions.items() if key not in in_play})
    here = sanctions_of_many(world, editions, now)
    bans = {key: one.ban for key, one in here.items() if one.ban is not None}
    return [
        AccountNews(
            account=pseudonym.value,
            edition=editions[pseudonym.account_id].value,
            limits=limits_message(editions[pseudonym.account_id]),
            is_banned=is_banned(pseudonym.account, now) or pseudonym.account_id in bans,
            locked=over.get(pseudonym.account_id),
            mute=mute_told(here.get(pseudonym.account_id)),
            banned_for=(ban_text(bans[pseudonym.account_id], world) if pseudonym.account_id in bans else ""),
        )
        for pseudonym in pseudonyms
    ]
