"""Common to integration tests."""

import pytest


@pytest.fixture(autouse=True)
def _plain_static_files(settings) -> None:
    """Pages name static files as they are: hashed names exist only after collectstatic."""
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    }


@pytest.fixture
def argon2() -> None:
    """Ask for it to have real password hashes; the other tests would spend most of their time on them."""


@pytest.fixture(autouse=True)
def _quick_passwords(request: pytest.FixtureRequest, settings) -> None:
    if "argon2" not in request.fixturenames:
        settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
