"""What everybody must have, from what they were told: done, not done, or not known. Pure.

Who was told that something is done has it; who was told that it is not, has not; whatever got no answer may
have happened or not, but wholly, and once. So there must be a choice among the unanswered deals by which all
documents and letters add up, to the last coin.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

Goods = Counter[str]  # what: kind, "kind #id" of a valuable, or COINS
Change = tuple[str, str, int]  # owner, what, how many more
Difference = dict[tuple[str, str], int]  # owner and what → how many more
COINS = "coins"
LETTERS = "(letters)"  # the owner of what lies in letters
MOST_TRIED = 200_000  # choices of unanswered deals; a stop of minutes leaves dozens unanswered


class Outcome(Enum):
    """What its players were told of a deal."""

    DONE = "done"
    NOT_DONE = "not done"
    UNKNOWN = "unknown"


@dataclass
class Deal:
    """Something that changes goods, once it is done."""

    what: str
    changes: Mapping[str, Mapping[str, int]]  # owner → what → how many more
    outcome: Outcome = Outcome.UNKNOWN
    round: int = 0


class DoesNotAddUp(AssertionError):
    """No choice of unanswered deals explains what everybody has."""


@dataclass
class Ledger:
    """What everybody had when all was quiet, and the deals since."""

    known: dict[str, Goods] = field(default_factory=dict)
    deals: list[Deal] = field(default_factory=list)

    def note(self, deal: Deal) -> Deal:
        """Keep a deal; its outcome may be set later."""
        self.deals.append(deal)
        return deal

    def settle(self, actual: Mapping[str, Goods], round: int) -> Counter[str]:
        """Compare with what everybody has, and go on from there.

        Unanswered deals that have not happened may still be on their way: they count for one round more.

        Returns: how many deals were done, not done, unknown, and of the unknown ones done after all.
        Raises: DoesNotAddUp.
        """
        done = [deal for deal in self.deals if deal.outcome is Outcome.DONE]
        unknown = [deal for deal in self.deals if deal.outcome is Outcome.UNKNOWN]
        difference = _difference(actual, self.known, done)
        happened = _explain(difference, unknown)
        if happened is None:
            raise DoesNotAddUp(_told(difference, self.deals))
        counts = Counter(deal.outcome.value for deal in self.deals if deal.round == round)
        counts["done after all"] = len(happened)
        self.known = {owner: Counter(goods) for owner, goods in actual.items()}
        self.deals = [deal for deal in unknown if deal not in happened and deal.round >= round]
        return counts


def _difference(actual: Mapping[str, Goods], known: Mapping[str, Goods], done: Sequence[Deal]) -> Difference:
    """Return what there is more (or less) than what was known and what was told as done."""
    rest: Counter[tuple[str, str]] = Counter()
    for owner, goods in actual.items():
        for what, count in goods.items():
            rest[owner, what] += count
    for owner, goods in known.items():
        for what, count in goods.items():
            rest[owner, what] -= count
    for deal in done:
        for owner, what, count in _changes(deal):
            rest[owner, what] -= count
    return {key: count for key, count in rest.items() if count}


def _changes(deal: Deal) -> list[Change]:
    return [
        (owner, what, count) for owner, changes in deal.changes.items() for what, count in changes.items()
    ]


def _explain(difference: Difference, unknown: Sequence[Deal]) -> list[Deal] | None:
    """Return unanswered deals that add up to a difference; None: there are none, or none was found.

    What is missing somewhere must come by a deal that touches it: tried is where the fewest do.
    """
    changes = [{(owner, what): count for owner, what, count in _changes(deal)} for deal in unknown]
    touching: dict[tuple[str, str], list[int]] = {}
    for number, change in enumerate(changes):
        for key in change:
            touching.setdefault(key, []).append(number)
    seen: set[frozenset[int]] = set()
    left = [(difference, frozenset[int]())]
    while left and len(seen) < MOST_TRIED:
        rest, chosen = left.pop()
        if not rest:
            return [unknown[number] for number in sorted(chosen)]
        options = [[each for each in touching.get(key, ()) if each not in chosen] for key in rest]
        for number in min(options, key=len):
            more = chosen | {number}
            if more not in seen:
                seen.add(more)
                left.append((_without(rest, changes[number]), more))
    return None


def _without(difference: Difference, change: Difference) -> Difference:
    """Return what is left of a difference once a deal has happened."""
    keys = {*difference, *change}
    counts = {key: difference.get(key, 0) - change.get(key, 0) for key in keys}
    return {key: count for key, count in counts.items() if count}


def _told(difference: Difference, deals: Sequence[Deal]) -> str:
    lines = [f"{owner} has {count:+d} {what}" for (owner, what), count in sorted(difference.items())]
    owners = {owner for owner, _ in difference}
    touching = [deal for deal in deals if owners & set(deal.changes)]
    lines += [f"  {deal.outcome.value}: {deal.what} {_plain(deal)}" for deal in touching]
    return "not what everybody was told:\n" + "\n".join(lines)


def _plain(deal: Deal) -> str:
    return "; ".join(
        f"{owner} " + ", ".join(f"{count:+d} {what}" for what, count in changes.items())
        for owner, changes in deal.changes.items()
    )
