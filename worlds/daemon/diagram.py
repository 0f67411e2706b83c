"""The parts of docs/daemon.md that are generated: the state diagram and the table of time-outs.

Used by a test that keeps the page true, and by hand: `python -m worlds.daemon.diagram` prints both.
"""

from worlds.daemon.core.session import DEADLINES, TRANSITIONS, Phase

# Being dropped is possible from nearly everywhere: drawn once, or the picture could not be read.
DROPPED_FROM = sorted(
    phase
    for phase, targets in TRANSITIONS.items()
    if Phase.REMOVING in targets and phase is not Phase.RELEASING
)


def state_diagram() -> str:
    """Return the transitions as a Mermaid state diagram."""
    lines = ["```mermaid", "stateDiagram-v2", "    [*] --> redeeming"]
    for source, targets in TRANSITIONS.items():
        for target in sorted(targets):
            if target is Phase.REMOVING and source in DROPPED_FROM:
                continue
            lines.append(f"    {source} --> {'[*]' if target is Phase.ENDED else target}")
    lines.append("    [*] --> restoring : the daemon was restarted")
    lines.append("    note left of removing : also from " + ", ".join(DROPPED_FROM))
    return "\n".join([*lines, "```"])


def deadline_table() -> str:
    """Return the deadlines as a Markdown table."""
    lines = ["| state | at most | then |", "|---|---|---|"]
    for phase, (seconds, outcome) in DEADLINES.items():
        limit = "–" if seconds is None else f"{seconds:g} s"
        lines.append(f"| {phase} | {limit} | {outcome} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(state_diagram(), deadline_table(), sep="\n\n")  # noqa: T201  (that is what it is for)
