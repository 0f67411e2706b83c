"""How this process checks documents: by compiled code once that is ready, in plain Python until then.

The process that takes saves (web) makes it ready beside its work, so that no save waits for a compiler; every
other one does without, and says the same of every document. zonecluster/documents has the compiled code.
"""

from threading import Thread

import msgspec
import structlog

from zonecluster.hot_code import Choice, choose_way
from zonecluster.protocol.canonical import Checked, Quickest, check_state

PART = "zonecluster.documents.compiled_check"

log = structlog.get_logger(__name__)


class Checking:
    """The check in use. One object of a process; replaced in one step, while others check."""

    def __init__(self) -> None:
        self._quickest: Quickest | None = None

    def check(self, data: bytes | msgspec.Raw) -> Checked:
        """Check a document that is to be written. Raises: InvalidState: see canonical.check_state."""
        return check_state(data, self._quickest)

    def prepare(self, choice: Choice) -> None:
        """Load the compiled check, or compile it: seconds. Where it cannot be had, the log says why.

        Args: choice: the setting WAYSTONE_PACKET_PATH; "batch" takes the plain way too, where it must: a save
            has to be taken.
        """
        way: Choice = "plain" if choice == "plain" else "auto"
        self._quickest, reason = choose_way(way, PART, lambda part: part.check, lambda: None)
        log.info("document_check_chosen", path="batch" if self._quickest else "plain", reason=reason)

    def prepare_beside(self, choice: Choice) -> None:
        """Do so in a thread of its own, which the end of the process does not wait for."""
        Thread(target=self.prepare, args=(choice,), name="document-check", daemon=True).start()


checking = Checking()
