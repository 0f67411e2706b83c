"""What can go wrong, with a code for programs, and a reason and advice for people."""


class WaystoneError(Exception):
    """Anything the platform refused or that could not be reached.

    Attributes: code: stable, for programs. reason: what happened. advice: what to do; may be empty.
    """

    def __init__(self, code: str, reason: str, advice: str = "") -> None:
        super().__init__(f"{reason} {advice}".strip())
        self.code = code
        self.reason = reason
        self.advice = advice


class MasterError(WaystoneError):
    """The master's REST API refused, or did not answer (then `status` is 0).

    Attributes: errors: for each field of the request what is wrong. retry_after_s: when to ask again.
    """

    def __init__(
        self,
        status: int,
        code: str,
        reason: str,
        errors: dict[str, list[str]] | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        details = " ".join(f"{field}: {' '.join(found)}" for field, found in (errors or {}).items())
        super().__init__(code, f"{reason} {details}".strip())
        self.status = status
        self.errors = errors or {}
        self.retry_after_s = retry_after_s


class Refusal(WaystoneError):
    """The world refused a message: its Refused, as an exception."""


class LinkLost(WaystoneError):
    """The world link is gone, or went while an answer was waited for."""


class ZoneLinkFailed(WaystoneError):
    """The zone link could not be opened, or was lost."""
