"""Frames of the host link: cut out of any stream of bytes, bounded, refused if they are none."""

from random import Random

import pytest

from worlds.hosts.messages import (
    LENGTH_BYTES,
    MAX_CLUSTERS,
    MAX_FRAME_BYTES,
    BadFrame,
    ClusterRun,
    FrameReader,
    Kill,
    ProcessRun,
    Report,
    Wanted,
    decode_from_agent,
    decode_from_daemon,
    encoder,
    frame,
)


def test_frames_come_out_as_they_went_in_however_they_are_cut():
    messages = [
        Wanted(clusters={"east": 3}, processes={"gateway": 1}),
        Kill(cluster="east", run=2**63 - 1),
    ] * 20
    data, random = b"".join(frame(each) for each in messages), Random(1)
    reader, bodies = FrameReader(), []
    while data:
        size = random.choice((1, 2, 3, 7, 100))
        bodies += reader.feed(data[:size])
        data = data[size:]
    assert [decode_from_daemon(body) for body in bodies] == messages


@pytest.mark.parametrize("size", [0, MAX_FRAME_BYTES + 1, 2**31, 2**32 - 1])
def test_a_length_that_cannot_be_is_refused_before_anything_is_kept(size):
    with pytest.raises(BadFrame, match="frame of"):
        FrameReader().feed(size.to_bytes(LENGTH_BYTES, "big"))


def test_the_fullest_report_fits_into_a_frame():
    name = "a" * 24
    runs = [
        ClusterRun(
            name=name, generation=2**53, state="stopping", run=2**63 - 1, pid=2**31 - 1, deaths=2**31 - 1
        )
        for _ in range(MAX_CLUSTERS)
    ]
    others = [ProcessRun(name=name, generation=1, state="ready")] * 16
    report = Report(clusters=runs, cores=64.0, memory_mb=2**31 - 1, processes=others)
    assert decode_from_agent(frame(report)[LENGTH_BYTES:]) == report


def test_what_is_too_long_is_not_sent():
    runs = [
        ClusterRun(name="east", generation=0, state="ready", run=1, reason="x" * 400)
        for _ in range(MAX_CLUSTERS)
    ]
    with pytest.raises(ValueError, match="too long"):
        frame(Report(clusters=runs, cores=1.0, memory_mb=1))


RUN = {"generation": 0, "state": "ready", "run": 1}
NOT_OF_AN_AGENT = {
    "nothing": b"",
    "no MessagePack": b"\xc1",
    "a daemon's message": encoder.encode(Kill(cluster="east", run=1)),
    "too many clusters": encoder.encode(
        {"t": "Report", "cores": 1.0, "memory_mb": 1, "clusters": [{}] * (MAX_CLUSTERS + 1)}
    ),
    "a name with a slash": encoder.encode(
        {"t": "Report", "cores": 1.0, "memory_mb": 1, "clusters": [RUN | {"name": "../east"}]}
    ),
    "cores that are no number": encoder.encode(
        {"t": "Report", "cores": float("nan"), "memory_mb": 1, "clusters": []}
    ),
    "text that is no UTF-8": b"\x81\xa1t\xa5Hell\xff",
    "nested without end": b"\x91" * 60_000,
}


@pytest.mark.parametrize("case", NOT_OF_AN_AGENT)
def test_what_is_no_message_of_an_agent_is_refused(case):
    with pytest.raises(BadFrame):
        decode_from_agent(NOT_OF_AN_AGENT[case])


def test_what_is_no_message_of_a_daemon_is_refused():
    with pytest.raises(BadFrame):
        decode_from_daemon(encoder.encode({"t": "Wanted", "clusters": {"../../etc": 1}}))
