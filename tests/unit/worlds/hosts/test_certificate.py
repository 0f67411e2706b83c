"""The daemon's certificate: made once, kept, pinned by its fingerprint, TLS 1.3 only."""

import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from worlds.hosts.certificate import (
    UnusableCertificate,
    client_context,
    is_pinned,
    load_or_create_certificate,
)


def test_it_is_made_once_and_readable_by_its_user_only(tmp_path):
    path = tmp_path / "keys" / "hosts-demo.pem"
    made = load_or_create_certificate(path, "demo")
    assert load_or_create_certificate(path, "demo") == made
    assert path.stat().st_mode & 0o777 == 0o600 and [each.name for each in path.parent.iterdir()] == [
        path.name
    ]
    assert load_or_create_certificate(tmp_path / "other.pem", "demo").fingerprint != made.fingerprint


def test_the_fingerprint_is_of_what_a_client_sees(tmp_path):
    made = load_or_create_certificate(tmp_path / "c.pem", "demo")
    der = x509.load_pem_x509_certificate((tmp_path / "c.pem").read_bytes()).public_bytes(Encoding.DER)
    assert is_pinned(der, made.fingerprint)
    assert not is_pinned(der[:-1], made.fingerprint) and not is_pinned(None, made.fingerprint)


def test_nothing_older_than_tls_1_3_is_spoken(tmp_path):
    made = load_or_create_certificate(tmp_path / "c.pem", "demo")
    assert made.server_context().minimum_version == client_context().minimum_version == ssl.TLSVersion.TLSv1_3


@pytest.mark.parametrize(
    "content", [b"", b"rubbish", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
def test_a_file_that_is_none_is_named_and_left_as_it_is(tmp_path, content):
    path = tmp_path / "c.pem"
    path.write_bytes(content)
    with pytest.raises(UnusableCertificate, match=r"c\.pem.*join again"):
        load_or_create_certificate(path, "demo")
    assert path.read_bytes() == content
