"""Which zone link is for which row of the tables: client ids, link slots and rows, both ways. No I/O."""

import numpy as np

NOBODY = -1


class LinkRows:
    """The links that are up. A link has a slot; it may have a row, and a row has at most one link."""

    def __init__(self, slots: int) -> None:
        self.rows = np.full(slots, NOBODY, np.int64)  # by slot: row of the tables whose link it is
        self._slots: dict[int, int] = {}  # by client id
        self._slot_of_row: dict[int, int] = {}

    def is_up(self, client_id: int) -> bool:
        """Whether a link of that name is up."""
        return client_id in self._slots

    def add(self, client_id: int, slot: int) -> None:
        """A link is up: nobody's as yet."""
        self._slots[client_id] = slot
        self._clear(slot)

    def assign(self, client_id: int, row: int) -> int:
        """Make a link that of a row; the row's former one, if it is up, is nobody's then.

        Returns: the link's slot.
        Raises: KeyError: the link is not up.
        """
        slot = self._slots[client_id]
        self._clear(slot)
        former = self._slot_of_row.get(row)
        if former is not None:
            self._clear(former)
        self.rows[slot], self._slot_of_row[row] = row, slot
        return slot

    def release(self, client_id: int) -> None:
        """A link is up no more. Its row may have another by now: that one stays."""
        slot = self._slots.pop(client_id, NOBODY)
        if slot != NOBODY:
            self._clear(slot)

    def viewers(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows (m,) that have a link, and its slot (m,)."""
        slots = np.flatnonzero(self.rows != NOBODY)
        return self.rows[slots], slots

    def _clear(self, slot: int) -> None:
        row = int(self.rows[slot])
        if row != NOBODY:
            del self._slot_of_row[row]
            self.rows[slot] = NOBODY
