"""The uplink, the master's side: POST /api/v1/uplink/<verb>/ by worlds that prove themselves with their key.

Each view translates and calls. Order: size, proof of the head, body, proof of the body, decode, service.
Every answer but 200 is problem+json with a `code` of RefusalCode.
"""

from collections.abc import Callable
from datetime import datetime
from functools import wraps
from typing import Annotated, TypeVar

import msgspec
import structlog
from django.db import DatabaseError, DataError, InterfaceError
from django.http import HttpRequest, HttpResponse
from django.http.request import UnreadablePostError
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from msgspec import Meta, Struct

from characters.admissions import admit
from characters.collecting import collecting
from characters.exchanges import IncomingExchange
from characters.exchanges import exchange as carry_out
from characters.leases import acquire_lease, release_lease, renew_leases
from characters.letters import read_mailbox
from characters.refusals import Refused
from characters.reoffers import IncomingReoffer, take_reoffer
from characters.reports import receive_report
from characters.saves import IncomingSave, save_batch
from characters.uplink_authentication import authenticate
from worlds.models import World
from worlds.signing import NoSigningKey
from worlds.uplink.messages import (
    MAX_BATCH,
    MAX_BODY_BYTES,
    Acquire,
    Mailbox,
    Redeem,
    Refusal,
    RefusalCode,
    Release,
    Released,
    Renew,
    Report,
    SavedBatch,
    encoder,
)
from worlds.uplink.proof import BadProof

log = structlog.get_logger(__name__)

SMALL = 16 * 1024  # bytes: a request about one thing; a ticket has under 1 KB
MEDIUM = 256 * 1024  # bytes: MAX_BATCH leases, or a report of 1,000 clusters

STATUSES: dict[RefusalCode, int] = {
    "bad_ticket": 403,
    "ticket_expired": 403,
    "ticket_used": 409,
    "world_suspended": 403,
    "unknown_character": 404,
    "character_locked": 403,
    "not_admitted": 403,
    "held_elsewhere": 409,
    "stale": 409,
    "op_id_reused": 409,
    "bad_chain": 409,
    "invalid_state": 422,
    "account_banned": 403,
    "trade_off": 403,
    "not_conserved": 422,
    "other_line": 409,
    "over_budget": 409,
    "foreign_valuable": 409,
    "unknown_recipient": 404,
    "mailbox_full": 409,
    "unknown_letter": 404,
    "bad_proof": 401,
    "bad_request": 400,
    "master_fault": 503,
}

Message = TypeVar("Message", bound=Struct)
Service = Callable[[World, Message, datetime], Struct]
View = Callable[[HttpRequest], HttpResponse]


class IncomingBatch(Struct, frozen=True):
    """The uplink's SaveBatch as it is received."""

    saves: Annotated[list[IncomingSave], Meta(min_length=1, max_length=MAX_BATCH)]


class TooLarge(Exception):
    """A body of more bytes than this verb takes."""


def in_service(service: Service) -> Service:
    """Make a service that answers only while the master is not being restored: to worlds it is away then."""

    @wraps(service)
    def guarded(world: World, message: Message, now: datetime) -> Struct:
        if collecting() is not None:
            raise Refused(Refusal("master_fault", "the master was restored and collects what worlds hold"))
        return service(world, message, now)

    return guarded


def for_worlds_with_proof(kind: type[Message], *, max_bytes: int) -> Callable[[Service], View]:
    """Make a view of a service. Permission: a world with a valid proof, nobody else.

    Args: kind: the struct that the body must be; max_bytes: more are refused before they are read.
    """
    decoder = msgspec.json.Decoder(kind)

    def make_view(service: Service) -> View:
        @csrf_exempt  # no cookie is looked at: the proof is the only credential
        def view(request: HttpRequest) -> HttpResponse:
            if request.method != "POST":
                answer = _problem(Refusal("bad_request", "use POST"), 405)
                answer["Allow"] = "POST"
                return answer
            return _answer(request, decoder, max_bytes, service)

        view.__name__ = view.__qualname__ = service.__name__
        view.__doc__ = service.__doc__
        return view

    return make_view


