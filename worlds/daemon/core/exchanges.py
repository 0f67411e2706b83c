"""Hold, save, commit, settle: how goods go from one document to another (docs/adr/0010-exchange.md).

One machine for trades, gifts and letters: of two sessions, of one, or of none (a letter in which nothing
lies). Whoever begins an exchange is told its outcome once. Until the master is asked, any fault ends it and
nothing has changed; from then on only the master's answer ends it. Not here: who may trade what with whom.
"""

from collections.abc import Callable
from uuid import UUID

from worlds.daemon.core import departure, standing, withholding
from worlds.daemon.core.commerce import Exchange, Part, Step, Verdict
from worlds.daemon.core.effects import StoreExchange, StoreReceipt
from worlds.daemon.core.events import Unreachable
from worlds.daemon.core.saving import ANSWER_TIMEOUT_S, InvalidState, Offer, Outcome, backoff
from worlds.daemon.core.session import PLAYABLE, Phase, Session
from worlds.daemon.core.state import REPEAT_S, World
from worlds.uplink import messages as uplink
from zonecluster.protocol import bus
from zonecluster.protocol.character import CharacterState
from zonecluster.rules.exchange import without_and_with
from zonecluster.rules.items import NotPossible

P = Phase
GATHER_S = 8.0  # to hold and save both; one save may take the master some seconds
UNANSWERED_S = 60.0  # of faults of this one request, while the master answers others; then it is given up
FENCES = 3  # then the line is another's, whatever the master says of the exchange

LATER = frozenset({"master_fault", "bad_proof"})  # faults of the master, or of our proof: asked again
# An exchange refused with one of these can never be accepted. With another it could: had an earlier attempt,
# or a copy of this one, stayed on its way for a minute, it might arrive when there is room in the mailbox.
FINAL = frozenset({"stale", "bad_chain", "op_id_reused", "invalid_state", "not_conserved", "bad_request"})
LOST = frozenset({"stale", "bad_chain", "op_id_reused"})

NO_ANSWER = "It could not be written down in time, so nothing has changed hands. Try again."
UNKNOWN_OUTCOME = "The platform did not answer in time: perhaps it was written down, perhaps not."
NOT_KNOWN = Verdict(False, "untouchable", UNKNOWN_OUTCOME, is_known=False)
UNHANDLED = "Something in the character's document cannot be handled here. The world's operator can see it."
TOO_LARGE = "There is too much in the character's document."
MASTER_AWAY = "The platform does not answer at the moment: no trade and no mail until it does."
BUSY = "{} is on the way to another place, or just has a trade written down. Try again in a moment."


def why_not(w: World, s: Session) -> tuple[str, str] | None:
    """Return why a session can be in no exchange now, as code and text; None if it can."""
    if not w.is_master_up:
        return "master_away", MASTER_AWAY
    if s.is_withheld:
        return "withheld", f"{s.name} cannot be saved at the moment."
    is_busy = s.exchange is not None or s.is_unsettled
    if is_busy or s.phase is not P.PLAYING or s.leave is not None or s.home is None or w.is_stopping:
        return "untouchable", BUSY.format(s.name)
    return None


def begin(
    w: World,
    kind: uplink.SaveKind,
    parts: list[Part],
    on_end: Callable[[World, Verdict], None],
    *,
    post: uplink.Letter | None = None,
    take: uplink.Taking | None = None,
) -> None:
    """Begin an exchange of sessions that `why_not` says nothing against. `on_end` is called once, later."""
    x = Exchange(w.new_id(), kind, parts, on_end, w.now + GATHER_S, post, take)
    w.exchanges[x.id] = x
    for part in parts:
        s = w.sessions[part.session]
        s.exchange, part.stay, part.order = x.id, s.here.order, w.new_order()
        part.name = s.name
    _advance(w, x)


def step(w: World) -> None:
    """Go on with every exchange that can. After each event."""
    for x in list(w.exchanges.values()):
        _advance(w, x)


def _advance(w: World, x: Exchange) -> None:
    match x.step:
        case Step.GATHERING:
            _gather(w, x)
        case Step.ASKING:
            _ask(w, x)
        case Step.FENCING:
            _fence(w, x)


# ---------------------------------------------------------------- hold and save


