"""How far a world's set-up is, and what to do where it does not go on. Pure: plain values and the clock."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

CODE_FOR = timedelta(hours=24)  # to read the page, get a machine, and paste the line
LOOK_AGAIN = timedelta(seconds=10)  # after a look in vain, while somebody sits and waits for it
LOOK_SELDOM = timedelta(minutes=10)  # after many: nobody waits any more, or it is an address of somebody else
PATIENT_LOOKS = 30
LOOK_DAILY = timedelta(hours=24)  # once all is well
MAX_DOORS = 4  # zone clusters that are tried


class StepState(StrEnum):
    """What a step looks like."""

    DONE = "done"
    NOW = "now"  # it is being waited for
    FAILED = "failed"
    LATER = ""  # something before it is missing


@dataclass(frozen=True)
class Step:
    """One line of the set-up page: what it is, how it stands, what was seen, and what to do."""

    title: str
    state: StepState
    text: str
    advice: tuple[str, ...] = ()


@dataclass(frozen=True)
class Facts:
    """What the master knows of a world's set-up. Instants are None where it has not happened."""

    called_at: datetime | None
    call_fault: str
    has_key: bool
    is_online: bool  # a report has come lately
    last_report_at: datetime | None
    gateway_url: str
    gateway_at: datetime | None
    gateway_fault: str
    udp_at: datetime | None
    udp_fault: str
    udp_addresses: str
    zone_at: datetime | None
    master_url: str
    now: datetime


def steps(facts: Facts) -> list[Step]:
    """Return the five steps in their order."""
    makers = (_dialled, _proven, _gateway, _udp, _zone)
    found: list[Step] = []
    is_open = True
    for make in makers:
        step = make(facts) if is_open else Step(make(facts).title, StepState.LATER, "")
        if not is_open and (done := make(facts)).state is StepState.DONE:
            step = done
        is_open = is_open and step.state is StepState.DONE
        found.append(step)
    return found


def is_done(found: list[Step]) -> bool:
    """Return whether all steps have succeeded."""
    return all(step.state is StepState.DONE for step in found)


def _dialled(facts: Facts) -> Step:
    title = "Your machine has called us"
    if facts.called_at is not None or facts.last_report_at is not None:
        return Step(
            title, StepState.DONE, "It found its way here by itself; you need to open no port for this."
        )
    advice = (
        "Run the command above on your machine, in the folder of Waystone. The first start takes some "
        "minutes: it fetches what it needs.",
        f"Does the machine reach {facts.master_url}? Open that address there, or try it with curl.",
    )
    return Step(title, StepState.NOW, "Waiting for the command above to be run.", advice)


def _proven(facts: Facts) -> Step:
    title = "It has proven its key"
    if facts.has_key and facts.last_report_at is not None:
        if facts.is_online:
            return Step(title, StepState.DONE, "The key was made there and has never left the machine.")
        return Step(
            title,
            StepState.FAILED,
            "It had, but nothing has come from the world since.",
            (
                "Is it still running? Start it again with the last line below.",
                "Was its key revoked, or its folder lost? Make a new key on the page Keys.",
            ),
        )
    if facts.call_fault:
        advice = (
            "Run the command as it stands above now: a code is good for one machine, for 24 hours.",
            "Is the machine's clock right? It may be off by half a minute at most.",
        )
        return Step(title, StepState.FAILED, facts.call_fault, advice)
    if facts.has_key:
        patience = (
            "It starts its database and its zones now. Watch its terminal: it names what it waits for.",
        )
        return Step(title, StepState.NOW, "The key is known. Waiting for the world to start.", patience)
    return Step(title, StepState.NOW, "Waiting for it.")


def _gateway(facts: Facts) -> Step:
    title = "Its gateway can be reached"
    if facts.gateway_at is not None and not facts.gateway_fault:
        return Step(title, StepState.DONE, f"Players come in at {facts.gateway_url}.")
    if facts.gateway_fault:
        advice = (
            f"Let TCP through to it: in the firewall, and in the router if there is one "
            f"({facts.gateway_url}).",
            "Is the address wrong? Set WAYSTONE_PUBLIC_ADDRESS in the world's waystone.env to the one that "
            "players use, and start it again.",
        )
        return Step(title, StepState.FAILED, facts.gateway_fault, advice)
    return Step(title, StepState.NOW, f"We are calling {facts.gateway_url}.")


def _udp(facts: Facts) -> Step:
    title = "Its zones can be reached (UDP)"
    if facts.udp_at is not None and not facts.udp_fault:
        return Step(title, StepState.DONE, f"A zone cluster answered at {facts.udp_addresses}.")
    if facts.udp_fault:
        advice = (
            f"Let UDP through to {facts.udp_addresses or 'the zone clusters'}: UDP needs a rule of its own.",
            "Some hosters block UDP until one asks for it.",
        )
        return Step(title, StepState.FAILED, facts.udp_fault, advice)
    return Step(title, StepState.NOW, "We are waiting for its zone clusters to start, and then call them.")


def _zone(facts: Facts) -> Step:
    title = "The first zone is up"
    if facts.zone_at is not None and facts.is_online:
        return Step(
            title, StepState.DONE, "Somebody can walk there. Zones open and close as players come and go."
        )
    advice = ("Look at the world's own terminal: it names the log of what does not start.",)
    return Step(title, StepState.NOW, "Waiting for a zone to open.", advice)


def next_look(*, is_well: bool, looks: int, now: datetime) -> datetime:
    """Return when to look at gateway and UDP again. Args: looks: in vain, one after the other."""
    if is_well:
        return now + LOOK_DAILY
    return now + (LOOK_AGAIN if looks < PATIENT_LOOKS else LOOK_SELDOM)
