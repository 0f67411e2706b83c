"""What msgspec raises for bytes of unknown origin: not its own error alone."""

from msgspec import DecodeError

# Text that is no UTF-8, and nesting deeper than the interpreter allows, have errors of Python's own.
UNREADABLE = (DecodeError, UnicodeDecodeError, RecursionError)
