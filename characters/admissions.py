"""A world redeems a player's ticket: from then on it may acquire the account's characters."""

from datetime import datetime

import structlog

from accounts.selectors import edition_of
from characters.refusals import Refused
from characters.rules import limits_message
from characters.selectors import summaries_for_world
from worlds.models import World
from worlds.operating.sanctions import mute_told, sanctions_of_many
from worlds.tickets import is_operator, pseudonym_of, redeem_ticket
from worlds.uplink.messages import Admission, Redeem, Refusal
from worlds.uplink.ticket import TicketRefused

log = structlog.get_logger(__name__)


def admit(*, world: World, request: Redeem, now: datetime) -> Admission:
    """Use a ticket and return what the world may know of the account.

    Raises: Refused: bad_ticket, ticket_expired, ticket_used, world_suspended or account_banned.
    """
    try:
        ticket = redeem_ticket(token=request.ticket, world=world, now=now)
    except TicketRefused as error:
        log.info("ticket_refused", reason=error.code, detail=error.detail, world=world.slug)
        raise Refused(Refusal(error.code, error.detail)) from error
    edition = edition_of(ticket.account, now)
    return Admission(
        admission=ticket.jti,
        account=pseudonym_of(ticket.account, world).value,
        edition=edition.value,
        limits=limits_message(edition),
        characters=summaries_for_world(ticket.account, world, now),
        is_operator=is_operator(ticket.account, world),
        mute=mute_told(sanctions_of_many(world, [ticket.account_id], now).get(ticket.account_id)),
    )
