"""The uplink, world's side: signed requests to the master over HTTP, and what can be checked without it.

Every question gets one answer: the master's, its Refusal, or Unreachable. Nothing is repeated here: the core
decides what is asked again, with the same op_id.
"""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import httpx
import msgspec
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from worlds.daemon.core.effects import Call, Request
from worlds.daemon.core.events import Answered, Unreachable
from worlds.uplink import messages, reach
from worlds.uplink.jws import BadToken
from worlds.uplink.keys import KeyPair
from worlds.uplink.proof import sign_request
from worlds.uplink.receipt import check_receipt
from worlds.uplink.ticket import TicketRefused, check_ticket, keys_of_jwks
from zonecluster.protocol.character import encode_state, state_hash
from zonecluster.protocol.unreadable import UNREADABLE

log = structlog.get_logger(__name__)

TIMEOUT = httpx.Timeout(8.0, connect=3.0)  # the core gives up on an answer after 10 s
# The client's pool has no bound of its own: who times out while waiting in it leaves a connection behind that
# is never given back, and after eight of them the master can never be reached again. LANES bounds it instead.
LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=8, keepalive_expiry=30.0)
LANES = {"writes": 4, "entries": 4}  # requests under way; a crowd that comes in must not hold up saves
LANE_WAIT_S = 5.0  # for a place in a lane
CLOCK_LEEWAY_S = 30.0  # how far our clock may be off when a ticket is checked
JWKS_MAX_AGE_S = 300.0
JWKS_PAUSE_S = 5.0  # an unknown key makes us ask again, but not more often than this
JWKS_FAILED_FOR_S = 1.0  # whoever waited for the same attempt does not make the next one

ANSWERS: dict[type, tuple[str, type]] = {
    messages.Redeem: ("redeem", messages.Admission),
    messages.Acquire: ("acquire", messages.Lease),
    messages.Renew: ("renew", messages.Renewed),
    messages.SaveBatch: ("save", messages.SavedBatch),
    messages.Release: ("release", messages.Released),
    messages.Report: ("report", messages.Reported),
    messages.Reoffer: ("reoffer", messages.Reoffered),
    messages.Exchange: ("exchange", messages.Exchanged),
    messages.Mailbox: ("mailbox", messages.MailboxIs),
}
ENTRIES = (messages.Redeem, messages.Acquire, messages.Mailbox)  # whoever waits for one can wait longer
Answer = Any  # the struct that ANSWERS names, messages.Refusal or Unreachable


