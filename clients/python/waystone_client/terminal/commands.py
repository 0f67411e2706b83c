"""What a person types, understood. Pure: a line in, an Order or a hint out."""

import math
from dataclasses import dataclass

from waystone_client.terminal import bargains
from waystone_client.terminal.bargains import Bargain, NotUnderstood, Post, Present, Write, parse_bargain

STEP_M = 6.0  # how far `n` walks
MAX_STEP_M = 500.0
MAX_SPELL = 64  # letters of a spell that a world takes
_DIAGONAL = math.sqrt(0.5)
DIRECTIONS = {
    "n": (0.0, 1.0),
    "ne": (_DIAGONAL, _DIAGONAL),
    "e": (1.0, 0.0),
    "se": (_DIAGONAL, -_DIAGONAL),
    "s": (0.0, -1.0),
    "sw": (-_DIAGONAL, -_DIAGONAL),
    "w": (-1.0, 0.0),
    "nw": (-_DIAGONAL, _DIAGONAL),
}
LONG_DIRECTIONS = {
    "north": "n",
    "northeast": "ne",
    "east": "e",
    "southeast": "se",
    "south": "s",
    "southwest": "sw",
    "west": "w",
    "northwest": "nw",
}
HELP = f"""\
n, s, e, w, ne, nw, se, sw [metres]   walk that way (6 m if you do not say how far)
walk to X Y       walk to a point          walk to NAME   walk to somebody you see
go EXIT           walk to an exit and through it (walk to EXIT is the same)
stop              stand still              look           describe the place
select NAME       choose whom spells go to (select alone: nobody)
cast SPELL        cast a spell    cast SPELL on NAME    (cast alone names the spells)
say TEXT          speak (or just: 'TEXT)   who            who is in view
inventory         what you have, and your coins
wares             what the vendor beside you sells and buys
buy [3] THING     sell [3] THING           to and from the vendor beside you
loot              take what is in the chest beside you
take [THING]      pick up what lies beside you      drop [3] THING   lay it down
equip THING       put it on                unequip THING, or SLOT    take it off
deposit [3] THING into your bank           withdraw [3] THING        out of it
invite NAME       into your alliance       accept NAME, decline NAME
leave             your alliance
{bargains.HELP}
exits             the ways out             where          where you are
map               draw the surroundings    time           what time it is here, and the weather
help              this
quit              log out: saved, then good night"""


@dataclass(frozen=True)
class Step:
    """Walk by so many metres. dx east, dy north."""

    dx: float
    dy: float


@dataclass(frozen=True)
class WalkTo:
    """Walk to a point, in metres."""

    x: float
    y: float


@dataclass(frozen=True)
class GoTo:
    """Walk to something that has a name: an exit (and through it), or somebody in view."""

    name: str


@dataclass(frozen=True)
class Speak:
    """Say this."""

    text: str


@dataclass(frozen=True)
class Choose:
    """Select somebody in view by name; empty: nobody."""

    name: str


@dataclass(frozen=True)
class CastSpell:
    """Cast a spell, on somebody in view by name; empty: whom the spell goes to by itself."""

    spell: str
    on: str


@dataclass(frozen=True)
class Handle:
    """Do something with things: a verb of HANDLING, so many of what has that name (empty: the nearest)."""

    verb: str
    what: str
    count: int = 1


@dataclass(frozen=True)
class Ally:
    """Invite somebody into the alliance, accept or decline an invitation, or leave."""

    verb: str
    name: str


@dataclass(frozen=True)
class Plain:
    """A word that stands for itself: stop, look, who, exits, where, map, time, inventory, help, quit."""

    word: str


@dataclass(frozen=True)
class Hint:
    """Not understood; tell the person this."""

    text: str