def _gather(w: World, x: Exchange) -> None:
    fault = _fault(w, x)
    if fault is not None:
        _end(w, x, fault)
        return
    if w.now >= x.repeat_at:
        x.repeat_at = w.now + REPEAT_S
        for part in x.parts:
            if part.held is None:
                s = w.sessions[part.session]
                w.to_cluster(s.here.cluster, bus.Hold(s.id, x.id, part.stay, part.order))
    if all(part.held is not None and w.sessions[part.session].head.is_idle for part in x.parts):
        _commit(w, x)


def _fault(w: World, x: Exchange) -> Verdict | None:
    """Return why an exchange cannot go on, if it cannot; until the master is asked nothing has changed."""
    for part in x.parts:
        s = w.find(part.session)
        if s is None or s.leave is not None:
            return Verdict(False, "called_off", f"{part.name} has left.", part.session)
        if s.phase is not P.PLAYING or s.home is None or s.here.order != part.stay or s.writer is None:
            return Verdict(False, "untouchable", BUSY.format(part.name), part.session)
    if not w.is_master_up:
        return Verdict(False, "master_away", MASTER_AWAY)
    return Verdict(False, "untouchable", NO_ANSWER) if w.now >= x.deadline or w.is_stopping else None


def on_held(w: World, m: bus.Held) -> None:
    """A cluster holds a player and tells the document: save it, if the head has another."""
    s = w.sessions.get(m.session)
    x = w.exchanges.get(m.exchange)
    if s is None or x is None or s.exchange != m.exchange or x.step is not Step.GATHERING:
        return
    part = next(part for part in x.parts if part.session == s.id)
    is_home = s.phase is P.PLAYING and s.home is not None and s.here.cluster == m.cluster
    if part.held is not None or not is_home or m.stay != part.stay or s.here.order != m.stay:
        return
    if m.serial <= s.serial or departure.is_outdated(w, s, m.after, "held"):
        return
    part.held, s.serial = m.state, m.serial  # no act of the player: what a death has taken stays a gap
    if s.head.is_idle and departure.is_same(w, s.head.state, m.state):
        w.to_cluster(m.cluster, bus.Saved(session=s.id, serial=m.serial, stay=m.stay))
    elif departure.offer(w, s, "periodic", m.state, m.serial) is None:
        _end(w, x, Verdict(False, "untouchable", TOO_LARGE, s.id))


def is_held(w: World, s: Session) -> bool:
    """Whether the session's document has been told for an exchange: what else comes of it says the same."""
    x = w.exchanges.get(s.exchange) if s.exchange is not None else None
    return x is not None and any(part.session == s.id and part.held is not None for part in x.parts)


# ---------------------------------------------------------------- commit


def _commit(w: World, x: Exchange) -> None:
    """Ask the master for the writes of all, from their heads."""
    saves = []
    for part in x.parts:
        s = w.sessions[part.session]
        if part.held is None or not departure.is_same(w, s.head.state, part.held):
            _end(w, x, Verdict(False, "untouchable", NO_ANSWER, s.id))  # what was held was not accepted
            return
        try:
            state = without_and_with(s.head.state, part.given, part.got, w.catalog.kinds)
            saves.append(s.head.begin_exchange(Offer(w.new_id(), x.kind, state)))
        except NotPossible as error:
            _end(w, x, Verdict(False, error.why, str(error), s.id, is_public=False))
            return
        except InvalidState:
            _end(w, x, Verdict(False, "bag_full", TOO_LARGE, s.id, is_public=False))
            return
        except Exception as error:  # noqa: BLE001  (of this one document: the next event would meet it again)
            character, cause = str(s.character), f"{type(error).__name__}: {error}"
            w.log("exchange_rules_raised", "error", session=str(s.id), character=character, cause=cause)
            _end(w, x, Verdict(False, "untouchable", UNHANDLED, s.id, is_public=False))
            return
    x.request = uplink.Exchange(id=x.id, writes=saves, post=x.post, take=x.take)
    x.step, x.retry_at = Step.ASKING, w.now
    _ask(w, x)


