"""Whether goods are conserved, looked at after every request that the master answered.

Believes neither the repository's checks nor the daemons': it counts documents and letters by goods.py.
"""

from collections import defaultdict
from collections.abc import Iterable
from uuid import UUID

from characters.core import Letter, Version
from tests.simulation.goods import NOTHING, Balance, Content, content_of, content_of_letter, doubled
from tests.simulation.promises import Violation
from zonecluster.protocol.character import CharacterState

Scope = str | None  # the world whose forks are meant; None: main
AS_FOUND = frozenset({"create", "fork", "restore"})  # kinds of versions that bring a document from elsewhere
EXCHANGES = frozenset({"trade", "mail"})


class Conservation:
    """What each line has, and what all lines and letters of a scope must have together.

    Args: excused: worlds whose machine went back to a snapshot: what was laid down there may lie there anew.
    """

    def __init__(self, excused: set[str]) -> None:
        self._excused = excused
        self.contents: dict[UUID, Content] = {}  # of heads, by line
        self.scopes: dict[UUID, Scope] = {}
        self.balance: dict[Scope, Balance] = defaultdict(lambda: NOTHING)  # of all heads together
        self.due: dict[Scope, Balance] = defaultdict(lambda: NOTHING)  # of heads and letters together
        self.exchanged: dict[UUID, list[Version]] = defaultdict(list)  # by the request that is looked at
        self.touched: set[Scope] = set()
        self.known: set[UUID] = set()  # exchanges that were accepted
        self.denied: set[UUID] = set()  # exchanges of which a player was told that nothing has changed
        self.is_collecting = False

    def take(self, version: Version, state: CharacterState, scope: Scope) -> None:
        """A version was accepted."""
        new, old = content_of(state), self.contents.get(version.line)
        change = new.balance.minus(old.balance if old is not None else NOTHING)
        if version.kind in AS_FOUND:
            self.due[scope] = self.due[scope].plus(change)
        elif version.kind in EXCHANGES:
            self.exchanged[version.exchange].append(version)
        elif change != NOTHING and not self.is_collecting:
            raise Violation("undone", f"version {version.version} ({version.kind}) changes {change}")
        if scope is None and old is not None and not self.is_collecting:
            self._check_ground(version.line, new.picked - old.picked)
        if old is None or new.gems != old.gems or change != NOTHING:
            self.touched.add(scope)
        self.contents[version.line], self.scopes[version.line] = new, scope
        self.balance[scope] = self.balance[scope].plus(change)

    def _check_ground(self, line: UUID, picked: frozenset[str]) -> None:
        """What is picked up was laid down by somebody, and picked up by nobody else."""
        others = [
            self.contents[each] for each, scope in self.scopes.items() if scope is None and each != line
        ]
        for thing in picked:
            if thing.partition("-")[0] in self._excused:
                continue
            if any(thing in other.picked for other in others):
                raise Violation("twice", f"two have picked up the thing {thing}")
            if not any(thing in other.laid for other in (*others, self.contents[line])):
                raise Violation("twice", f"the thing {thing} was picked up, and nobody has laid it down")

    def check(self, letters: Iterable[Letter]) -> None:
        """A request was answered: what it changed is whole."""
        exchanged, touched = dict(self.exchanged), set(self.touched)
        self.exchanged.clear()
        self.touched.clear()
        self.known |= set(exchanged)
        if found := self.denied & set(exchanged):
            raise Violation("told", f"{found} was accepted after it had been called off")
        for exchange, versions in exchanged.items():
            is_trade = versions[0].kind == "trade"
            if len({version.line for version in versions}) != (2 if is_trade else 1):
                raise Violation("half", f"{exchange}: {len(versions)} writes of kind {versions[0].kind}")
        if touched or exchanged:
            self._check_scopes(list(letters), touched, "half" if exchanged else "nothing")

    def gems_of_others(self, line: UUID) -> list[UUID]:
        """Return the valuables in main that are not in this line."""
        others = [each for each, scope in self.scopes.items() if scope is None and each != line]
        return [gem for each in others for gem in self.contents[each].gems]

    def tell(self, exchange: UUID, *, is_done: bool) -> None:
        """A player is told how an exchange ended."""
        if is_done != (exchange in self.known):
            raise Violation("told", f"{exchange}: {'done' if is_done else 'nothing has changed'}")
        if not is_done:
            self.denied.add(exchange)

    def _check_scopes(self, letters: list[Letter], touched: set[Scope], less: str) -> None:
        lying = [each for each in letters if each.has_goods]
        for scope in touched:
            total = self._total(lying, scope)
            if total != self.due[scope]:
                too_much = any(is_ > due for is_, due in zip(total, self.due[scope], strict=True))
                wrong = f"in {scope or 'main'}: {total}, due are {self.due[scope]}"
                raise Violation("nothing" if too_much else less, wrong)
            if scope is None:
                self._check_gems(_contents(lying, scope))

    def _total(self, lying: list[Letter], scope: Scope) -> Balance:
        """Return what all heads and letters of a scope have together."""
        total = self.balance[scope]
        for content in _contents(lying, scope):
            total = total.plus(content.balance)
        return total

    def _check_gems(self, letters: list[Content]) -> None:
        """A valuable has one owner in main."""
        main = [self.contents[line] for line, scope in self.scopes.items() if scope is None]
        if found := doubled([*main, *letters]):
            raise Violation("twice", f"the gems {[str(gem)[:8] for gem in found]}")

    # ---------------------------------------------------------------- a restore of the master

    def begin_again(self) -> None:
        """The master is a backup's: its versions are taken again."""
        self.__init__(self._excused)
        self.is_collecting = True

    def collect(self) -> None:
        """The versions of the backup were taken; from now on worlds offer theirs, in any order."""
        self.exchanged.clear()

    def finish(self, letters: Iterable[Letter], *, has_gaps: bool, is_world_gone: bool) -> None:
        """The master goes into service: all that came back is whole.

        Args: has_gaps: what only a world knew that is gone is not counted any more, but a valuable is there
            once all the same; is_world_gone: what was posted there and taken elsewhere may be there twice
            (docs/restore.md, "What does not come back").
        """
        self.is_collecting = False
        self.touched = set(self.balance)
        letters = list(letters)
        for each in letters:
            if is_world_gone and each.exchange is None:  # nobody knows of its posting
                content = content_of_letter(each.goods.items, each.goods.money)
                self.due[each.world] = self.due[each.world].plus(content.balance)
        lying = [each for each in letters if each.has_goods]
        for exchange, versions in list(self.exchanged.items()):
            if has_gaps or any(self.scopes[version.line] is not None for version in versions):
                del self.exchanged[exchange]  # forks that were begun after the backup are gone
        for scope in self.touched:
            if has_gaps or scope is not None:
                self.due[scope] = self._total(lying, scope)
        self.check(lying)


def _contents(lying: list[Letter], scope: Scope) -> list[Content]:
    return [content_of_letter(each.goods.items, each.goods.money) for each in lying if each.world == scope]
