"""Which instances of a cluster a move has to do with. What is done with them: moving.py."""

from dataclasses import dataclass, field

MOST_FENCES = 10_000  # instances whose last move is remembered; of the others none is under way for long


@dataclass
class Copies:
    """By instance; moves are numbered, growing."""

    vacant: dict[int, int] = field(default_factory=dict)  # opened for that move, not activated
    filled: set[int] = field(default_factory=set)  # vacant ones that have what the source told
    exported: dict[int, int] = field(default_factory=dict)  # stilled for that move
    fences: dict[int, int] = field(default_factory=dict)  # the newest move that has ended here

    def is_over(self, number: int, move: int) -> bool:
        """Whether that move of an instance, or a newer one, has ended here."""
        return move <= self.fences.get(number, 0)

    def end(self, number: int, move: int) -> None:
        """That move has ended here."""
        self.fences[number] = max(move, self.fences.pop(number, 0))
        while len(self.fences) > MOST_FENCES:
            del self.fences[next(iter(self.fences))]

    def forget(self, number: int) -> None:
        """The instance is closed."""
        self.vacant.pop(number, None)
        self.exported.pop(number, None)
        self.filled.discard(number)
