"""What a safety rule of the table is, and how one is broken: one function of the real code is replaced."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from unittest.mock import patch

Break = Callable[[ExitStack], None]


@dataclass(frozen=True)
class Rule:
    """A safety rule: what it says, where the design has it, and how to break it."""

    name: str
    says: str
    source: str
    breaks: Break


def replace_in(stack: ExitStack, where: object, name: str, what: object) -> None:
    """Put something else in the place of a part of the real code, until the stack is left."""
    stack.enter_context(patch.object(where, name, what))
