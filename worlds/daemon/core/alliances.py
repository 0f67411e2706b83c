"""Alliances: parties of up to six players of one world, wherever in it they are.

An alliance is its members' sessions, in the order they joined; the first leads. It lasts through handoffs and
lost links, ends for who logs out, and is dissolved when one is left. Nothing of it is durable. Clusters are
told who is grouped, so that members are shown to each other first; what they say of it rebuilds alliances
after a restart of the daemon.
"""

from uuid import UUID

from worlds.daemon.core import meeting
from worlds.daemon.core.session import PLAYABLE, Session
from worlds.daemon.core.state import Alliance, World
from zonecluster.protocol import bus
from zonecluster.protocol.from_client import AllianceAnswer, AllianceInvite, AllianceLeave
from zonecluster.protocol.to_client import (
    AllianceChanged,
    AllianceInvited,
    AllianceMember,
    Notice,
    Result,
)

MOST_MEMBERS = 6
GATHER_S = 60.0  # after a restart: so long one waits for the others


def on_message(w: World, s: Session, m: AllianceInvite | AllianceAnswer | AllianceLeave) -> None:
    """Do what a client asks for, and answer it."""
    if not meeting.is_here(s):
        meeting.refuse_absent(w, s, m.seq)
        return
    sweep(w)  # who has left since the last tick is in it no more
    match m:
        case AllianceInvite():
            fault, text = _invite(w, s, m.name), f"{m.name} was asked."
        case AllianceAnswer():
            fault, text = _answer(w, s, m.name, m.accept), "You have joined." if m.accept else "Declined."
        case AllianceLeave():
            fault, text = _leave(w, s), "You have left the alliance."
    w.to_link(s.link, Result(m.seq, not fault, fault or text))


# ---------------------------------------------------------------- what players do


def _invite(w: World, s: Session, name: str) -> str:
    """Invite somebody by name; returns why not, or nothing."""
    other = meeting.named(w, name)
    if other is None:
        return f"Nobody called {name} is in the world."
    if other is s:
        return "That is yourself."
    if other.alliance:
        same = other.alliance == s.alliance
        return f"{other.name} is in {'your' if same else 'another'} alliance."
    if fault := _why_not_more(w, s):
        return fault
    if fault := meeting.invite(w, w.invitations, s, other):
        return fault
    w.to_link(other.link, AllianceInvited(inviter=s.name, seconds=int(meeting.INVITATION_S)))
    return ""


def _answer(w: World, s: Session, name: str, is_accepted: bool) -> str:
    """Accept or decline the invitation of somebody by name; returns why not, or nothing."""
    other = meeting.inviter(w, w.invitations, s, name)
    if other is None:
        return f"There is no invitation of {name}, or not any more."
    if not is_accepted:
        meeting.decline(w.invitations, s, other)
        w.to_link(other.link, Notice(f"{s.name} does not want to join your alliance."))
        return ""
    if s.alliance:
        return "You are in an alliance: leave it first."
    if fault := _why_not_more(w, other):
        del w.invitations[(other.id, s.id)]
        return f"{other.name} cannot take you: {fault}"
    del w.invitations[(other.id, s.id)]
    if not other.alliance:
        _join(w, other, _new(w))
    _join(w, s, w.alliances[other.alliance])
    _tell_all(w, w.alliances[s.alliance])
    return ""


def _leave(w: World, s: Session) -> str:
    if not s.alliance:
        return "You are in no alliance."
    _remove(w, s.id, w.alliances[s.alliance])
    return ""


def _why_not_more(w: World, s: Session) -> str:
    """Return why a player may not bring anybody into an alliance, or nothing."""
    if not s.alliance:
        return ""
    alliance = w.alliances[s.alliance]
    if alliance.members[0] != s.id:
        return "Only the leader may invite."
    return f"An alliance has at most {MOST_MEMBERS} members." if len(alliance.members) >= MOST_MEMBERS else ""


# ---------------------------------------------------------------- members come and go


def sweep(w: World) -> None:
    """Let go of everybody who is leaving or gone; dissolve what only one is left of. Once a tick."""
    for alliance in list(w.alliances.values()):
        for member in list(alliance.members):
            is_member = member in alliance.members  # the last one may have been let go with the one before
            if is_member and not meeting.is_session_here(w, member):
                _remove(w, member, alliance)
        if len(alliance.members) == 1 and w.now >= alliance.alone_until:
            _remove(w, alliance.members[0], alliance)


def rejoin(w: World, s: Session, number: int) -> None:
    """After a restart of the daemon: be in the alliance that the cluster remembers; the first one leads."""
    if number:
        alliance = w.alliances.setdefault(number, Alliance(number, [], w.now + GATHER_S))
        if len(alliance.members) < MOST_MEMBERS and s.id not in alliance.members:
            _join(w, s, alliance)
            _tell_all(w, alliance)
            return
    tell(w, s)


def _new(w: World) -> Alliance:
    """Make an alliance under a random number: a restarted daemon does not know which were given out."""
    number = 0
    while number == 0 or number in w.alliances:
        number = w.rng.getrandbits(32)
    alliance = w.alliances[number] = Alliance(number, [])
    return alliance


def _join(w: World, s: Session, alliance: Alliance) -> None:
    alliance.members.append(s.id)
    s.alliance = alliance.number
    order(w, s)


def _remove(w: World, member: UUID, alliance: Alliance) -> None:
    """Take a member out; the next one leads, if it led. One alone is no alliance."""
    alliance.members.remove(member)
    s = w.find(member)
    if s is not None:
        s.alliance = 0
        order(w, s)
        tell(w, s)
    if len(alliance.members) == 1 and w.now >= alliance.alone_until:
        _remove(w, alliance.members[0], alliance)
    elif alliance.members:
        _tell_all(w, alliance)
    else:
        w.alliances.pop(alliance.number, None)


# ---------------------------------------------------------------- who is told


def order(w: World, s: Session) -> None:
    """Tell the cluster which group the player is in; Residents show whether it has heard."""
    if s.home is not None:
        w.to_cluster(s.here.cluster, bus.Grouped(session=s.id, group=s.alliance))


def compare(w: World, s: Session, resident: bus.Resident) -> None:
    """Say it again to a cluster that has it otherwise."""
    if s.phase in PLAYABLE and resident.group != s.alliance:
        order(w, s)


def tell(w: World, s: Session) -> None:
    """Tell a client its alliance, or that it has none."""
    alliance = w.alliances.get(s.alliance)
    found = [w.find(member) for member in alliance.members] if alliance else []
    members = [each for each in found if each is not None and meeting.is_here(each)]
    w.to_link(
        s.link,
        AllianceChanged(
            leader=members[0].name if members else "",
            members=[AllianceMember(each.chosen, each.name) for each in members],
        ),
    )


def _tell_all(w: World, alliance: Alliance) -> None:
    for s in map(w.find, alliance.members):
        if s is not None:
            tell(w, s)
