"""What must never be in a log."""

import json
import logging
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import structlog
from django.test import RequestFactory

from waystone.logs import REDACTED, for_terminals, name_request, redact

ROOT = Path(__file__).resolve().parents[3]


def test_secret_fields_are_replaced_and_others_stay():
    event = {"event": "login_refused", "email": "alice@example.org", "resume_token": "t", "world": "demo"}
    assert redact(None, "info", event) == {
        "event": "login_refused",
        "email": REDACTED,
        "resume_token": REDACTED,
        "world": "demo",
    }


def test_structlog_and_the_standard_library_write_the_same_json_lines():
    code = (
        "import logging, structlog; from waystone.logs import configure\n"
        "configure({'format': 'json'})\n"
        "structlog.get_logger('a').info('saved', password='hunter2', version=3)\n"
        "logging.getLogger('b').warning('lost %s', 'link', extra={'token': 'abc'})\n"
    )
    env = {"PYTHONPATH": str(ROOT / "platform"), "WAYSTONE_PROCESS": "web"}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    first, second = (json.loads(line) for line in done.stderr.splitlines())
    assert (first["event"], first["version"], first["password"]) == ("saved", 3, REDACTED)
    assert (second["event"], second["token"], second["level"]) == ("lost link", REDACTED, "warning")
    assert first["process"] == second["process"] == "web"
    assert "hunter2" not in done.stderr and "abc" not in done.stderr


def test_lines_are_in_utc():
    code = "import structlog; from waystone.logs import configure; configure({'format': 'json'}); "
    code += "structlog.get_logger('a').warning('saved')"
    env = {"PYTHONPATH": str(ROOT / "platform"), "TZ": "Asia/Tokyo"}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    at = datetime.fromisoformat(json.loads(done.stderr)["timestamp"])
    assert at.utcoffset() == timedelta(0) and abs(datetime.now(UTC) - at) < timedelta(hours=1)


def test_what_a_stranger_sent_does_not_steer_the_operators_terminal():
    event = {
        "event": "Not Found: /a\x1b]0;owned\x07\u202e",
        "path": "/\x9b2J",
        "status": 404,
        "name": "Ærø 日本",
    }
    assert for_terminals(None, "info", event) == {
        "event": r"Not Found: /a\x1b]0;owned\x07\u202e",
        "path": r"/\x9b2J",
        "status": 404,
        "name": "Ærø 日本",
    }


def test_a_dead_redis_is_not_told_each_second():
    assert logging.getLogger("channels_redis.pubsub").level == logging.CRITICAL


def test_a_line_of_django_has_the_request_s_id_and_not_what_was_asked_for():
    request = RequestFactory().get("/worlds/?q=where+mallory+lives")
    with structlog.contextvars.bound_contextvars(request="0123456789abcdef"):
        told = name_request(None, "warning", {"event": "Not Found: /worlds/", "request": request})
    assert told == {"event": "Not Found: /worlds/", "request": "0123456789abcdef"}
    assert name_request(None, "info", {"request": "kept"}) == {"request": "kept"}
    assert name_request(None, "info", {"event": "x"}) == {"event": "x"}
