"""What `manage.py up` shows: one moving line while it works, and lines that stay."""

import sys
import time

from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.spinner import Spinner
from rich.table import Table

from waystone.supervisor.child import BecameReady, Died, Event, Stopped


class Screen:
    """Writes to the terminal, or plain lines to a file. No thread: `refresh` moves the spinner."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(highlight=False, soft_wrap=not sys.stdout.isatty())
        self._spinner = Spinner("dots")
        self._task = ""
        self._drawn_at = 0.0

    def working_on(self, task: str) -> None:
        """Name what is being done now; empty: nothing."""
        if not self.console.is_terminal and task and task != self._task:
            self.console.print(f"… {escape(task)}")
        if self.console.is_terminal and not task:
            self._clear_line()
        self._task = task

    def refresh(self) -> None:
        """Move the spinner on, at most ten times a second."""
        now = time.monotonic()
        if self._task and self.console.is_terminal and now - self._drawn_at > 0.1:
            self._drawn_at = now
            frame = str(self._spinner.render(now))
            line = f"{frame} {self._task}"[: self.console.width - 1]
            self.console.file.write(f"\r\x1b[2K{line}")
            self.console.file.flush()

    def say(self, text: str) -> None:
        """Write a line that stays. Args: text: may have rich's markup; escape what is not ours."""
        self._clear_line()
        self.console.print(text)

    def error(self, text: str) -> None:
        """Write why the start cannot go on."""
        self._clear_line()
        self.console.print(f"[bold red]✗[/] {escape(text)}")

    def show(self, event: Event) -> None:
        """Write what happened to a process."""
        match event:
            case BecameReady(name, seconds):
                self.say(f"[green]✓[/] {name} is ready [dim]({seconds:.1f} s)[/]")
            case Died(name, reason, last_words, delay, deaths):
                again = f"starting it again in {delay:.1f} s" + (
                    f", {deaths} times now" if deaths > 1 else ""
                )
                self.say(f"[red]✗[/] {name} ended: {escape(reason)}; {again}")
                for line in last_words:
                    self.say(f"    [dim]{escape(line[:400])}[/]")
            case Stopped(name, is_again, was_killed):
                how = "had to be killed" if was_killed else "has stopped, as it was told"
                self.say(f"[yellow]–[/] {name} {how}{'; starting it again' if is_again else ''}")

    def summary(self, rows: list[tuple[str, str]], closing: str) -> None:
        """Write the addresses and the log-ins."""
        self._clear_line()
        table = Table.grid(padding=(0, 2))
        for name, value in rows:
            table.add_row(f"[bold]{escape(name)}[/]", escape(value))
        if self.console.is_terminal:
            self.console.print(Panel(table, title="Waystone is ready", title_align="left", expand=False))
        else:
            self.console.print("Waystone is ready")
            for name, value in rows:
                self.console.print(f"  {name}: {escape(value)}")
        self.console.print(closing)

    def _clear_line(self) -> None:
        if self.console.is_terminal:
            self.console.file.write("\r\x1b[2K")
