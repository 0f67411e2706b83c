"""The audit of dependencies: what is read of locks, indexes and advisory files, all of it a stranger's."""

import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from waystone import advisories
from waystone.advisories import CannotAsk, audit_by_folder, audit_by_index, index_of, releases_in, told_by_osv

ROOT = Path(__file__).resolve().parents[3]
HELP = "-i, --index-url <url>  Base URL of the\n   Index (default\n   https://index.example/simple). This"
OURS = {"lantern": "2.4", "moss": "1.0"}
WEAKNESS = {"id": "EX-1", "fixed_in": ["2.5"], "summary": "Mallory \x1b[31mreads\nall"}


def affected(name: str, *events: dict) -> dict:
    ranges = [{"type": "ECOSYSTEM", "events": list(events)}]
    return {"package": {"ecosystem": "PyPI", "name": name}, "ranges": ranges}


def osv(*events: dict, **more: object) -> dict:
    return {"id": "EX-1", "affected": [affected("Lantern", *events)], **more}


def test_every_pin_of_our_locks_is_read():
    for name in advisories.LOCKS:
        text = (ROOT / "requirements" / name).read_text()
        pins = [line for line in text.splitlines() if "==" in line and not line.lstrip().startswith("#")]
        assert len(releases_in(text)) == len(pins) > 50
    assert releases_in("Foo_Bar[x]==1.2 \\\n    --hash=sha256:00\nbaz==3\n") == {"foo-bar": "1.2", "baz": "3"}


@pytest.mark.parametrize(
    ("events", "is_known"),
    [
        (({"introduced": "0"},), True),
        (({"introduced": "0"}, {"fixed": "2.5"}), True),
        (({"introduced": "0"}, {"fixed": "2.4"}), False),
        (({"introduced": "2.5"},), False),
        (({"introduced": "0"}, {"last_affected": "2.4"}), True),
        (({"introduced": "0"}, {"last_affected": "2.3.9"}), False),
        (({"introduced": "1.0"}, {"fixed": "1.5"}, {"introduced": "2.0"}, {"fixed": "2.4.1"}), True),
        (({"introduced": "2.10"}, {"fixed": "2.11"}), False),
        (({"introduced": "no version"},), False),
    ],
)
def test_a_range_holds_a_release_or_not(events, is_known):
    assert bool(told_by_osv(OURS, osv(*events))) == is_known


def test_what_is_withdrawn_or_of_others_is_not_told():
    assert not told_by_osv(OURS, osv({"introduced": "0"}, withdrawn="2024-01-01"))
    assert not told_by_osv({"moss": "1.0"}, osv({"introduced": "0"}))
    for rubbish in (None, [], "x", {"affected": 3}, {"affected": [None, {"package": "x"}, {"package": {}}]}):
        assert told_by_osv(OURS, rubbish) == []


def test_a_folder_is_read_whatever_is_in_it(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "one.json").write_text(json.dumps(osv({"introduced": "0"})))
    two = "id: EX-2\naffected:\n- package: {ecosystem: PyPI, name: moss}\n  versions: ['1.0']\n"
    (tmp_path / "two.yaml").write_text(two)
    (tmp_path / "code.yaml").write_text("!!python/object/apply:os.system ['false']\n")
    (tmp_path / "cut.json").write_text("{")
    (tmp_path / "readme.md").write_text("x")
    found, failed, read = audit_by_folder(OURS, tmp_path)
    assert [(one.package, one.id) for one in found] == [("lantern", "EX-1"), ("moss", "EX-2")]
    assert (len(failed), read) == (2, 2)


def test_the_index_is_the_one_that_pip_is_set_to():
    assert index_of("", HELP) == ("https://index.example", "")
    both = "global.index-url='https://own.example/root/simple/'\nglobal.cert='/etc/own.pem'\n"
    assert index_of(both, HELP) == ("https://own.example/root", "/etc/own.pem")
    assert index_of(both + ":env:.index-url='http://127.0.0.1:1'\n", HELP)[0] == "http://127.0.0.1:1"
    with pytest.raises(CannotAsk, match="no index"):
        index_of("global.index-url='file:///srv/wheels'", HELP)


@pytest.fixture
def index() -> Iterator[str]:
    """An index on loopback that knows one weakness, and answers oddly about odd packages."""
    answers = {
        "/pypi/lantern/2.4/json": json.dumps({"vulnerabilities": [WEAKNESS, {**WEAKNESS, "withdrawn": "x"}]}),
        "/pypi/moss/1.0/json": json.dumps({"vulnerabilities": []}),
        "/pypi/other/1/json": json.dumps({"info": {}}),
        "/pypi/nonsense/1/json": "<html>",
        "/pypi/deep/1/json": "[" * 100_000,
    }

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = answers.get(self.path)
            self.send_response(404 if body is None else 200)
            self.end_headers()
            self.wfile.write((body or "").encode())

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_an_index_is_asked_and_odd_answers_are_told(index):
    odd = {"other": "1", "nonsense": "1", "deep": "1", "gone": "1"}
    said: list[str] = []
    found, failed = audit_by_index(OURS | odd, advisories.asker(index, ""), said.append)
    assert [(one.id, one.fixed_in) for one in found] == [("EX-1", "2.5")]
    assert "\x1b" not in str(found[0]), "an advisory does not steer a terminal"
    assert sorted(text.split()[0] for text in failed) == sorted(odd)
    assert said == ["6 of 6 releases"]


def test_an_index_that_is_not_there_is_given_up_soon_and_is_no_finding(monkeypatch, capsys):
    def away(package: str, version: str) -> object:
        raise CannotAsk(f"{package} {version}: nobody there")

    monkeypatch.setattr(advisories, "_pip", lambda *arguments: HELP if "install" in arguments else "")
    monkeypatch.setattr(advisories, "asker", lambda index, certificates: away)
    assert advisories.main([]) == advisories.UNASKED
    said = capsys.readouterr().out
    assert said.count("nobody there") == advisories.AT_ONCE
    assert said.strip().endswith("could not be looked up.")


def test_an_answer_without_end_is_cut_off(index, monkeypatch):
    monkeypatch.setattr(advisories, "MAX_BYTES", 10)
    _, failed = audit_by_index(OURS, advisories.asker(index, ""), lambda text: None)
    assert all("more than 10 bytes" in text for text in failed) and len(failed) == 2


def test_what_is_known_is_exit_code_1(tmp_path, capsys):
    known = {"id": "EX-9", "affected": [affected("django", {"introduced": "0"})]}
    (tmp_path / "one.json").write_text(json.dumps(known))
    assert advisories.main(["--advisories", str(tmp_path)]) == advisories.FOUND
    assert "django" in capsys.readouterr().out
    assert advisories.main(["--advisories", str(tmp_path), "numpy"]) == 0
    assert advisories.main(["--advisories", str(tmp_path / "none")]) == advisories.UNASKED
