"""The last part of a restart: the gateways, and then the daemon itself. Neither puts anybody out."""

from worlds.daemon.core import supervision
from worlds.daemon.core.restart_record import finish, note, which_daemon
from worlds.daemon.core.restart_work import Work
from worlds.daemon.core.state import World

LINKS_S = 5.0  # for clients to come back by a new gateway
PROCESS_S = 60.0
SAID_S = 1.0
PROCESSES = ("gateway", "worlddaemon")  # the daemon last: it does not see its own end


def restart_processes(w: World, work: Work) -> None:
    """One after the other; the row says so before the daemon goes, and the next daemon ends it."""
    if not work.asked:
        if w.now - work.since < SAID_S:
            return  # what was said is still on its way through the gateways
        note(w, work, "processes", run=which_daemon(w))
        work.asked = PROCESSES[0]
        work.gateways = {name: gateway.incarnation for name, gateway in w.gateways.items()}
        is_asked = supervision.restart_process(w, work.asked)
    elif work.asked == PROCESSES[0] and supervision.is_process_restarted(w, work.asked):
        if _waits_for_links(w, work):
            return  # a Welcome on its way would be lost with this daemon
        work.asked, work.since = PROCESSES[1], w.now
        is_asked = supervision.restart_process(w, work.asked)
    else:
        is_asked = w.now - work.since <= PROCESS_S
    if not is_asked:
        text = f"{work.asked} was not restarted: no `manage.py up` does it here. Restart it by hand."
        note(w, work, "note", name=work.asked, text=text)
        finish(w, work)


def _waits_for_links(w: World, work: Work) -> bool:
    """Whether clients are still to come back by the new gateways."""
    if work.back_at is None:
        work.back_at = w.now
    is_old_known = any(each.incarnation == work.gateways.get(name) for name, each in w.gateways.items())
    is_somebody_away = any(s.link is None for s in w.sessions.values() if s.can_come_back)
    return (is_old_known or is_somebody_away) and w.now - work.back_at < LINKS_S