def _ask(w: World, x: Exchange) -> None:
    if x.call is not None and w.now - x.called_at > ANSWER_TIMEOUT_S:
        x.call, x.retry_at = None, w.now
    if x.request is None or x.call is not None or x.retry_at is None or w.now < x.retry_at:
        return
    x.called_at, x.retry_at = w.now, None
    x.call = w.call(None, x.request)
    w.exchange_calls[x.call] = x.id


def on_answer(w: World, call: UUID, answer: uplink.Exchanged | uplink.Refusal | Unreachable) -> None:
    """The master answered, or did not. Any attempt's yes counts, the newest one's no."""
    x = w.exchanges.get(w.exchange_calls.pop(call))
    if x is None or x.step is not Step.ASKING or x.request is None:
        return
    refusal = answer.refusal if isinstance(answer, uplink.Exchanged) else answer
    if isinstance(answer, uplink.Exchanged) and refusal is None:
        _accepted(w, x, x.request, answer.results)
    elif call != x.call:
        return
    elif isinstance(refusal, uplink.Refusal) and refusal.code not in LATER:
        line = answer.line if isinstance(answer, uplink.Exchanged) else None
        _refused(w, x, refusal, line)
    else:
        _ask_later(w, x, refusal)


def _ask_later(w: World, x: Exchange, answer: uplink.Refusal | Unreachable | None) -> None:
    x.failures += 1
    x.call, x.retry_at = None, w.now + backoff(x.failures, w.rng)
    for s in _sessions(w, x):
        if isinstance(answer, uplink.Refusal):
            withholding.refused(w, s)
            w.log("exchange_refused", "error", session=str(s.id), code=answer.code, cause=answer.detail)
        else:
            withholding.unreachable(s)
    if not w.is_master_up:
        x.failing_since = None
    elif x.failing_since is None:
        x.failing_since = w.now
    elif w.now - x.failing_since >= UNANSWERED_S:
        _give_up(w, x)


def _give_up(w: World, x: Exchange) -> None:
    """The master answers others, and this never: nobody is held for that without end."""
    w.log("exchange_given_up", "error", exchange=str(x.id), attempts=x.failures)
    x.failing_since = x.retry_at = None
    if not x.parts:  # a letter in which nothing lies: there is no line that could be fenced
        _end(w, x, NOT_KNOWN)
        return
    x.verdict = Verdict(False, "untouchable", NO_ANSWER)
    x.step = Step.FENCING
    _fence(w, x)


def _accepted(w: World, x: Exchange, request: uplink.Exchange, results: list[uplink.Saved]) -> None:
    """All of it is accepted: every head moves, and its document knows this exchange."""
    if [result.op_id for result in results] != [save.op_id for save in request.writes]:
        w.log("exchange_answer_not_understood", "error", exchange=str(x.id))
        results = []
    receipts = []
    lost = []
    for part, save, result in zip(x.parts, request.writes, results, strict=False):
        receipts.append(
            StoreReceipt(save.line, result.version, result.op_id, result.receipt, save.state, save.kind)
        )
        s = w.find(part.session)
        if s is None or s.writer is None or s.head.exchange is None or s.head.exchange.save is not save:
            continue
        if s.head.exchanged(result, x.id) is not Outcome.ACCEPTED:
            lost.append(s)
            continue
        s.saved_place, s.refused_since = save.state.places.get(w.catalog.world), None
        standing.note_fork(w, s, result.forked)
    if receipts:
        w.emit(StoreExchange(tuple(receipts)))
    is_understood = len(results) == len(request.writes)
    if not is_understood:
        lost = _sessions(w, x)
    _end(w, x, Verdict(is_done=is_understood, code="" if is_understood else "refused"))
    for s in lost:
        w.log("exchange_lost", "error", session=str(s.id), character=str(s.character))
        departure.drop(w, s, departure.STALE)


def _refused(w: World, x: Exchange, refusal: uplink.Refusal, line: UUID | None) -> None:
    """The master will not have it."""
    w.log("exchange_refused", "warning", exchange=str(x.id), code=refusal.code, cause=refusal.detail)
    losers = [s for s in _sessions(w, x) if s.head.line == line and refusal.code in LOST]
    whose = next((s.id for s in _sessions(w, x) if s.head.line == line), None)
    x.verdict = Verdict(False, refusal.code, refusal.detail, whose, is_masters=True)
    x.call = None
    if refusal.code == "world_suspended":
        losers = _sessions(w, x)
    elif refusal.code not in FINAL and x.parts:
        x.step = Step.FENCING
        _fence(w, x)
        return
    _end(w, x, x.verdict)
    for s in losers:
        is_suspended = refusal.code == "world_suspended"
        departure.drop(w, s, departure.SUSPENDED if is_suspended else departure.STALE)


