"""Trade stops: the staff turns off trade and mail of a world, of a kind of item, or of all worlds."""

from datetime import datetime

import structlog
from django.db import IntegrityError, transaction
from django.db.models import Q

from accounts.models import Account
from accounts.services import record_audit
from characters.models import TradeStop
from worlds.models import World

log = structlog.get_logger(__name__)


class CannotStop(ValueError):
    """A stop that cannot be set or taken back; the message is for the staff."""


def stops_in(world: World) -> set[str]:
    """Return the kinds of items that may not change hands in a world; "" among them: nothing may."""
    stops = TradeStop.objects.filter(Q(world=world) | Q(world=None))
    return set(stops.values_list("item_kind", flat=True))


def stop_trade(*, world: World | None, item_kind: str, by: Account, reason: str, now: datetime) -> TradeStop:
    """Turn trade and mail off. Worlds learn of it by their next report; the master refuses from now on.

    Args: world: None: in all of them; item_kind: empty: everything, money and letters too.
    Raises: CannotStop: it is off already.
    """
    try:
        with transaction.atomic():
            stop = TradeStop.objects.create(world=world, item_kind=item_kind, by=by, reason=reason, at=now)
            _audit("trade_stopped", stop, by, reason, now)
    except IntegrityError as error:
        raise CannotStop(f"Trade of {item_kind or 'everything'} is stopped there already.") from error
    log.warning("trade_stopped", world=world.slug if world else None, kind=item_kind, reason=reason)
    return stop


def resume_trade(*, stop: TradeStop, by: Account, reason: str, now: datetime) -> None:
    """Take a stop back."""
    with transaction.atomic():
        _audit("trade_resumed", stop, by, reason, now)
        stop.delete()
    log.info("trade_resumed", world=stop.world.slug if stop.world else None, kind=stop.item_kind)


def _audit(action: str, stop: TradeStop, by: Account, reason: str, now: datetime) -> None:
    record_audit(
        action=action,
        account=by,
        target=stop.world.slug if stop.world else "all worlds",
        detail={"kind": stop.item_kind, "reason": reason},
        now=now,
    )
