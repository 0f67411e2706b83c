"""Base64url without padding, as JOSE uses it. Source: RFC 7515, section 2."""

from base64 import urlsafe_b64decode, urlsafe_b64encode


def encode_base64url(data: bytes) -> str:
    """Return base64url text without padding."""
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def decode_base64url(text: str) -> bytes:
    """Return the bytes of base64url text without padding.

    Raises: ValueError: not base64url.
    """
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
