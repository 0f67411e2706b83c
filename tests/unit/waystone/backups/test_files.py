"""What lies on disks and at targets is whole or not there, and is believed only by its checksum."""

import os
import resource
import tarfile
from dataclasses import replace
from datetime import UTC, datetime
from io import BytesIO

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from waystone.backup_config import BucketAccess, checked_target, read_backup_config
from waystone.backups.errors import BackupError, NoRoom, NoTools, NotWhole, TargetGone
from waystone.backups.files import digest_of, whole_file
from waystone.backups.keys_archive import archive_keys, unpack_keys
from waystone.backups.manifest import Census, Manifest, Part, decode_manifest, encode_manifest
from waystone.backups.sealing import make_key_file, read_key_file, seal, unseal
from waystone.backups.targets import FolderTarget, target_of, verify_copy
from waystone.backups.tools import find_tools
from waystone.config import Config

NAME = "aurora-20261123T041500Z"
MANIFEST = Manifest(
    name=NAME,
    label="aurora",
    role="world",
    at=datetime(2026, 11, 23, 4, 15, tzinfo=UTC),
    server=180006,
    recipient="",
    parts=[Part(f"{NAME}.dump", 5, "0" * 64)],
    census=Census({"characters_line": 2}, "17"),
)


@pytest.fixture
def identity(tmp_path):
    make_key_file(tmp_path / "backup.key")
    return read_key_file(tmp_path / "backup.key")