class MasterKeys:
    """The master's public keys, as last read from its JWKS."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http
        self._keys: dict[str, Ed25519PublicKey] = {}
        self._read_at: datetime | None = None
        self._problem, self._failed_at = "", datetime.min.replace(tzinfo=UTC)
        self._reading = asyncio.Lock()

    def get(self, kid: str) -> Ed25519PublicKey | None:
        """Return a key, if it is known."""
        return self._keys.get(kid)

    async def refresh(self, now: datetime, max_age_s: float = JWKS_MAX_AGE_S) -> str:
        """Read them, unless they are young enough.

        Returns: why that failed; empty if they are there.
        """
        async with self._reading:  # all who need them wait for one attempt
            if self._read_at is not None and (now - self._read_at).total_seconds() < max_age_s:
                return ""
            if (datetime.now(UTC) - self._failed_at).total_seconds() >= JWKS_FAILED_FOR_S:
                self._problem = await self._read()
                self._failed_at = datetime.now(UTC)
            if not self._problem:
                self._read_at = now
            return self._problem

    async def _read(self) -> str:
        """Read them. Returns: why that failed; empty if it did not."""
        try:
            response = await self._http.get("/.well-known/jwks.json")
            response.raise_for_status()
            self._keys = keys_of_jwks(response.json())
        except (httpx.HTTPError, ValueError) as error:
            return f"the master's keys cannot be read: {str(error) or type(error).__name__}"
        return ""


class MasterClient:
    """Asks the master in the name of one world."""

    def __init__(self, http: httpx.AsyncClient, world: str, key: KeyPair) -> None:
        """`http` has the master's URL as its base."""
        self._http = http
        self._world = world
        self._key = key
        self.keys = MasterKeys(http)
        self._lanes = {name: asyncio.Semaphore(width) for name, width in LANES.items()}

    async def carry_out(self, calls: Sequence[Call]) -> list[Answered]:
        """Ask one question, or many saves as one batch; every call is answered."""
        if isinstance(calls[0].request, messages.Save):
            return await self._save(calls)
        call = calls[0]
        if isinstance(call.request, messages.Redeem):
            return [Answered(call.id, await self._redeem(call.request))]
        if isinstance(call.request, messages.Exchange):
            return [Answered(call.id, await self._exchange(call.request))]
        if isinstance(call.request, messages.Acquire):
            return [Answered(call.id, await self._acquire(call.request))]
        return [Answered(call.id, await self._ask(call.request))]

    async def _redeem(self, request: messages.Redeem) -> Answer:
        """Check a ticket here first: forged, expired and foreign ones never reach the master."""
        now = datetime.now(UTC)
        problem = await self.keys.refresh(now)
        reached = reach.answer(request.ticket, self.keys.get, self._key, world=self._world, now=now)
        if reached:  # the master itself, which looks whether it gets through to us
            return messages.Refusal("bad_ticket", reached)
        refused = self._check_ticket(request.ticket, now)
        if refused is not None and refused.code == "bad_ticket":
            # perhaps a key younger than our copy of the JWKS
            problem = await self.keys.refresh(now, JWKS_PAUSE_S) or problem
            refused = self._check_ticket(request.ticket, now)
        if refused is None:
            return await self._ask(request)
        return Unreachable(problem) if problem else refused

    def _check_ticket(self, ticket: str, now: datetime) -> messages.Refusal | None:
        try:
            check_ticket(ticket, self.keys.get, world=self._world, now=now, leeway_s=CLOCK_LEEWAY_S)
        except TicketRefused as error:
            return messages.Refusal(error.code, error.detail)
        return None

    async def _save(self, calls: Sequence[Call]) -> list[Answered]:
        saves = {call.id: call.request for call in calls if isinstance(call.request, messages.Save)}
        answer = await self._ask(messages.SaveBatch(saves=list(saves.values())))
        if not isinstance(answer, messages.SavedBatch):
            return [Answered(call.id, answer) for call in calls]
        outcomes = {result.op_id: result for result in answer.results}
        problem = await self.keys.refresh(datetime.now(UTC))
        answered = []
        for call_id, save in saves.items():
            saved = outcomes.get(save.op_id)
            if saved is None:
                answered.append(Answered(call_id, Unreachable("no answer to this write")))
                continue
            cause = problem or self._receipt_problem(save, saved)
            answered.append(Answered(call_id, Unreachable(cause) if cause else saved))
        return answered

    async def _exchange(self, request: messages.Exchange) -> Answer:
        """Ask for an exchange; one whose receipts do not all hold counts as unanswered."""
        answer = await self._ask(request)
        if not isinstance(answer, messages.Exchanged) or answer.refusal is not None:
            return answer
        problem = await self.keys.refresh(datetime.now(UTC))
        if len(answer.results) != len(request.writes):
            problem = problem or "not one answer for each write"
        for save, saved in zip(request.writes, answer.results, strict=False):
            is_refused = saved.refusal is not None
            problem = problem or (
                "refused in part" if is_refused else self._receipt_problem(save, saved, request.id)
            )
        return Unreachable(problem) if problem else answer

    async def _acquire(self, request: messages.Acquire) -> Answer:
        """Ask for a lease. A receipt of its head that does not hold is left out: it is good without.

        Without it the head counts as another world's, and what is played here as lost. So one that cannot be
        checked, since the master's keys cannot be read, is no answer: it will be asked again.
        """
        lease = await self._ask(request)
        if not isinstance(lease, messages.Lease) or not lease.receipt:
            return lease
        problem = await self.keys.refresh(datetime.now(UTC))
        fault = self._head_problem(lease)
        if fault:  # perhaps a key younger than our copy of the JWKS
            problem = await self.keys.refresh(datetime.now(UTC), JWKS_PAUSE_S) or problem
            fault = self._head_problem(lease)
        if not fault:
            return lease
        if problem:
            return Unreachable(problem)
        log.warning("receipt_of_a_lease_left_out", line=str(lease.line), version=lease.version, cause=fault)
        return msgspec.structs.replace(lease, receipt="")

    def _head_problem(self, lease: messages.Lease) -> str:
        """Return what is wrong with the receipt of a lease's head; empty if nothing is."""
        try:
            receipt = check_receipt(lease.receipt, self.keys.get)
        except BadToken as error:
            return f"the receipt does not hold: {error}"
        said = (receipt.world, receipt.line, receipt.version, receipt.chain, receipt.state_hash)
        head = (lease.line, lease.version, lease.chain, state_hash(encode_state(lease.state)))
        return "" if said == (self._world, *head) else "the receipt is for another version"

    def _receipt_problem(
        self, save: messages.Save, saved: messages.Saved, exchange: UUID | None = None
    ) -> str:
        """Return what is wrong with the receipt of an accepted write; empty if nothing is."""
        if saved.refusal is not None:
            return ""
        try:
            receipt = check_receipt(saved.receipt, self.keys.get)
        except BadToken as error:
            return f"the receipt does not hold: {error}"
        said = (receipt.line, receipt.epoch, receipt.version, receipt.chain)
        fork = saved.forked
        if fork is None:
            is_there = said == (save.line, save.epoch, saved.version, saved.chain)
        else:
            is_there = said == (fork.line, fork.epoch, fork.version, fork.chain)
        what = (receipt.world, receipt.op_id, receipt.state_hash, receipt.exchange)
        if not is_there or what != (self._world, save.op_id, state_hash(encode_state(save.state)), exchange):
            return "the receipt is for another write"
        return ""

    async def _ask(self, request: Request | messages.SaveBatch) -> Answer:
        verb, kind = ANSWERS[type(request)]
        path = f"/api/v1/uplink/{verb}/"
        body = messages.encoder.encode(request)
        lane = self._lanes["entries" if isinstance(request, ENTRIES) else "writes"]
        try:
            async with asyncio.timeout(LANE_WAIT_S):
                await lane.acquire()
        except TimeoutError:
            return Unreachable(f"{verb}: too much is being asked of the master at once")
        try:
            response = await self._http.post(path, content=body, headers=self._headers(path, body))
        except httpx.HTTPError as error:
            return Unreachable(str(error) or type(error).__name__)
        finally:
            lane.release()
        try:
            if response.is_success:
                return messages.decoders[kind].decode(response.content)
            if response.status_code < 500:
                return messages.decoders[messages.Refusal].decode(response.content)
        except UNREADABLE as error:
            log.error(
                "uplink_answer_not_understood", verb=verb, status=response.status_code, cause=str(error)
            )
            return Unreachable(
                f"{verb}: HTTP {response.status_code} with an answer of another shape: {error}"
            )
        return Unreachable(f"{verb}: HTTP {response.status_code}")

    def _headers(self, path: str, body: bytes) -> dict[str, str]:
        proof = sign_request(self._key, self._world, "POST", path, body, datetime.now(UTC))
        return {
            "Authorization": f"Bearer {proof}",
            "Content-Type": "application/json",
            "X-Request-ID": uuid4().hex,
        }


def new_http(master_url: str) -> httpx.AsyncClient:
    """Return a client with keep-alive and time-outs."""
    return httpx.AsyncClient(base_url=master_url, timeout=TIMEOUT, limits=LIMITS, follow_redirects=False)
