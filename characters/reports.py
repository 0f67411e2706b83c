"""A world reports that it is up; the master answers with what it must know of itself and its players."""

from datetime import datetime

import msgspec
import structlog
from django.db import transaction

from accounts.selectors import edition_of_many
from characters.admissions import limits_message
from characters.collecting import collecting
from characters.incarnations import current_incarnation
from characters.letters import characters_with_new_letters
from characters.models import Line
from characters.refusals import Refused
from characters.trade_stops import stops_in
from worlds.models import Pseudonym, World
from worlds.rules import gateway_fault
from worlds.tickets import is_banned
from worlds.uplink.messages import AccountNews, Refusal, Report, Reported

log = structlog.get_logger(__name__)


def receive_report(*, world: World, report: Report, now: datetime) -> Reported:
    """Note that the world is up and where its gateway is. Nothing in the report is believed beyond that.

    Raises: Refused: bad_request: the gateway's address cannot be one.
    """
    _check_gateway_url(report.gateway_url)
    with transaction.atomic():  # a text that the database cannot hold spoils nothing else
        World.objects.filter(pk=world.pk).update(
            last_report_at=now, report=msgspec.to_builtins(report), gateway_url=report.gateway_url
        )
    log.debug("world_reported", world=world.slug)
    restored, stops = collecting(), stops_in(world)
    return Reported(
        tier=world.tier,
        is_suspended=world.suspended_at is not None,
        accounts=_news_for(world, now),
        is_limited=world.limited_at is not None,
        incarnation=current_incarnation(),
        is_trade_off="" in stops,
        kinds_off=sorted(stops - {""}),
        letters=characters_with_new_letters(world),
        maintenance=None if world.maintenance_since is None else world.maintenance_text,
        collects_since=restored.collects_since if restored is not None else None,
    )


def _check_gateway_url(url: str) -> None:
    if gateway_fault(url) or not url.isascii():
        raise Refused(Refusal("bad_request", "gateway_url must be a ws:// or wss:// address"))


def _news_for(world: World, now: datetime) -> list[AccountNews]:
    """Return the standing of every account that has a character in play there: three queries in all."""
    played = Line.objects.filter(holder=world).values("character__account")
    pseudonyms = list(Pseudonym.objects.filter(world=world, account__in=played).select_related("account"))
    editions = edition_of_many([pseudonym.account_id for pseudonym in pseudonyms], now)
    return [
        AccountNews(
            account=pseudonym.value,
            edition=editions[pseudonym.account_id].value,
            limits=limits_message(editions[pseudonym.account_id]),
            is_banned=is_banned(pseudonym.account, now),
        )
        for pseudonym in pseudonyms
    ]