@pytest.fixture
def full_disk():
    """Let no file of this process become larger than 64 KiB: writing fails as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (65_536, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_manifest_comes_back_as_it_was():
    assert decode_manifest(encode_manifest(MANIFEST)) == MANIFEST


@given(st.binary(max_size=300))
def test_what_is_no_manifest_is_said_to_be_none(raw):
    with pytest.raises(NotWhole):
        decode_manifest(raw)


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "../../etc/passwd"},
        {"parts": [Part("../../etc/cron.d/x", 5, "0" * 64)]},
        {"parts": [Part(f"{NAME}.dump/../../x", 5, "0" * 64)]},
        {"parts": [Part("borealis-20261123T041500Z.dump", 5, "0" * 64)]},
        {"parts": [Part(f"/{NAME}.dump", 5, "0" * 64)]},
        {"parts": []},
        {"parts": [Part(f"{NAME}.dump", -1, "0" * 64)]},
        {"parts": [Part(f"{NAME}.dump", 5, "zz")]},
        {"format": 2},
        {"mac": "é" * 64},
        {"mac": "0" * 63},
    ],
)
def test_a_hostile_manifest_leads_nowhere(changes):
    raw = msgspec.json.encode(msgspec.structs.replace(MANIFEST, **changes))
    with pytest.raises(NotWhole):
        decode_manifest(raw)


def test_a_target_that_sends_without_end_is_stopped(tmp_path):
    (tmp_path / "x.dump").write_bytes(b"more than it was")
    with pytest.raises(NotWhole, match="more than 5 bytes"):
        verify_copy(FolderTarget(tmp_path), "x.dump", size=5, sha256="0" * 64)


def test_a_file_is_there_whole_or_not_at_all(tmp_path):
    with pytest.raises(RuntimeError), whole_file(tmp_path / "a") as file:
        file.write(b"half")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
    with whole_file(tmp_path / "a") as file:
        file.write(b"whole")
    assert digest_of(tmp_path / "a") == (file.size, file.sha256) and (tmp_path / "a").read_bytes() == b"whole"
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o600


def test_a_full_disk_is_said_to_be_full_and_leaves_nothing(tmp_path, full_disk):
    with pytest.raises(NoRoom, match="Make room"), whole_file(tmp_path / "a") as file:
        for _ in range(20):
            file.write(bytes(65_536))
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_under_encryption_as_well(tmp_path, identity, full_disk):
    with pytest.raises(NoRoom), whole_file(tmp_path / "a") as file:
        seal(BytesIO(bytes(2_000_000)), file, identity)
    assert not (tmp_path / "a").exists()


def test_what_is_sealed_opens_with_its_key_only(tmp_path, identity):
    secret = os.urandom(300_000)
    sealed, opened = BytesIO(), BytesIO()
    seal(BytesIO(secret), sealed, identity)
    unseal(BytesIO(sealed.getvalue()), opened, identity)
    assert opened.getvalue() == secret
    make_key_file(tmp_path / "another.key")
    with pytest.raises(NotWhole, match="another key"):
        unseal(BytesIO(sealed.getvalue()), BytesIO(), read_key_file(tmp_path / "another.key"))


@pytest.mark.parametrize("place", [0, 50, 400, 100_000, -1])
def test_a_changed_or_cut_file_does_not_open(identity, place):
    sealed = BytesIO()
    seal(BytesIO(bytes(200_000)), sealed, identity)
    changed = bytearray(sealed.getvalue())
    changed[place] ^= 1
    with pytest.raises(NotWhole):
        unseal(BytesIO(bytes(changed)), BytesIO(), identity)
    with pytest.raises(NotWhole):
        unseal(BytesIO(sealed.getvalue()[:place]), BytesIO(), identity)


def test_a_key_file_is_private_and_never_written_over(tmp_path):
    path = tmp_path / "keys" / "backup.key"
    recipient = make_key_file(path)
    assert path.stat().st_mode & 0o777 == 0o600 and recipient.startswith("age1")
    with pytest.raises(BackupError, match="there already"):
        make_key_file(path)
    path.chmod(0o640)
    with pytest.raises(BackupError, match="chmod 600"):
        read_key_file(path)


@pytest.mark.parametrize("content", [b"", b"# only a comment\n", b"AGE-SECRET-KEY-1NO\n", b"\xff\xfe"])
def test_what_is_no_key_file(tmp_path, content):
    path = tmp_path / "backup.key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(BackupError, match=r"holds no age identity|cannot be read"):
        read_key_file(path)


def test_keys_are_archived_and_unpacked_without_the_key_of_the_backups(tmp_path):
    state = tmp_path / "var"
    (state / "keys" / "signing").mkdir(parents=True)
    (tmp_path / "mounted.pem").write_text("world")
    (state / "keys" / "world-demo.pem").symlink_to(tmp_path / "mounted.pem")  # as secrets are mounted
    (state / "keys" / "signing" / "k1.pem").write_text("signing")
    (state / "waystone.env").write_text("WAYSTONE_SECRET_KEY=x\n")
    key_file = state / "keys" / "backup.key"
    make_key_file(key_file)
    config = replace(
        Config.load(),
        state_dir=state,
        signing_keys_dir=state / "keys" / "signing",
        world_key_file=state / "keys" / "world-demo.pem",
    )
    config = replace(config, backup=replace(config.backup, key_file=key_file))
    identity = read_key_file(key_file)
    part = archive_keys(config, tmp_path / f"{NAME}.keys.tar.age", identity)
    assert digest_of(tmp_path / part.name) == (part.size, part.sha256)
    names = unpack_keys(tmp_path / part.name, tmp_path / "out", identity)
    assert sorted(names) == ["keys/signing/k1.pem", "keys/world-demo.pem", "waystone.env"]
    assert (tmp_path / "out" / "keys" / "world-demo.pem").read_text() == "world"
    assert (tmp_path / "out" / "waystone.env").stat().st_mode & 0o777 == 0o600
    with pytest.raises(BackupError, match="there already"):
        unpack_keys(tmp_path / part.name, tmp_path / "out", identity)


@pytest.mark.parametrize("name", ["../evil", "{folder}/evil", "a/../../evil"])
def test_an_archive_of_mallorys_changes_nothing_elsewhere(tmp_path, identity, name):
    packed, sealed = BytesIO(), BytesIO()
    (tmp_path / "evil").write_text("good")
    (tmp_path / "evil").chmod(0o644)
    with tarfile.open(fileobj=packed, mode="w") as archive:
        member = tarfile.TarInfo(name.format(folder=tmp_path))
        member.size = 2
        archive.addfile(member, BytesIO(b"hi"))
    packed.seek(0)
    seal(packed, sealed, identity)
    (tmp_path / "x.age").write_bytes(sealed.getvalue())
    with pytest.raises(NotWhole):
        unpack_keys(tmp_path / "x.age", tmp_path / "out", identity)
    assert (tmp_path / "evil").read_text() == "good" and not (tmp_path / "out").exists()
    assert (tmp_path / "evil").stat().st_mode & 0o777 == 0o644


def test_a_folder_target_keeps_reads_lists_and_deletes(tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "a.dump").write_bytes(b"dump")
    target = FolderTarget(tmp_path / "there")
    target.put(tmp_path / "a.dump", "a.dump")
    target.put_bytes(b"row", "receipts/aurora/2026-11-23/1.rows")
    assert target.names() == ["a.dump", "receipts"]
    assert target.names("receipts/aurora/2026-11-23") == ["receipts/aurora/2026-11-23/1.rows"]
    assert b"".join(target.read("a.dump")) == b"dump"
    target.delete("a.dump")
    target.delete("a.dump")
    assert target.names() == ["receipts"]
    with pytest.raises(NotWhole, match="not there"):
        list(target.read("a.dump"))


def test_a_folder_that_is_not_there_is_not_made(tmp_path):
    (tmp_path / "a.dump").write_bytes(b"dump")
    target = target_of(str(tmp_path / "mount"), BucketAccess("", "", "", ""))
    assert target is not None
    for deed in (lambda: target.put(tmp_path / "a.dump", "a"), target.names, lambda: target.delete("a")):
        with pytest.raises(TargetGone, match="Mount it"):
            deed()
    assert not (tmp_path / "mount").exists()


def test_a_copy_that_is_not_what_was_written_is_found(tmp_path):
    (tmp_path / "a.dump").write_bytes(b"dump")
    size, sha256 = digest_of(tmp_path / "a.dump")
    target = FolderTarget(tmp_path)
    verify_copy(target, "a.dump", size=size, sha256=sha256)
    (tmp_path / "a.dump").write_bytes(b"dumq")
    with pytest.raises(NotWhole, match="read back"):
        verify_copy(target, "a.dump", size=size, sha256=sha256)


@pytest.mark.parametrize("raw", ["backups", "s3://", "ftp://x/y", "s3:bucket", "~/backups"])
def test_what_is_no_target_is_refused_with_the_settings_name(raw):
    with pytest.raises(ValueError, match="WAYSTONE_BACKUP_TARGET"):
        checked_target("WAYSTONE_BACKUP_TARGET", raw)


@pytest.mark.parametrize(
    ("name", "raw"),
    [
        ("WAYSTONE_BACKUP_HOUR", "24"),
        ("WAYSTONE_BACKUP_HOUR", "night"),
        ("WAYSTONE_BACKUP_KEEP_DAYS", "0"),
        ("WAYSTONE_BACKUP_KEEP_WEEKS", "-1"),
        ("WAYSTONE_BACKUP_TIME_LIMIT_H", "0.5"),
        ("WAYSTONE_REPLICA_TARGET", "there"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(tmp_path, name, raw):
    with pytest.raises(ValueError, match=name):
        read_backup_config({name: raw}, tmp_path)


def test_the_defaults_back_up_by_themselves_and_copy_nowhere(tmp_path):
    config = read_backup_config({}, tmp_path)
    assert config.is_on and config.hour is None and config.folder == tmp_path / "backups"
    assert config.target == config.replica_target == "" and config.key_file is None
    assert not read_backup_config({"WAYSTONE_BACKUP_HOUR": "off"}, tmp_path).is_on
    assert read_backup_config({"WAYSTONE_BACKUP_HOUR": "3"}, tmp_path).hour == 3


def a_pg_dump(folder, version: str):
    folder.mkdir()
    program = folder / "pg_dump"
    program.write_text(f"#!/bin/sh\necho 'pg_dump (PostgreSQL) {version}'\n")
    program.chmod(0o755)
    return folder


def test_tools_of_the_servers_own_version_are_taken(tmp_path):
    folder = a_pg_dump(tmp_path / "15", "15.9 (Debian 15.9-0+deb12u1)")
    assert find_tools(150009, folder).folder == folder


def test_tools_of_another_version_are_a_clear_error(tmp_path):
    folder = a_pg_dump(tmp_path / "15", "15.9")
    with pytest.raises(NoTools, match=r"The server is PostgreSQL 17.*found: 15 in.*WAYSTONE_BACKUP_PG_BIN"):
        find_tools(170002, folder)
    with pytest.raises(NoTools, match="found: none"):
        find_tools(170002, tmp_path)
    with pytest.raises(NoTools, match="PostgreSQL 99"):
        find_tools(990001, None)
