"""What the daemon remembers of costs: the present minute by zone, and which kinds of commands are off."""

from dataclasses import dataclass, field

from worlds.cost_rules import Cost


@dataclass(frozen=True)
class RecordMinute:
    """Keep what the last minute has cost. `zones`: by number of the zone; who is not in it cost nothing."""

    zones: dict[int, Cost]
    players: int


@dataclass(frozen=True)
class SwitchOff:
    """Note that this world refuses a kind of command from now on."""

    kind: str
    cluster: str
    p99_ms: float
    worst_ms: float
    runs: int


MeasuringEffect = RecordMinute | SwitchOff


@dataclass
class Measured:
    """Instants in seconds of the core's clock.

    `sums`: of the present minute, by number of the zone: each rate times the seconds it was measured over.
    `read`: by cluster, its incarnation and how many ticks it had when its figures were last added.
    `off_by_rows`: kinds of commands, None: the rows were not read yet; `just_off`: since when others are.
    """

    began_at: float | None = None
    sums: dict[int, list[float]] = field(default_factory=dict)
    read: dict[str, tuple[int, int]] = field(default_factory=dict)
    off_by_rows: frozenset[str] | None = None
    just_off: dict[str, float] = field(default_factory=dict)

    @property
    def off(self) -> frozenset[str]:
        """Return all kinds of commands that are off."""
        return (self.off_by_rows or frozenset()) | frozenset(self.just_off)
