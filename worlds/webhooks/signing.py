"""Secrets of webhooks, and signatures by them.

Source: the Standard Webhooks specification, 1.0: HMAC-SHA256 over `id.timestamp.body`, secrets as `whsec_`
and base64. A secret follows from the deployment's own secret key, the webhook's id and a number that a
rotation raises. So the database holds none, and who reads it can forge nothing; a new secret key of the
deployment changes them all.
"""

import hmac
from base64 import b64encode
from collections.abc import Sequence
from uuid import UUID

PREFIX = "whsec_"


def derived_secret(secret_key: str, webhook: UUID, number: int) -> bytes:
    """Return a webhook's secret, 32 bytes."""
    return hmac.digest(secret_key.encode(), b"waystone webhook 1\0%b\0%d" % (webhook.bytes, number), "sha256")


def shown(secret: bytes) -> str:
    """Return a secret as its owner gets it."""
    return PREFIX + b64encode(secret).decode()


def signed_headers(secrets: Sequence[bytes], delivery: UUID, timestamp: int, body: bytes) -> dict[str, str]:
    """Return the headers of one attempt. Args: secrets: the newest first; timestamp: seconds since 1970."""
    content = f"{delivery}.{timestamp}.".encode() + body
    signatures = (b64encode(hmac.digest(secret, content, "sha256")).decode() for secret in secrets)
    return {
        "webhook-id": str(delivery),
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
    }
