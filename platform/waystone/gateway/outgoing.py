"""What waits to be written to one link: bounded, in the order it was put. Used from one event loop."""

import asyncio
from collections import deque
from dataclasses import dataclass, field

from waystone.gateway.limits import Limits


class Flow:
    """Whether the socket takes more bytes. The server pauses and resumes it; without one it never pauses."""

    def __init__(self) -> None:
        self._free = asyncio.Event()
        self._free.set()

    @property
    def is_paused(self) -> bool:
        """True while the kernel's and the server's buffers for this socket are full."""
        return not self._free.is_set()

    def pause(self) -> None:
        """Stop the writer."""
        self._free.clear()

    def resume(self) -> None:
        """Let the writer go on."""
        self._free.set()

    async def free(self) -> None:
        """Wait until the socket takes more."""
        await self._free.wait()

    def abort(self) -> None:
        """Drop the connection at once, with what is buffered for it."""


@dataclass
class Outgoing:
    """The queue of one link."""

    limits: Limits
    flow: Flow
    frames: deque[str | bytes] = field(default_factory=deque)
    waiting_bytes: int = 0
    close_code: int | None = None
    stalled_since: float | None = None
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    def put(self, frame: str | bytes) -> bool:
        """Queue a frame; False if the queue is full, which means that the link is to be dropped."""
        if len(self.frames) >= self.limits.queue_messages or self.waiting_bytes >= self.limits.queue_bytes:
            return False
        self.frames.append(frame)
        self.waiting_bytes += len(frame)
        self._news.set()
        return True

    def close(self, code: int) -> None:
        """Close after what is queued; nothing is queued afterwards."""
        if self.close_code is None:
            self.close_code = code
        self._news.set()

    def is_stalled(self, now: float) -> bool:
        """Return whether nothing could be written for too long; to be asked about once a second."""
        if not self.flow.is_paused:
            self.stalled_since = None
            return False
        if self.stalled_since is None:
            self.stalled_since = now
        return now - self.stalled_since >= self.limits.stalled_s

    async def next(self) -> str | bytes | None:
        """Wait for a frame that may be written now; None: the link is to be closed with `close_code`."""
        while not self.frames:
            if self.close_code is not None:
                return None
            self._news.clear()
            await self._news.wait()
        await self.flow.free()
        frame = self.frames.popleft()
        self.waiting_bytes -= len(frame)
        return frame