# ---------------------------------------------------------------- fence


def _fence(w: World, x: Exchange) -> None:
    """Write one of the lines once, as it is: from then on every attempt at this exchange is stale."""
    s = w.find(x.fence)
    if s is not None and s.writer is not None:
        if s.head.is_idle:
            _end(w, x, x.verdict)
        return
    found = _sessions(w, x)
    if not found:
        _end(w, x, NOT_KNOWN)  # nobody is left who could write the fence
        return
    x.fence = found[0].id
    x.fences += 1
    found[0].head.void_exchange()
    departure.offer(w, found[0], "periodic", found[0].head.state)


def on_lost(w: World, s: Session) -> bool:
    """A write was refused since the head has moved. If it was a fence, an earlier attempt may have moved it.

    Returns: whether that is so: then the master is asked again, which says the same as that attempt was told.
    """
    x = w.exchanges.get(s.exchange) if s.exchange is not None else None
    if x is None or x.step is not Step.FENCING or x.fence != s.id or x.fences >= FENCES or x.request is None:
        return False
    save = next(save for save in x.request.writes if save.line == s.head.line)
    s.head.resume_exchange(save)
    x.fence, x.step, x.retry_at = None, Step.ASKING, w.now
    return True


# ---------------------------------------------------------------- settle


def _end(w: World, x: Exchange, verdict: Verdict) -> None:
    """The outcome is known: let all go on, and tell whoever began it."""
    del w.exchanges[x.id]
    for part in x.parts:
        s = w.find(part.session)
        if s is None or s.writer is None or s.exchange != x.id:
            continue
        s.exchange = None
        s.head.void_exchange()
        s.is_unsettled = s.home is not None  # also of who is just leaving, and may yet come back
        if s.phase in PLAYABLE and s.home is not None:
            is_known = part.held is not None and not verdict.is_done
            settle(w, s, None if is_known else s.head.newest)
        elif s.phase in (P.SAVING_OUT, P.KEEPING):
            departure.save_last(w, s)
    x.on_end(w, verdict)


def settle(w: World, s: Session, state: CharacterState | None) -> None:
    """Tell the cluster how it ended: with the document from now on, or None if that is what it was.

    None only if the cluster has shown that it knows the head's exchange: an older document would go free.
    """
    s.is_unsettled = True
    order, line = w.new_order(), s.line_kind
    message = bus.Settle(s.id, s.here.order, s.head.after, state, order=order, line=line)
    w.to_cluster(s.here.cluster, message)


def on_settled(w: World, m: bus.Settled) -> None:
    """A cluster has heard how it ended: the next one may begin."""
    s = w.sessions.get(m.session)
    if s is None or s.phase not in PLAYABLE or s.home is None or s.exchange is not None:
        return
    if (s.here.cluster, s.here.order, s.head.after) == (m.cluster, m.stay, m.after):
        s.is_unsettled = False


def settle_again(w: World, s: Session) -> None:
    """The player goes on where it was: an exchange that ended meanwhile was not told there."""
    if s.is_unsettled and s.exchange is None and s.home is not None:
        settle(w, s, s.head.newest)


def compare(w: World, s: Session, resident: bus.Resident) -> None:
    """Say it again to a cluster that has not heard, or whose document knows another exchange."""
    if s.phase not in PLAYABLE or s.exchange is not None:
        return
    if resident.after != s.head.after:
        settle(w, s, s.head.newest)
    elif resident.held is not None:
        settle(w, s, None)
    else:
        s.is_unsettled = False


def _sessions(w: World, x: Exchange) -> list[Session]:
    """Return the sessions that are in an exchange and still may write."""
    found = [w.find(part.session) for part in x.parts]
    return [s for s in found if s is not None and s.writer is not None and s.exchange == x.id]
