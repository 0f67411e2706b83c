"""The embedded servers themselves: real, private, and not to be started twice on the same data."""

import os
import stat
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest
from django.core.cache import cache
from django.db import connection


@pytest.mark.django_db
def test_django_talks_to_the_embedded_postgres_with_checksums():
    with connection.cursor() as cursor:
        cursor.execute("SHOW data_checksums")
        assert cursor.fetchone() == ("on",)
        cursor.execute("SHOW server_version")
        assert cursor.fetchone()[0].startswith("18.")


def test_the_cache_is_the_embedded_valkey():
    cache.set("answer", 42)
    assert cache.get("answer") == 42


def test_a_wrong_password_is_refused():
    url = os.environ["DATABASE_URL"]
    password = urlsplit(url).password
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(url.replace(password, "wrong"))


def test_the_socket_is_in_a_private_folder():
    folder = Path(parse_qs(urlsplit(os.environ["DATABASE_URL"]).query)["host"][0])
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for name in ("postgres.password", "valkey.password", "valkey.conf"):
        assert stat.S_IMODE((folder.parent / name).stat().st_mode) == 0o600
