"""What rides on the links under fuzz: inputs, snapshots, frames, bus batches, character documents."""

from collections.abc import Callable, Mapping
from uuid import UUID

import msgspec
import numpy as np
import structlog

from tests.fuzz.decoder import Decoder
from waystone.gateway.link import decode_frame
from waystone_client.world_link import read_frame
from worlds.bus import decode_batch
from zonecluster.packets.arrivals import ARRIVAL_BYTES
from zonecluster.protocol import bus, from_client, to_client
from zonecluster.protocol.character import InvalidState, decode_state, encode_state
from zonecluster.protocol.snapshot_view import Refused, SnapshotReader
from zonecluster.protocol.zone_payloads import (
    ENTITY,
    INPUT,
    INPUT_HEADER,
    INPUT_RECORD,
    MAX_INPUTS_PER_PACKET,
    SNAPSHOT,
    SNAPSHOT_HEADER,
)
from zonecluster.rules.character import new_character_state
from zonecluster.simulation.inputs import MAX_INPUT_BYTES, decode_input_matrix

SOMEBODY = UUID(int=7)
BREAD = to_client.Stack("bread", "loaf of bread", 3)
LETTER = to_client.LetterSummary(
    SOMEBODY, "Bob", "Demo", "Hello", "How are you?", [BREAD], 5, 1.0, is_new=True
)


def inputs() -> Callable[[bytes], bool]:
    """Return what decodes a payload as a tick does: as a row of the arrivals, beside a sound one."""
    sound = input_seeds()["one"]
    data = np.full((2, ARRIVAL_BYTES), 0xAA, np.uint8)
    rows = np.array([3, 5])

    def take(case: bytes) -> bool:
        case = case[:ARRIVAL_BYTES]
        for row, payload in enumerate((case, sound)):
            data[row, : len(payload)] = np.frombuffer(payload, np.uint8)
        decoded = decode_input_matrix(rows, data[:, :MAX_INPUT_BYTES], np.array([len(case), len(sound)]))
        assert decoded.refused + len(decoded.payloads) == 2
        assert 5 in decoded.rows
        return decoded.refused == 0

    return take


def input_payload(count: int) -> bytes:
    """Return an input payload of so many records."""
    records = np.zeros(count, INPUT_RECORD)
    records["seq"] = np.arange(1, count + 1)
    records["move_x"] = -127
    return np.array((INPUT, count, 9), INPUT_HEADER).tobytes() + records.tobytes()


def input_seeds() -> dict[str, bytes]:
    """Return payloads of the least and the most records."""
    return {"one": input_payload(1), "most": input_payload(MAX_INPUTS_PER_PACKET)}


def snapshots() -> Callable[[bytes], bool]:
    """Return what reads a payload as a client does that has decoded one snapshot."""
    baseline = snapshot_payload(1, 0, 3, {place: b"\xff" + entity(place + 2) for place in range(3)})

    def take(case: bytes) -> bool:
        reader = SnapshotReader()
        assert not isinstance(reader.read(baseline), Refused)
        snapshot = reader.read(case)
        if isinstance(snapshot, Refused):
            assert reader.newest_tick == 1
            return False
        assert reader.newest_tick == snapshot.tick > 1
        assert np.isfinite(snapshot.positions(200.0)).all()
        snapshot.kinds()
        return True

    return take


