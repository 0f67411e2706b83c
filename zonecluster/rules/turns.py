"""Whose turn it is: work of many, served by deficit round robin, by the CPU time that it has taken.

What a piece of work takes is known only afterwards. So a turn lasts until its quantum is spent, and what it
was exceeded by is missing from the next turns: over time everybody who has something waiting gets as much.

Source: Shreedhar and Varghese, "Efficient Fair Queuing Using Deficit Round Robin", 1995, with costs that are
known late (surplus round robin).
"""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

QUANTUM_NS = 200_000  # of CPU time in a turn: a few commands; more, and those behind wait longer
MOST_OWED_NS = 50 * QUANTUM_NS  # so many turns may be missed for one piece of work

Owner = TypeVar("Owner")
Work = TypeVar("Work")


@dataclass(eq=False)
class Queue(Generic[Owner, Work]):
    """What waits for one owner, and what is left of its turn, in ns; negative: owed from turns before."""

    owner: Owner
    work: deque[Work] = field(default_factory=deque)
    left_ns: int = 0
    is_in_turn: bool = False  # it stands in the ring

    def __len__(self) -> int:
        return len(self.work)


class Turns(Generic[Owner, Work]):
    """All who have something waiting, in the order of their turns."""

    def __init__(self) -> None:
        self._ring: deque[Queue[Owner, Work]] = deque()

    def __len__(self) -> int:
        return len(self._ring)

    def __iter__(self) -> Iterator[Queue[Owner, Work]]:
        return iter(self._ring)

    def put(self, queue: Queue[Owner, Work], work: Work) -> None:
        """Queue a piece of work. Its owner comes last if nothing of it waits yet."""
        queue.work.append(work)
        if not queue.is_in_turn:
            queue.is_in_turn = True
            self._ring.append(queue)

    def serve(
        self,
        budget_ns: int,
        run: Callable[[Owner, Work], int],
        is_served: Callable[[Owner], bool] = lambda _: True,
    ) -> int:
        """Serve in turns until the budget is spent, or those who are served have nothing left.

        Args: run: does a piece of work, returns what it took, ns; is_served: asked before each piece: who is
            not keeps its place.
        Returns: what was spent, ns: more than the budget by less than one piece of work.
        """
        spent = 0
        passed: list[Queue[Owner, Work]] = []
        while self._ring and spent < budget_ns:
            queue = self._ring.popleft()
            if not queue.work:  # taken away meanwhile
                self._end(queue)
                continue
            if queue.left_ns <= 0:  # else its turn was cut short by the budget
                queue.left_ns += QUANTUM_NS
            is_passed = False
            while queue.work and queue.left_ns > 0 and spent < budget_ns:
                if not is_served(queue.owner):
                    is_passed = True
                    break
                took = run(queue.owner, queue.work.popleft())
                spent += took
                queue.left_ns = max(queue.left_ns - took, -MOST_OWED_NS)
            if not queue.work:
                self._end(queue)
            elif is_passed:
                passed.append(queue)
            elif queue.left_ns > 0:
                self._ring.appendleft(queue)
            else:
                self._ring.append(queue)
        self._ring.extendleft(reversed(passed))
        return spent

    def _end(self, queue: Queue[Owner, Work]) -> None:
        """Nothing waits: a turn that is not used is lost, what is owed stays owed."""
        queue.is_in_turn = False
        queue.left_ns = min(queue.left_ns, 0)