Order = (
    Step
    | WalkTo
    | GoTo
    | Speak
    | Choose
    | CastSpell
    | Handle
    | Ally
    | Plain
    | Hint
    | Bargain
    | Present
    | Post
    | Write
)
HANDLING = {
    **{word: word for word in ("take", "loot", "wares", "drop", "buy", "sell", "equip", "unequip")},
    **{word: word for word in ("deposit", "withdraw")},
    "get": "take",
    "open": "loot",
    "wear": "equip",
}
NEEDS_NOTHING = ("take", "loot", "wares")  # without a name: the nearest
ALLYING = ("invite", "accept", "decline")
MAX_COUNT = 1_000_000  # of things that a world takes
WORDS = {
    "inventory": "inventory",
    "inv": "inventory",
    "i": "inventory",
    "stop": "stop",
    "look": "look",
    "l": "look",
    "who": "who",
    "exits": "exits",
    "zone": "look",
    "where": "where",
    "map": "map",
    "time": "time",
    "weather": "time",
    "help": "help",
    "?": "help",
    "quit": "quit",
    "exit": "quit",
    "logout": "quit",
}


def parse(line: str) -> Order | None:
    """Understand one line; None for an empty one."""
    line = line.strip().removeprefix("/").strip()
    if not line:
        return None
    if line[0] in "'\"":
        return _speech(line[1:])
    word, _, rest = line.partition(" ")
    word, rest = word.lower(), rest.strip()
    word = LONG_DIRECTIONS.get(word, word)
    if word in DIRECTIONS:
        return _step(word, rest)
    if word == "say":
        return _speech(rest)
    if word in ("walk", "go"):
        return _walk(rest)
    if word == "select":
        return Choose(rest)
    if word == "cast":
        spell, _, on = rest.partition(" ")
        return CastSpell(spell.lower()[:MAX_SPELL] or "?", on.strip().removeprefix("on ").strip())
    if word in HANDLING:
        return _handling(HANDLING[word], rest)
    if word in ALLYING:
        return Ally(word, rest[:40]) if rest else Hint(f"Whom? For example: {word} Alice Berg")
    if word == "leave":
        return Ally(word, "")
    if word in bargains.WORDS:
        return _bargain(word, rest)
    if word in WORDS:
        return Plain(WORDS[word])
    return Hint(f"I do not know {word!r}. Try help.")


def _bargain(word: str, rest: str) -> Order:
    try:
        return parse_bargain(word, rest)
    except NotUnderstood as hint:
        return Hint(str(hint))


def _speech(text: str) -> Order:
    text = text.strip()
    return Speak(text[:400]) if text else Hint("Say what?")


def _handling(verb: str, rest: str) -> Order:
    """Understand what follows buy, drop, …: a number, if any, and what."""
    first, _, what = rest.partition(" ")
    if not first.removeprefix("-").isdecimal() or verb in NEEDS_NOTHING:
        count, what = 1, rest
    elif len(first) > len(str(MAX_COUNT)) or not 1 <= int(first) <= MAX_COUNT:
        return Hint(f"How many? For example: {verb} 3 {what.strip() or 'lamps'}")
    else:
        count, what = int(first), what.strip()
    if not what and verb not in NEEDS_NOTHING:
        return Hint(f"{verb.capitalize()} what? inventory tells what you have, wares what is for sale.")
    return Handle(verb, what, count)


def _step(word: str, rest: str) -> Order:
    metres = _number(rest) if rest else STEP_M
    if metres is None or not 0 < metres <= MAX_STEP_M:
        return Hint(f"How far? For example: {word} 10")
    dx, dy = DIRECTIONS[word]
    return Step(dx * metres, dy * metres)


def _walk(rest: str) -> Order:
    """Understand what follows walk or go: a direction, `to X Y`, or `to NAME`."""
    rest = rest.removeprefix("to ").strip() if rest.lower().startswith("to ") else rest
    words = rest.replace(",", " ").split()
    if not words or rest.lower() == "to":
        return Hint("Where to? For example: walk to 120 96, or go north, or go and the name of an exit.")
    direction = LONG_DIRECTIONS.get(words[0].lower(), words[0].lower())
    if direction in DIRECTIONS and len(words) <= 2:
        return _step(direction, " ".join(words[1:]))
    if len(words) == 2:
        x, y = _number(words[0]), _number(words[1])
        if x is not None and y is not None:
            return WalkTo(x, y)
    return GoTo(rest)


def _number(text: str) -> float | None:
    try:
        value = float(text.removesuffix("m"))
    except ValueError:
        return None
    return value if math.isfinite(value) else None
