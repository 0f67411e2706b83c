"""A shop with Stripe: its webhooks signed here as Stripe signs them, its API a server on loopback."""

import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from payments.core import PROVIDER_CACHE

from waystone.shop_config import payment_variants

SECRET = "whsec_of_the_tests"  # noqa: S105
KEY = "sk_test_of_the_tests"
WEBHOOK = "/premium/webhooks/stripe/"


class StripesApi(ThreadingHTTPServer):
    """Answers what a test put into `answers` by method and path, and keeps what was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: dict[str, Any] = {}
        self.asked: list[tuple[str, dict[str, str], dict[str, str]]] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: StripesApi

    def _answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        fields = parse_qs(self.rfile.read(length).decode())
        what = f"{self.command} {urlsplit(self.path).path}"
        values = {name: each[-1] for name, each in fields.items()}
        self.server.asked.append((what, values, dict(self.headers)))
        status, body = self.server.answers.get(what, (404, {"error": {"message": f"no {what}"}}))
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = _answer  # noqa: N815  (names of the standard library)

    def log_message(self, *_: object) -> None:
        """Say nothing: the test looks at what was asked."""


@pytest.fixture
def api() -> Iterator[StripesApi]:
    server = StripesApi()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield server
    server.shutdown()
    thread.join(10)
    server.server_close()


@pytest.fixture
def stripe_shop(settings, api) -> Iterator[StripesApi]:
    """Let the site sell by Stripe."""
    settings.SHOP = replace(
        settings.SHOP, till="stripe", stripe_key=KEY, stripe_webhook_secret=SECRET, stripe_url=api.address
    )
    settings.PAYMENT_VARIANTS = payment_variants(settings.SHOP)
    PROVIDER_CACHE.pop("stripe", None)
    yield api
    PROVIDER_CACHE.pop("stripe", None)


def signed(body: bytes, secret: str = SECRET, at: float | None = None) -> str:
    """Sign a body. Source: Stripe's documentation, "Verify webhook signatures manually"."""
    stamp = int(time.time() if at is None else at)
    digest = hmac.new(secret.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={stamp},v1={digest}"


@pytest.fixture
def tell(client) -> Callable[..., Any]:
    """Send an event as Stripe does. Returns: the answer."""

    def send(
        kind: str, subject: dict[str, Any], event_id: str, created: int = 1772323200, **changes: Any
    ) -> Any:
        event = {
            "id": event_id,
            "object": "event",
            "type": kind,
            "created": 1772323200,
            "livemode": False,
            "data": {"object": subject},
            **changes,
        }
        body = json.dumps(event).encode()
        return client.post(
            WEBHOOK, body, content_type="application/json", headers={"Stripe-Signature": signed(body)}
        )

    return send