def _answer(
    request: HttpRequest, decoder: msgspec.json.Decoder, max_bytes: int, service: Service
) -> HttpResponse:
    """Run a service and turn what goes wrong into the problem that says so."""
    now = timezone.now()
    try:
        _check_declared_size(request, max_bytes)
        caller = authenticate(request, now)
        body = _read_body(request, max_bytes)
        caller.check_body(body)
        result = service(caller.world, decoder.decode(body), now)
    except Refused as error:
        return _problem(error.refusal)
    except BadProof as error:
        log.warning("uplink_proof_refused", path=request.path, error=str(error))
        return _problem(Refusal("bad_proof", str(error)))
    except TooLarge as error:
        log.warning("uplink_body_too_large", path=request.path, error=str(error))
        return _problem(Refusal("bad_request", str(error)), 413)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        log.warning("uplink_request_refused", path=request.path, error=str(error))
        return _problem(Refusal("bad_request", f"not a request of this verb: {error}"))
    except DataError as error:  # its message is for us: it quotes our SQL
        log.warning("uplink_request_refused", path=request.path, error=str(error))
        return _problem(Refusal("bad_request", "a text or number in the request cannot be stored"))
    except (DatabaseError, InterfaceError, NoSigningKey, UnreadablePostError) as error:
        log.error("uplink_master_fault", path=request.path, error=str(error))
        return _problem(
            Refusal("master_fault", "the master cannot answer now; ask again with the same op_id")
        )
    return HttpResponse(encoder.encode(result), content_type="application/json")


def _check_declared_size(request: HttpRequest, max_bytes: int) -> None:
    declared = request.headers.get("Content-Length", "")
    if not (declared.isascii() and declared.isdigit()):  # WSGI servers do not pass on a chunked body
        raise Refused(Refusal("bad_request", "send Content-Length; a body in chunks is not read here"))
    if int(declared) > max_bytes:
        raise TooLarge(f"the body has {declared} bytes; at most {max_bytes} are taken here")


def _read_body(request: HttpRequest, max_bytes: int) -> bytes:
    """Read at most max_bytes. Not request.body: its limit is one for all views."""
    body = request.read(max_bytes + 1)
    if len(body) > max_bytes:
        raise TooLarge(f"the body has more than {max_bytes} bytes")
    return body


def _problem(refusal: Refusal, status: int | None = None) -> HttpResponse:
    status = status or STATUSES[refusal.code]
    problem = {
        "type": "about:blank",
        "title": refusal.code.replace("_", " "),
        "status": status,
        "code": refusal.code,
        "detail": refusal.detail,
    }
    answer = HttpResponse(encoder.encode(problem), status=status, content_type="application/problem+json")
    if status == 401:
        answer["WWW-Authenticate"] = "Bearer"
    return answer


@for_worlds_with_proof(Redeem, max_bytes=SMALL)
@in_service
def redeem(world: World, message: Redeem, now: datetime) -> Struct:
    """Use a player's ticket."""
    return admit(world=world, request=message, now=now)


@for_worlds_with_proof(Acquire, max_bytes=SMALL)
@in_service
def acquire(world: World, message: Acquire, now: datetime) -> Struct:
    """Get the lease of a character."""
    return acquire_lease(world=world, request=message, now=now)


@for_worlds_with_proof(Renew, max_bytes=MEDIUM)
@in_service
def renew(world: World, message: Renew, now: datetime) -> Struct:
    """Prolong leases."""
    return renew_leases(world=world, request=message, now=now)


@for_worlds_with_proof(IncomingBatch, max_bytes=MAX_BODY_BYTES)
@in_service
def save(world: World, message: IncomingBatch, now: datetime) -> Struct:
    """Write characters."""
    return SavedBatch(results=save_batch(world=world, saves=message.saves, now=now))


@for_worlds_with_proof(IncomingExchange, max_bytes=MEDIUM)
@in_service
def exchange(world: World, message: IncomingExchange, now: datetime) -> Struct:
    """Let goods change hands between characters and letters."""
    return carry_out(world=world, request=message, now=now)


@for_worlds_with_proof(Mailbox, max_bytes=SMALL)
@in_service
def mailbox(world: World, message: Mailbox, now: datetime) -> Struct:
    """List the letters of a character."""
    return read_mailbox(world=world, request=message, now=now)


@for_worlds_with_proof(Release, max_bytes=SMALL)
@in_service
def release(world: World, message: Release, now: datetime) -> Struct:
    """Give a lease back."""
    return Released(was_held=release_lease(world=world, request=message, now=now))


@for_worlds_with_proof(Report, max_bytes=MEDIUM)
def report(world: World, message: Report, now: datetime) -> Struct:
    """Say that the world is up, and learn of tier, suspension and accounts."""
    return receive_report(world=world, report=message, now=now)


@for_worlds_with_proof(IncomingReoffer, max_bytes=MAX_BODY_BYTES)
def reoffer(world: World, message: IncomingReoffer, now: datetime) -> Struct:
    """Offer what the master acknowledged before it was restored."""
    return take_reoffer(world=world, request=message, now=now)
