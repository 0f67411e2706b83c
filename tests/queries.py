"""Whether a page asks the database the same however many rows there are."""

from collections.abc import Callable

from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext


def assert_same_queries(client: Client, path: str, grow: Callable[[], object]) -> None:
    """Get a page, let `grow` make (many) more rows, get it again: the second time costs no further query.

    A first request warms what is kept (sessions, content types) and does not count.
    """
    client.get(path)
    before = _queries(client, path)
    grow()
    after = _queries(client, path)
    new = [sql for sql in after if after.count(sql) > before.count(sql)]
    assert len(after) <= len(before), f"{path}: {len(before)} queries, then {len(after)}; more of: {new[:3]}"


def _queries(client: Client, path: str) -> list[str]:
    with CaptureQueriesContext(connection) as captured:
        answer = client.get(path)
    assert answer.status_code == 200, f"{path} answers {answer.status_code}"
    return [query["sql"].split(" WHERE ")[0] for query in captured]
