"""One PostgreSQL database as tools reach it: by keywords of libpq, never with a password as an argument."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import psycopg
from django.db import connection
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import Conninfo

CONNECT_TIMEOUT_S = 10
_VARIABLES = {
    option.keyword.decode(): option.envvar.decode()
    for option in Conninfo.get_defaults()
    if option.envvar is not None
}


@dataclass(frozen=True)
class Database:
    """A database by libpq's keywords: host, port, user, password, dbname, sslmode, …"""

    keywords: Mapping[str, str]

    @property
    def name(self) -> str:
        return self.keywords.get("dbname", "")

    def named(self, name: str) -> Database:
        """Return another database of the same server."""
        return Database({**self.keywords, "dbname": name})

    def environment(self) -> dict[str, str]:
        """Return what PostgreSQL's tools read instead of arguments, which the whole machine sees."""
        return {_VARIABLES[key]: value for key, value in self.keywords.items() if key in _VARIABLES}

    def url(self) -> str:
        """Return it as a DATABASE_URL."""
        rest = dict(self.keywords)
        user, password = quote(rest.pop("user", ""), safe=""), quote(rest.pop("password", ""), safe="")
        name, port = quote(rest.pop("dbname", ""), safe=""), rest.pop("port", "")
        return f"postgresql://{user}:{password}@localhost{':' * bool(port)}{port}/{name}?{urlencode(rest)}"

    @contextmanager
    def connect(self, *, autocommit: bool = False) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
        """Open a connection of its own, not one of Django's."""
        options: dict[str, Any] = {"connect_timeout": CONNECT_TIMEOUT_S, **self.keywords}
        opened = psycopg.connect(autocommit=autocommit, application_name="waystone backups", **options)
        with opened:
            yield opened

    def server_version(self) -> int:
        """Return the server's version as 180006 for 18.6."""
        with self.connect() as opened:
            return opened.info.server_version

    def exists(self) -> bool:
        """Return whether there is such a database on the server."""
        with self.named("postgres").connect() as opened:
            found = opened.execute("SELECT 1 FROM pg_database WHERE datname = %s", [self.name]).fetchone()
        return found is not None

    def create(self) -> None:
        """Make it, empty."""
        with self.named("postgres").connect(autocommit=True) as opened:
            opened.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(self.name)))

    def drop(self) -> None:
        """Drop it with whoever is connected to it; nothing happens if there is none."""
        with self.named("postgres").connect(autocommit=True) as opened:
            opened.execute(
                sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(self.name))
            )


def own_database() -> Database:
    """Return this deployment's database, as Django has it."""
    found = connection.settings_dict
    names = {"host": "HOST", "port": "PORT", "user": "USER", "password": "PASSWORD", "dbname": "NAME"}
    keywords = {key: str(found[name]) for key, name in names.items() if found.get(name)}
    options = {key: str(value) for key, value in found.get("OPTIONS", {}).items() if key in _VARIABLES}
    return Database({**options, **keywords})


def database_of_url(url: str) -> Database:
    """Return the database that a URL names.

    Raises: psycopg.ProgrammingError: it is none.
    """
    return Database({key: str(value) for key, value in conninfo_to_dict(url).items() if value is not None})
