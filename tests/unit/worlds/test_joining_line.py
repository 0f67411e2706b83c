"""The line that a machine is started with, read from whatever was pasted."""

import pytest

from worlds.uplink.joining import BadLine, JoinLine, parse_line

CODE = "abcdefgh234567abcdefgh23"


def test_the_whole_line_is_read_as_it_is_written() -> None:
    line = JoinLine("northlight", CODE, "https://play.example.org:8443")
    assert parse_line(str(line)) == line
    assert parse_line(f" {line}/ ") == line, "spaces around, and a slash at the end, do no harm"
    assert parse_line(f"northlight:{CODE.upper()}@https://play.example.org:8443") == line


def test_a_slug_alone_is_a_world_that_has_joined_before() -> None:
    assert parse_line("northlight") == JoinLine("northlight")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "a world's name"),
        ("Northlight", "a world's name"),
        ("../../etc", "a world's name"),
        ("northlight:", "not whole"),
        (f"northlight:{CODE}", "not whole"),
        (f"northlight:{CODE[:-1]}@https://a.example", "not whole"),
        (f"northlight:{CODE}@a.example", "no address of a site"),
        (f"northlight:{CODE}@file:///etc/passwd", "no address of a site"),
        (f"northlight:{CODE}@https://user:word@a.example", "no address of a site"),
        (f"northlight:{CODE}@https://a.example/?x=1", "no address of a site"),
    ],
)
def test_what_cannot_be_read_is_said(text: str, says: str) -> None:
    with pytest.raises(BadLine, match=says):
        parse_line(text)
