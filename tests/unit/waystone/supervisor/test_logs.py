"""Log files of supervised processes."""

from waystone.supervisor.logs import last_lines, rotate_if_large


def test_a_large_log_is_moved_aside_and_appending_goes_on_at_the_new_end(tmp_path):
    path = tmp_path / "web.log"
    with path.open("ab", buffering=0) as process:
        process.write(b"x" * 200)
        assert rotate_if_large(path, limit_bytes=100)
        process.write(b"after\n")
    assert path.read_bytes() == b"after\n"
    assert (tmp_path / "web.log.1").read_bytes() == b"x" * 200


def test_a_small_log_stays(tmp_path):
    path = tmp_path / "web.log"
    assert not rotate_if_large(path, limit_bytes=100)
    path.write_bytes(b"x" * 100)
    assert not rotate_if_large(path, limit_bytes=100)
    assert path.stat().st_size == 100


def test_the_last_lines_are_those_of_this_life_only(tmp_path):
    path = tmp_path / "web.log"
    path.write_text("an earlier life\n")
    start = path.stat().st_size
    path.write_text("an earlier life\none\n\ntwo\nthree\n")
    assert last_lines(path, start, count=2) == ["two", "three"]
    assert last_lines(path, start, count=9) == ["one", "two", "three"]
    assert last_lines(tmp_path / "none.log", 0, count=2) == []


def test_a_log_that_was_cut_meanwhile_is_read_from_its_beginning(tmp_path):
    path = tmp_path / "web.log"
    path.write_text("new\n")
    assert last_lines(path, since_byte=10_000, count=3) == ["new"]
