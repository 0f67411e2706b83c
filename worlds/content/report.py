"""Problems and imports of content packs for a terminal (rich)."""

from collections.abc import Iterator

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from worlds.content.importer import Change, ImportResult
from worlds.content.pack import Pack
from worlds.content.problems import Problem, Severity

_SIGNS = {"added": ("+", "green"), "changed": ("~", "yellow"), "removed": ("-", "red")}
_MAX_SHOWN = 60  # characters of a value


def problem_lines(problems: list[Problem]) -> Iterator[Text]:
    """Return one line for each problem: place, severity, message."""
    for problem in problems:
        colour = "red" if problem.severity is Severity.ERROR else "yellow"
        yield Text.assemble(
            (f"{problem.file}:{problem.line}: ", "bold"), (f"{problem.severity}: ", colour), problem.message
        )


def result_table(pack: Pack, result: ImportResult) -> RenderableType:
    """Return what an import did, as a table; one sentence if it did nothing."""
    title = f"{pack.name} {pack.version}"
    if result.is_unchanged:
        return Text(f"{title} is already imported; nothing to do.")
    counts = {action: sum(change.action == action for change in result.changes) for action in _SIGNS}
    summary = ", ".join(f"{count} {action}" for action, count in counts.items())
    verb = "would be imported" if result.is_dry_run else "imported"
    table = Table(
        title=f"{title} {verb}: {summary}", title_justify="left", box=None, show_header=False, pad_edge=False
    )
    for change in result.changes:
        sign, colour = _SIGNS[change.action]
        table.add_row(Text(sign, colour), change.what, Text(change.name, "bold"), _fields(change))
    return table


def _fields(change: Change) -> Text:
    parts = [f"{name}: {_value(before)} → {_value(after)}" for name, (before, after) in change.fields.items()]
    return Text("; ".join(parts))


def _value(value: object) -> str:
    text = f"{value:g}" if isinstance(value, float) else str(getattr(value, "slug", None) or value)
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}…"
