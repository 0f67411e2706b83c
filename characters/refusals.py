"""The repository's no, as an exception with one of the uplink's codes."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

import structlog
from django.db import DataError, IntegrityError, OperationalError

from worlds.uplink.messages import Refusal
from zonecluster.protocol.character import InvalidState

log = structlog.get_logger(__name__)


class Refused(Exception):
    """A request of a world that is not granted; nothing was changed. Carries the Refusal."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(f"{refusal.code}: {refusal.detail}")
        self.refusal = refusal


@contextmanager
def only_this(op_id: UUID, refused: dict[UUID, Refusal]) -> Iterator[None]:
    """Let what goes wrong with one write of a batch refuse that one: the others were, or will be, committed.

    Around a transaction of its own. Args: refused: gets the refusal, by op_id.
    """
    try:
        yield
    except Refused as error:
        refused[op_id] = error.refusal
    except (DataError, InvalidState) as error:
        log.exception("write_cannot_be_kept", op_id=str(op_id))
        cause = str(error).split("\n")[0]
        refused[op_id] = Refusal("invalid_state", f"the document cannot be kept: {cause}")
    except (IntegrityError, OperationalError) as error:
        log.info("write_put_off", op_id=str(op_id), error=str(error).split("\n")[0])
        refused[op_id] = Refusal(
            "master_fault", "another request was under way; ask again with the same op_id"
        )
