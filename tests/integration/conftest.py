"""Common to integration tests."""

import pytest


@pytest.fixture(autouse=True)
def _plain_static_files(settings) -> None:
    """Pages name static files as they are: hashed names exist only after collectstatic."""
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    }
