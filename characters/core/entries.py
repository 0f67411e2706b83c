"""Players come to worlds: tickets redeemed, characters listed, and what a world is told when it reports."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from accounts.rules import LIMITS
from characters.core.letters import new_letters
from characters.core.records import Account
from characters.core.store import Store
from characters.rules import limits_message, line_kind, locked
from worlds.rules import ADMISSION_FOR
from worlds.uplink import messages as uplink
from worlds.uplink.messages import Refusal
from zonecluster.protocol.character import decode_state
from zonecluster.protocol.to_client import CharacterSummary
from zonecluster.rules.character import level_of


def redeem(store: Store, world: str, request: uplink.Redeem, now: datetime) -> uplink.Admission | Refusal:
    """Use a ticket, as worlds.tickets does."""
    jti = UUID(request.ticket)
    ticket = store.tickets.get(jti)
    if ticket is None or ticket.world != world:
        return Refusal("bad_ticket", "the master knows no such ticket; it may be too old")
    if ticket.expires_at <= now:
        return Refusal("ticket_expired", "the ticket is too old; get a new one")
    if store.worlds[world].is_suspended:
        return Refusal("world_suspended", "the staff suspended this world")
    account = store.accounts[ticket.account]
    if account.is_banned:
        return Refusal("account_banned", "the account is banned")
    if ticket.redeemed_at is not None or ticket.closed_at is not None:
        return Refusal("ticket_used", "the ticket was used before; get a new one")
    ticket.redeemed_at = now
    for other in store.tickets.values():
        is_open = other.redeemed_at is not None and other.closed_at is None
        if other.account == ticket.account and other.world != world and is_open:
            other.closed_at = now
    pseudonym = account.pseudonyms.get(world)
    if pseudonym is None:
        pseudonym = account.pseudonyms.setdefault(world, store.new_id())
    return uplink.Admission(
        admission=jti,
        account=pseudonym,
        edition=account.edition.value,
        limits=limits_message(account.edition),
        characters=_summaries(store, account, world),
    )


def _news(account: Account, world: str, *, is_in_play: bool) -> uplink.AccountNews:
    over = locked(account.characters, LIMITS[account.edition].character_slots, account.kept_open)
    return uplink.AccountNews(
        account=account.pseudonyms[world],
        edition=account.edition.value,
        limits=limits_message(account.edition),
        is_banned=account.is_banned,
        locked=None if is_in_play else sorted(over),
    )


def _is_admitted(store: Store, account: UUID, world: str, now: datetime | None) -> bool:
    return now is not None and any(
        (ticket.account, ticket.world, ticket.closed_at) == (account, world, None)
        and ticket.redeemed_at is not None
        and ticket.redeemed_at > now - ADMISSION_FOR
        for ticket in store.tickets.values()
    )


def _summaries(store: Store, account: Account, world: str) -> list[CharacterSummary]:
    standing = store.worlds[world]
    over = locked(account.characters, LIMITS[account.edition].character_slots, account.kept_open)
    summaries = []
    for character in account.characters:
        fork = store.line_of(character, world)
        is_undecided = fork is not None and fork.is_undecided
        kind = line_kind(standing.tier, is_limited=standing.is_limited, is_undecided=is_undecided)
        played = fork if fork is not None and kind == "fork" else store.main_of(character)
        state = decode_state(played.state)
        place = state.places.get(world)
        summaries.append(
            CharacterSummary(
                id=character,
                name=store.names[character],
                level=level_of(state),
                line=kind,
                zone=place.zone if place else None,
                is_locked=character in over,
            )
        )
    return summaries


def report(
    store: Store, world: str, waiting: Sequence[UUID] = (), now: datetime | None = None
) -> uplink.Reported:
    """Tell a world what it must know, as reports does. Args: waiting: accounts there without a lease."""
    held = [line for line in store.lines.values() if line.head.holder == world]
    in_play = {store.owners[line.character] for line in held}
    news = [
        _news(account, world, is_in_play=owner in in_play)
        for owner, account in sorted(store.accounts.items())
        if world in account.pseudonyms
        and (
            owner in in_play
            or (account.pseudonyms[world] in waiting and _is_admitted(store, owner, world, now))
        )
    ]
    standing = store.worlds[world]
    stops = store.stops_in(world)
    return uplink.Reported(
        tier=standing.tier,
        is_suspended=standing.is_suspended,
        accounts=news,
        is_limited=standing.is_limited,
        incarnation=store.incarnation,
        is_trade_off="" in stops,
        kinds_off=sorted(stops - {""}),
        letters=new_letters(store, held),
        collects_since=store.collects_since,
    )
