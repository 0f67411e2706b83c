"""The way from a prompt into a world: log in or register, pick a world, pick or make a character."""

import getpass
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from waystone_client.errors import MasterError, WaystoneError
from waystone_client.rest import Character, Master, World
from zonecluster.protocol.to_client import Queued

T = TypeVar("T")
SECOND_STEP = ("code_needed", "wrong_code")  # what the master says of a password that is right
CODE_ATTEMPTS = 3


@dataclass(frozen=True)
class Wishes:
    """What was given on the command line; what is missing is asked for."""

    email: str = ""
    password: str = ""
    world: str = ""
    character: str = ""
    is_new: bool = False  # register rather than log in


def place_in_words(queued: Queued) -> str:
    """Return what somebody in the queue of a full world is told."""
    before = "you are next" if not queued.ahead else f"{queued.ahead} before you"
    return f"The world is full. Your place in its queue: {queued.place} ({before}); {_estimate(queued)}."


def _estimate(queued: Queued) -> str:
    if queued.estimate_s is None:
        return "how long it takes is not known yet"
    if queued.estimate_s < 90:
        return f"about {queued.estimate_s:.0f} s"
    return f"about {queued.estimate_s / 60:.0f} minutes"


def ask(question: str) -> str:
    """Ask the person for a line. Raises: WaystoneError: there is nobody to ask."""
    sys.stdout.write(question)
    sys.stdout.flush()
    answer = sys.stdin.readline()
    if not answer:
        raise WaystoneError("no_answer", "The input ended before everything was known.")
    return answer.strip()


def ask_secret(question: str) -> str:
    """Ask for a line that is not shown."""
    return getpass.getpass(question) if sys.stdin.isatty() else ask(question)


async def come_in(master: Master, wishes: Wishes, say: Callable[[str], None]) -> tuple[World, str]:
    """Log in and choose; returns the world and the name of the character.

    Raises: MasterError: refused. WaystoneError: a wish that cannot be met, or the input ended.
    """
    await _log_in(master, wishes, say)
    world = await _choose_world(master, wishes.world, say)
    character = await _choose_character(master, wishes.character, say)
    return world, character


async def _log_in(master: Master, wishes: Wishes, say: Callable[[str], None]) -> None:
    is_new = wishes.is_new
    if not wishes.email:
        is_new = is_new or ask("Have you an account here? [Y/n] ").lower().startswith("n")
    for attempts_left in (2, 1, 0):
        email = wishes.email or ask("E-mail: ")
        password = wishes.password or ask_secret("Password: ")
        try:
            if is_new:
                await master.register(email, password)
                say("Registered.")
                is_new = False
            await _prove(master, email, password, say)
        except MasterError as error:
            is_final = error.status not in (400, 401) or error.code in SECOND_STEP
            if is_final or not attempts_left or (wishes.email and wishes.password):
                raise
            say(str(error))
        else:
            return


async def _prove(master: Master, email: str, password: str, say: Callable[[str], None]) -> None:
    """Log in; where the account has a second step, ask for its code, some times."""
    code = ""
    for attempts_left in range(CODE_ATTEMPTS, -1, -1):
        try:
            await master.log_in(email, password, code)
        except MasterError as error:
            if error.code not in SECOND_STEP or not attempts_left:
                raise
            say("This account has a second step." if error.code == "code_needed" else str(error))
            code = ask("Code (of your app, or a recovery code): ")
        else:
            return


async def _choose_world(master: Master, wanted: str, say: Callable[[str], None]) -> World:
    if wanted:
        return await master.world(wanted)
    worlds = (await master.worlds(online="true")).results
    if not worlds:
        raise WaystoneError("no_world", "No world is online just now.", "Try again in a minute.")
    if len(worlds) == 1:
        return worlds[0]
    return _pick("World", worlds, lambda w: f"{w.name} ({w.slug}): {_state(w)}. {w.tagline}", say)


def _state(world: World) -> str:
    if world.maintenance is not None:
        return f"lets nobody in ({world.maintenance.rstrip('.')})"
    return f"{world.players} in play" + (", full" if world.players >= world.max_players else "")


async def _choose_character(master: Master, wanted: str, say: Callable[[str], None]) -> str:
    found = await master.characters()
    names = {character.name.casefold(): character.name for character in found.characters}
    if wanted:
        if wanted.casefold() not in names:
            return (await master.create_character(wanted)).name
        return names[wanted.casefold()]
    playable = [character for character in found.characters if not character.is_locked]
    if playable and not found.free_slots:
        return _pick("Character", playable, _describe, say).name
    if playable:
        say("Your characters: " + ", ".join(character.name for character in playable))
        name = ask(f"Play whom? A name, a new one to make another [{playable[0].name}]: ") or playable[0].name
    else:
        name = ask("You have no character yet. What shall it be called? ")
    while name.casefold() not in names:
        try:
            return (await master.create_character(name)).name
        except MasterError as error:
            if error.status not in (400, 409):
                raise
            say(str(error))
            name = ask("Another name: ")
    return names[name.casefold()]


def _describe(character: Character) -> str:
    return f"{character.name}, level {character.level}"


def _pick(what: str, choices: Sequence[T], describe: Callable[[T], str], say: Callable[[str], None]) -> T:
    for number, choice in enumerate(choices, 1):
        say(f"  {number}  {describe(choice)}")
    while True:
        answer = ask(f"{what} [1]: ") or "1"
        if answer.isdigit() and 1 <= int(answer) <= len(choices):
            return choices[int(answer) - 1]
        say(f"A number from 1 to {len(choices)}, please.")
