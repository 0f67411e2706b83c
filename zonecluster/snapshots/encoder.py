"""Snapshots of all viewers in one call: what both ways of encoding share, and the choice between them.

Plain (numpy) and compiled (numba) write the same bytes. Source: docs/protocol.md, "Snapshots".
"""

import numpy as np
import structlog

from zonecluster.hot_code import Choice, choose_way
from zonecluster.interest.scene import Seen
from zonecluster.protocol.zone_payloads import (
    FROZEN_FLAG,
    MAX_PAYLOAD_BYTES,
    SNAPSHOT,
    SNAPSHOT_HEADER,
)
from zonecluster.snapshots.baselines import WHOLE_RECORD, Baselines
from zonecluster.snapshots.encode_plain import write_plain
from zonecluster.snapshots.parts import Clock, Focus, Outbox, OwnState, Viewers, Write

log = structlog.get_logger(__name__)

COMPILED = "zonecluster.snapshots.encode_compiled"

HEAD = np.dtype([*SNAPSHOT_HEADER.descr, ("own", WHOLE_RECORD)])
TICKS_PER_S = 20
DEFAULT_BYTES_PER_S = 16_000
# Enough in each tick for the player itself and to let everybody leave its view, and for some changes besides.
LEAST_BYTES_PER_S = 4_000
BURST_S = 0.25  # a link that was quiet, or is new, may be sent at once what this time brings


class Encoder:
    """Snapshots for all links of a cluster. See docs/zone.md, "Snapshots".

    Args: slots: link slots; bytes_per_s: bandwidth of each player, payloads alone; write: plain or compiled.
    Raises: ValueError: less bandwidth than the player's own state needs.
    """

    def __init__(self, slots: int, bytes_per_s: int, write: Write = write_plain, name: str = "plain") -> None:
        if bytes_per_s < LEAST_BYTES_PER_S:
            raise ValueError(f"{bytes_per_s} bytes/s for a player: at least {LEAST_BYTES_PER_S} are needed")
        self.name = name
        self.bytes_per_tick = bytes_per_s // TICKS_PER_S
        self.full_bucket = max(MAX_PAYLOAD_BYTES, int(bytes_per_s * BURST_S))
        self._write = write
        self._payloads = np.zeros((0, MAX_PAYLOAD_BYTES), np.uint8)
        self.baselines = Baselines(slots, self.full_bucket)

    def forget(self, slot: int) -> None:
        """A new link has this slot: it starts afresh."""
        self.baselines.forget(slot)

    def acknowledge(self, slots: np.ndarray, ticks: np.ndarray) -> None:
        """Note which snapshots clients say they have, hostile or not: see Baselines.acknowledge."""
        self.baselines.acknowledge(slots, ticks)

    def encode(
        self,
        viewers: np.ndarray,
        slots: np.ndarray,
        seen: Seen,
        records: np.ndarray,
        own: OwnState,
        focus: Focus,
        clock: Clock,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Encode one snapshot for each viewer, and take it for sent.

        Args:
            viewers: (m,) rows; slots: (m,) their link slots, all different.
            seen: whom each of them sees, at most 64; no row twice, never the viewer.
            records: (n,) ENTITY of all rows, as they are now. n may grow from tick to tick.
        Returns: payloads (m, 1150) u8, good until the next call, and lengths (m,) i8.
        Raises: ValueError: a tick that does not rise.
        """
        self.baselines.remember(clock.tick, records)
        links = self.baselines.links
        slots = np.require(slots, np.int64, ["C", "W"])
        buckets = np.minimum(links.bucket[slots] + self.bytes_per_tick, self.full_bucket)
        job = Viewers(
            rows=np.require(viewers, np.int64, ["C", "W"]),
            slots=slots,
            seen=np.require(seen.rows, np.int32, ["C", "W"]),
            counts=np.require(seen.counts, np.int32, ["C", "W"]),
            baselines=self.baselines.baseline_ticks(slots),
            budgets=np.minimum(buckets, MAX_PAYLOAD_BYTES),
            rations=np.full(len(slots), min(self.bytes_per_tick, MAX_PAYLOAD_BYTES)),
        )
        if len(self._payloads) < len(slots):
            self._payloads = np.zeros((len(slots) * 5 // 4, MAX_PAYLOAD_BYTES), np.uint8)
        outbox = Outbox(
            heads=heads(job, records, own, clock),
            payloads=self._payloads[: len(slots)],
            lengths=np.zeros(len(slots), np.int64),
        )
        self._write(links, self.baselines.history, clock.tick, job, focus, outbox)
        links.ticks[slots, clock.tick % links.ticks.shape[1]] = links.latest[slots] = clock.tick
        links.bucket[slots] = buckets - outbox.lengths
        return outbox.payloads, outbox.lengths


def heads(job: Viewers, records: np.ndarray, own: OwnState, clock: Clock) -> np.ndarray:
    """Return (m, 50) u8: header and own entity of each snapshot; `slots` is written with the view."""
    common = np.zeros(1, HEAD)
    common["kind"], common["tick"], common["time_ms"] = SNAPSHOT, clock.tick, clock.time_ms
    common["dilation"] = min(max(round(clock.dilation * 1000), 0), 0xFFFF)
    octets = np.empty((len(job.rows), HEAD.itemsize), np.uint8)
    octets[:] = common.view(np.uint8)
    head = octets.view(HEAD)[:, 0]
    head["flags"] = np.where(own.is_frozen, FROZEN_FLAG, 0)
    head["baseline_tick"] = job.baselines
    for name in ("input_lead", "input_ack", "instance", "corrections"):
        head[name] = getattr(own, name)
    head["top_speed"] = np.clip(np.rint(own.top_speed * 256), 0, 0xFFFF)
    head["own"] = records.view(WHOLE_RECORD)[job.rows]
    return octets


def open_encoder(choice: Choice, slots: int, bytes_per_s: int = DEFAULT_BYTES_PER_S) -> Encoder:
    """Return the encoder for this machine, and say in the log which one it is.

    Args: choice: "auto" takes the compiled one where it can run; the others insist.
    Raises: ImportError, RuntimeError or OSError: "batch" was insisted on and cannot run here.
    """
    encoder, reason = choose_way(
        choice,
        COMPILED,
        lambda compiled: Encoder(slots, bytes_per_s, compiled.CompiledWriter(), compiled.NAME),
        lambda: Encoder(slots, bytes_per_s),
    )
    log.info("snapshot_encoder_chosen", encoder=encoder.name, reason=reason)
    return encoder
