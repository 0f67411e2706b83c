"""The scripts that PostgreSQL calls, and which of the log is kept."""

import gzip
import subprocess
from pathlib import Path

import pytest

from waystone.backups.wal import SCRIPTS, archive_command, restore_command
from waystone.backups.wal_bases import useless

NAME = "000000010000000000000007"


def run(script: str, *arguments: object) -> int:
    argv = ["/bin/sh", str(SCRIPTS / script), *map(str, arguments)]
    environment = {"PATH": "/usr/bin:/bin"}
    return subprocess.run(argv, env=environment, check=False, capture_output=True, timeout=60).returncode


@pytest.fixture
def piece(tmp_path: Path) -> Path:
    (tmp_path / "wal").mkdir()
    path = tmp_path / "piece"
    path.write_bytes(b"log" * 9000)
    return path


def test_a_piece_is_archived_once_and_asked_for_again_it_is_there(tmp_path, piece):
    assert run("archive_wal.sh", tmp_path / "wal", piece, NAME) == 0
    assert gzip.decompress((tmp_path / "wal" / f"{NAME}.gz").read_bytes()) == piece.read_bytes()
    assert run("archive_wal.sh", tmp_path / "wal", piece, NAME) == 0
    assert [path.name for path in (tmp_path / "wal").iterdir()] == [f"{NAME}.gz"]


def test_another_servers_piece_is_never_overwritten(tmp_path, piece):
    run("archive_wal.sh", tmp_path / "wal", piece, NAME)
    before = (tmp_path / "wal" / f"{NAME}.gz").read_bytes()
    piece.write_bytes(b"something else")
    assert run("archive_wal.sh", tmp_path / "wal", piece, NAME) != 0
    assert (tmp_path / "wal" / f"{NAME}.gz").read_bytes() == before


def test_a_folder_that_is_not_there_keeps_the_piece_with_postgresql(tmp_path, piece):
    assert run("archive_wal.sh", tmp_path / "unmounted", piece, NAME) != 0
    assert not (tmp_path / "unmounted").exists()


def test_a_piece_comes_back_and_one_that_is_not_there_is_said_not_to_be(tmp_path, piece):
    run("archive_wal.sh", tmp_path / "wal", piece, NAME)
    assert run("restore_wal.sh", tmp_path / "wal", NAME, tmp_path / "back") == 0
    assert (tmp_path / "back").read_bytes() == piece.read_bytes()
    assert run("restore_wal.sh", tmp_path / "wal", "000000010000000000000008", tmp_path / "no") == 1
    assert not (tmp_path / "no").exists()


def test_a_damaged_piece_is_not_taken_for_the_end_of_the_log(tmp_path, piece):
    """PostgreSQL ends recovery, and opens the database, at 1; at more than 125 it gives up and says so."""
    run("archive_wal.sh", tmp_path / "wal", piece, NAME)
    archived = tmp_path / "wal" / f"{NAME}.gz"
    archived.write_bytes(archived.read_bytes()[:-12])
    assert run("restore_wal.sh", tmp_path / "wal", NAME, tmp_path / "back") == 126


def test_folders_with_blanks_and_per_cent_signs_are_quoted():
    command = archive_command(Path("/srv/my scripts"), Path("/mnt/100% safe"))
    assert command == "'/srv/my scripts/archive_wal.sh' '/mnt/100%% safe/wal' \"%p\" \"%f\""
    assert restore_command(Path("/s"), Path("/a")) == '/s/restore_wal.sh /a/wal "%f" "%p"'


def test_what_no_base_backup_needs_is_named_and_nothing_else():
    names = [
        "000000010000000000000006.gz", "000000010000000000000007.gz", "000000020000000000000005.gz",
        "000000010000000000000005.00000028.backup.gz", "00000002.history.gz", ".x.part", "notes.txt",
    ]  # fmt: skip
    assert useless(names, NAME) == [names[3], names[0], names[2]]
