"""A deployment with something to lose, and backups that go to folders of this test."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from django.utils import timezone

from characters.services import create_character
from tests.integration.worlds.makers import make_account, make_world
from waystone.backup_config import BackupConfig
from waystone.backups.database import own_database

Change = Callable[..., BackupConfig]


@pytest.fixture
def backups(settings, tmp_path: Path) -> Change:
    """Give a function that changes this deployment's settings of backups, and returns them."""

    def change(**fields: object) -> BackupConfig:
        settings.CONFIG = replace(settings.CONFIG, backup=replace(settings.CONFIG.backup, **fields))
        return settings.CONFIG.backup

    change(folder=tmp_path / "backups", target="")
    return change


@pytest.fixture
def played(transactional_db):
    """Alice has two characters; the world is Aurora."""
    make_world("aurora")
    alice = make_account("alice")
    now = timezone.now()
    return [create_character(account=alice, name=name, by=alice, now=now) for name in ("Rowan", "Ash")]


@pytest.fixture
def databases() -> Callable[[], set[str]]:
    """Give what lists the databases of the server."""

    def names() -> set[str]:
        with own_database().connect() as opened:
            return {name for (name,) in opened.execute("SELECT datname FROM pg_database").fetchall()}

    return names
