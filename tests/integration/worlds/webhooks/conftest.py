"""A world with its owner, and a receiver: a real server on this machine."""

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from django.utils import timezone

from tests.integration.worlds.makers import make_account, make_world


@pytest.fixture
def now():
    return timezone.now()


@pytest.fixture
def alice():
    return make_account("alice")


@pytest.fixture
def world(alice, now):
    return make_world("lantern", owner=alice, last_report_at=now)


@pytest.fixture
def receiver(settings):
    """An HTTP server that notes what it gets, and answers what `statuses` says, then 204."""
    settings.PUBLIC_URL = "http://127.0.0.1:8000"

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            server.got.append((dict(self.headers), body))
            self.send_response(server.statuses.pop(0) if server.statuses else 204)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args):
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    server.got, server.statuses = [], []
    server.url = f"http://127.0.0.1:{server.server_port}/hook?guild=3"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()
