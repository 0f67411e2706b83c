"""What a decoder under fuzz is, and where its corpus is kept."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"
TAKEN, REFUSED = "taken", "refused"


@dataclass(frozen=True)
class Decoder:
    """`make` returns a function that is given bytes and returns whether they were taken for something.

    What it must never do is raise: that, whatever the exception, is a finding. `make` is called once for many
    cases; the function sees to its own state. `seeds` are the sound bytes to start from, by name; their files
    are `corpus/NAME/taken-SEED`. Other files, `taken-…` and `refused-…`, were found or thought of since.
    """

    name: str
    make: Callable[[], Callable[[bytes], bool]]
    seeds: Callable[[], Mapping[str, bytes]]
    modules: tuple[str, ...]  # whose lines guide the fuzzer

    @property
    def folder(self) -> Path:
        """Where the corpus is."""
        return CORPUS / self.name

    def corpus(self) -> dict[str, bytes]:
        """Return the kept files by name."""
        return {path.name: path.read_bytes() for path in sorted(self.folder.iterdir())}

    def keep(self, name: str, data: bytes) -> Path:
        """Write a file of the corpus."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / name
        path.write_bytes(data)
        return path