def snapshot_payload(tick: int, baseline: int, slots: int, changes: dict[int, bytes]) -> bytes:
    """Return a snapshot with these changes by place."""
    header = np.zeros((), SNAPSHOT_HEADER)
    header["kind"], header["slots"], header["tick"], header["baseline_tick"] = SNAPSHOT, slots, tick, baseline
    header["dilation"] = 1000
    mask = sum(1 << place for place in changes).to_bytes((slots + 7) // 8, "little")
    return header.tobytes() + entity(1) + mask + b"".join(changes[place] for place in sorted(changes))


def entity(number: int) -> bytes:
    """Return an entity's record."""
    record = np.zeros((), ENTITY)
    record["id"], record["x"], record["y"] = number, 1000 + number, 2000
    return record.tobytes()


def snapshot_seeds() -> dict[str, bytes]:
    """Return a whole snapshot, one that builds on it, and one of each way to tell a change."""
    return {
        "whole": snapshot_payload(2, 0, 64, {place: b"\xff" + entity(place + 2) for place in range(64)}),
        "changes": snapshot_payload(
            2,
            1,
            9,
            {
                0: b"\x01\x05\xfb",
                1: b"\x7e" + b"\1\2\3" + b"\4\0" + b"\5\6\7" + b"\x08\x09\x0a",
                2: b"\x80",
                8: b"\xff" + entity(60),
            },
        ),
        "a-leap": snapshot_payload(3, 1, 3, {2: b"\x03\xff\xff\0\0"}),
    }


def frames_from_client() -> Callable[[bytes], bool]:
    """Return what decodes a frame as a gateway does: its first byte says whether it is text."""

    def take(case: bytes) -> bool:
        return decode_frame(as_frame(case))[0] is not None

    return take


def frames_from_server() -> Callable[[bytes], bool]:
    """Return what decodes a frame as the client does."""

    def take(case: bytes) -> bool:
        message = read_frame(as_frame(case))
        return not (isinstance(message, to_client.Notice) and "cannot be read" in message.text)

    return take


def as_frame(case: bytes) -> str | bytes:
    """Return a WebSocket frame: text, which a library has checked to be UTF-8, or binary."""
    return case[1:].decode(errors="replace") if case[:1] == b"t" else case[1:]


def frames(messages: Mapping[str, object]) -> dict[str, bytes]:
    """Return each message as a text and as a binary frame."""
    text = {f"{name}-json": b"t" + msgspec.json.encode(message) for name, message in messages.items()}
    return text | {
        f"{name}-msgpack": b"b" + msgspec.msgpack.encode(message) for name, message in messages.items()
    }


def client_frames() -> dict[str, bytes]:
    """Return frames of a client."""
    return frames(
        {
            "hello": from_client.Hello(1, "fuzz", ticket="t" * 40),
            "enter": from_client.Enter(SOMEBODY),
            "say": from_client.Say(1, "hello"),
            "describe": from_client.Describe(2, [1, 2, 2**32 - 1]),
            "use-portal": from_client.UsePortal(3, "to-mossgate"),
            "trade-offer": from_client.TradeOffer(
                4, [from_client.OfferedItem("crown", 1, SOMEBODY)], 2**53 - 1
            ),
            "trade-confirm": from_client.TradeConfirm(5, 2**32 - 1),
            "give": from_client.Give(6, "Bob", [from_client.OfferedItem("bread", 1_000_000)] * 12),
            "mail-send": from_client.MailSend(7, "Bob", "Hello", "How are you?", money=3),
            "mail-take": from_client.MailTake(8, SOMEBODY),
        }
    )


def server_frames() -> dict[str, bytes]:
    """Return frames of a server."""
    return frames(
        {
            "notice": to_client.Notice("welcome", "info"),
            "pong": to_client.Pong(1),
            "trade-changed": to_client.TradeChanged(
                2, to_client.TradeSide("Alice", [BREAD], 3, True), to_client.TradeSide("Bob", [], 0)
            ),
            "trade-ended": to_client.TradeEnded("Bob", True, "You have it."),
            "mail-is": to_client.MailIs(1, [LETTER], 3),
            "refused": to_client.Refused(code="not_now", reason="r", advice="a", seq=1),
        }
    )


def batches(decoder: msgspec.msgpack.Decoder) -> Callable[[], Callable[[bytes], bool]]:
    """Return what decodes a batch of the bus. An empty list is what a refused one is, too."""

    def take(case: bytes) -> bool:
        with structlog.testing.capture_logs():
            return bool(decode_batch({"payload": case}, decoder))

    return lambda: take


def cluster_batches() -> dict[str, bytes]:
    """Return batches to a cluster."""
    admit = bus.Admit(
        session=SOMEBODY,
        request=SOMEBODY,
        instance=1,
        character=SOMEBODY,
        name="Alice",
        state=new_character_state(),
        gateway="gate",
        link=1,
        order=1,
    )
    return {
        "admit": bus.encoder.encode([admit]),
        "two-messages": bus.encoder.encode([bus.Freeze(SOMEBODY, SOMEBODY, 1, 2), bus.Saved(SOMEBODY, 3)]),
        "exchange": bus.encoder.encode(
            [
                bus.Hold(SOMEBODY, SOMEBODY, 4, 5),
                bus.Settle(SOMEBODY, 4, SOMEBODY, new_character_state(), "Done.", 6),
                bus.LineIs(SOMEBODY, "fork"),
            ]
        ),
    }


def daemon_batches() -> dict[str, bytes]:
    """Return batches to a world daemon."""
    state = new_character_state()
    resident = bus.Resident(SOMEBODY, 1, (1.0, 2.0, 3.0), 0.0, True, 4, held=SOMEBODY, after=SOMEBODY)
    ask = from_client.TradeOffer(4, [from_client.OfferedItem("crown", 1, SOMEBODY)], 5)
    return {
        "exchange": bus.encoder.encode(
            [
                bus.Held("east", SOMEBODY, SOMEBODY, state, 3, 4, SOMEBODY),
                bus.Checkpoint("east", SOMEBODY, state, "item", 3, 4, SOMEBODY),
                bus.Residents("east", 7, [resident]),
            ]
        ),
        "trade": bus.encoder.encode([bus.LinkMessage("gate", 7, 1, ask)]),
    }


def documents() -> Callable[[bytes], bool]:
    """Return what reads a character document."""

    def take(case: bytes) -> bool:
        try:
            state = decode_state(case)
        except InvalidState:
            return False
        assert decode_state(encode_state(state)) == state
        return True

    return take


def document_seeds() -> dict[str, bytes]:
    """Return a new character's document."""
    return {"new": encode_state(new_character_state())}


PAYLOAD_DECODERS = (
    Decoder("inputs", inputs, input_seeds, ("zonecluster.simulation.inputs",)),
    Decoder("snapshots", snapshots, snapshot_seeds, ("zonecluster.protocol.snapshot_view",)),
    Decoder("world-link-from-client", frames_from_client, client_frames, ("waystone.gateway.link",)),
    Decoder("world-link-to-client", frames_from_server, server_frames, ("waystone_client.world_link",)),
    Decoder("bus-to-cluster", batches(bus.cluster_decoder), cluster_batches, ("worlds.bus",)),
    Decoder("bus-to-daemon", batches(bus.daemon_decoder), daemon_batches, ("worlds.bus",)),
    Decoder("character-document", documents, document_seeds, ("zonecluster.protocol.character",)),
)
