"""What a person types about trade, giving and mail, understood. Pure: for commands.py."""

from dataclasses import dataclass

MAX_COUNT = 1_000_000  # of things that a world takes
MAX_MONEY = 2**53 - 1
MAX_NAME, MAX_SUBJECT, MAX_TEXT, MAX_WANTED = 40, 80, 2000, 12  # what a world takes
COINS = ("coin", "coins")
WORDS = ("trade", "refuse", "offer", "lock", "confirm", "cancel", "give", "mail")
HELP = """\
trade NAME        ask somebody to trade, or accept that; refuse NAME: decline
offer 3 THING, OTHER THING, 20 coins       what you would give (offer nothing: take it back)
lock              that is your offer       confirm        you agree to both offers as shown
cancel            have no trade            give 3 THING, 20 coins to NAME   to an ally
mail              your letters             mail read 1, mail take 1, mail throw 1
mail send NAME: SUBJECT | TEXT | 3 THING, 20 coins        (text and things may be left out)"""


@dataclass(frozen=True)
class Wanted:
    """So many of what has that name."""

    what: str
    count: int = 1


@dataclass(frozen=True)
class Basket:
    """Things and coins."""

    things: tuple[Wanted, ...] = ()
    money: int = 0


@dataclass(frozen=True)
class Bargain:
    """Something about a trade. verb: trade, refuse, offer, lock, confirm, cancel."""

    verb: str
    name: str = ""
    basket: Basket = Basket()


@dataclass(frozen=True)
class Present:
    """Give something to an ally."""

    name: str
    basket: Basket


@dataclass(frozen=True)
class Post:
    """Something about letters. verb: list, read, take, throw (by number in the list, from 1)."""

    verb: str
    number: int = 0


@dataclass(frozen=True)
class Write:
    """Send a letter."""

    to: str
    subject: str
    text: str = ""
    basket: Basket = Basket()


class NotUnderstood(ValueError):
    """The text is a hint for the person."""


def parse_bargain(word: str, rest: str) -> Bargain | Present | Post | Write:
    """Understand one of WORDS and what follows it. Raises: NotUnderstood."""
    match word:
        case "trade" | "refuse":
            return Bargain(word, _name(rest, word))
        case "offer":
            return Bargain(word, basket=basket_of(rest))
        case "give":
            things, to, name = rest.rpartition(" to ")
            if not to:
                raise NotUnderstood(
                    "Give what to whom? For example: give 3 tide bread, 20 coins to Alice Berg"
                )
            return Present(_name(name, word), basket_of(things))
        case "mail":
            return _mail(rest)
    return Bargain(word)


def _name(text: str, word: str) -> str:
    name = text.strip()
    if not 1 <= len(name) <= MAX_NAME:
        raise NotUnderstood(f"Whom? For example: {word} Alice Berg")
    return name


def _mail(rest: str) -> Post | Write:
    verb, _, more = rest.partition(" ")
    verb = verb.lower() or "list"
    if verb == "list":
        return Post(verb)
    if verb == "send":
        return _letter(more)
    if verb not in ("read", "take", "throw"):
        raise NotUnderstood("mail, mail read 1, mail take 1, mail throw 1, or mail send NAME: SUBJECT | TEXT")
    number = more.strip()
    if not (number.isdecimal() and len(number) <= 4 and int(number) >= 1):
        raise NotUnderstood(f"Which letter? mail tells their numbers. For example: mail {verb} 1")
    return Post(verb, int(number))


def _letter(text: str) -> Write:
    to, colon, rest = text.partition(":")
    subject, _, more = rest.partition("|")
    body, _, things = more.partition("|")
    subject, body = subject.strip(), body.strip()
    if not colon or not subject:
        raise NotUnderstood(
            "For example: mail send Alice Berg: Bread | As promised. | 3 tide bread, 20 coins"
        )
    if len(subject) > MAX_SUBJECT or len(body) > MAX_TEXT:
        raise NotUnderstood(f"A subject has {MAX_SUBJECT} letters at most, and a text {MAX_TEXT}.")
    return Write(_name(to, "mail send"), subject, body, basket_of(things) if things.strip() else Basket())


def basket_of(text: str) -> Basket:
    """Understand `3 tide bread, crown, 20 coins`; `nothing` is nothing. Before a number no comma is needed.

    Raises: NotUnderstood.
    """
    if text.strip().lower() == "nothing":
        return Basket()
    things: list[Wanted] = []
    money = 0
    for count, what in _parts(text):
        if what.lower() in COINS:
            money += count
        elif not 1 <= count <= MAX_COUNT:
            raise NotUnderstood(f"How many? For example: 3 {what}")
        else:
            things.append(Wanted(what, count))
    if not things and not money:
        raise NotUnderstood("What? For example: 3 tide bread, old crown, 20 coins")
    if len(things) > MAX_WANTED or money > MAX_MONEY:
        raise NotUnderstood(f"At most {MAX_WANTED} different things go at once, and {MAX_MONEY} coins.")
    return Basket(tuple(things), money)


def _parts(text: str) -> list[tuple[int, str]]:
    """Return (how many, of what) of each part: a comma or a number begins a new one."""
    parts: list[tuple[int, list[str]]] = []
    for piece in text.split(","):
        parts.append((1, []))
        for word in piece.split():
            if word.isdecimal() and len(word) <= 16:
                parts.append((int(word), []))
            else:
                parts[-1][1].append(word)
    missing = [count for count, words in parts if not words and count != 1]
    if missing:
        raise NotUnderstood(f"{missing[0]} of what? For example: {missing[0]} coins")
    return [(count, " ".join(words)) for count, words in parts if words]
