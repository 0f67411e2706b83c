"""What may be shown of a URL."""

import pytest

from waystone.supervisor.preparation import without_password


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (
            "postgresql://alice:s3cret@db.example:5432/waystone",
            "postgresql://alice:…@db.example:5432/waystone",
        ),
        ("redis://:s3cret@127.0.0.1:6379/0", "redis://:…@127.0.0.1:6379/0"),
        ("postgresql://alice@db.example/waystone", "postgresql://alice@db.example/waystone"),
    ],
)
def test_a_password_is_never_shown(url, shown):
    assert without_password(url) == shown
