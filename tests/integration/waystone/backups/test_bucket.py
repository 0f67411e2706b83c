"""Copies in an S3-compatible store: a real server that checks every signature."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.embedded_servers import free_port, wait_until
from waystone.backup_config import BucketAccess
from waystone.backups import targets
from waystone.backups.errors import NotWhole, TargetGone
from waystone.backups.files import digest_of
from waystone.backups.targets import target_of, verify_copy

DEADLINE_S = 60.0
KEY, SECRET = "alice", "a-secret-of-alices"


class Store:
    """An S3 server on loopback that keeps its buckets in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.endpoint = f"http://127.0.0.1:{self.port}"
        program = str(Path(sys.executable).parent / "rclone")
        self._process = subprocess.Popen(
            [program, "serve", "s3", "--config", "/dev/null", "--auth-key", f"{KEY},{SECRET}",
             "--addr", f"127.0.0.1:{self.port}", str(folder)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()

    def access(self, secret: str = SECRET) -> BucketAccess:
        return BucketAccess(self.endpoint, "", KEY, secret)


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Iterator[Store]:
    folder = tmp_path_factory.mktemp("s3")
    (folder / "backups").mkdir()
    running = Store(folder)
    wait_until(running.answers, DEADLINE_S, "the S3 server answers")
    yield running
    running.stop()


def test_a_large_file_goes_there_in_parts_and_comes_back(store, tmp_path):
    path = tmp_path / "a.dump"
    path.write_bytes(bytes(range(256)) * 50_000)  # 12.8 MB: more than one part
    size, sha256 = digest_of(path)
    target = target_of("s3://backups/aurora", store.access())
    target.put(path, "a.dump")
    verify_copy(target, "a.dump", size=size, sha256=sha256)
    target.put_bytes(b"row", "receipts/aurora/2026-11-23/1.rows")
    assert target.names() == ["a.dump", "receipts"]
    assert target.names("receipts/aurora") == ["receipts/aurora/2026-11-23"]
    assert target.names("receipts/aurora/2026-11-23") == ["receipts/aurora/2026-11-23/1.rows"]
    with pytest.raises(NotWhole, match="read back"):
        verify_copy(target, "a.dump", size=size, sha256="0" * 64)
    target.delete("a.dump")
    target.delete("a.dump")
    with pytest.raises(NotWhole, match="not there"):
        list(target.read("a.dump"))


def test_another_prefix_is_another_target(store):
    target_of("s3://backups/one", store.access()).put_bytes(b"1", "a.dump")
    assert target_of("s3://backups/two", store.access()).names() == []
    assert target_of("s3://backups", store.access()).names("one") == ["one/a.dump"]


def test_a_wrong_secret_is_a_clear_error(store):
    target = target_of("s3://backups", store.access("mallorys"))
    for deed in (lambda: target.put_bytes(b"1", "a"), target.names, lambda: list(target.read("a"))):
        with pytest.raises(TargetGone, match="WAYSTONE_BACKUP_BUCKET_KEY"):
            deed()


def test_a_bucket_that_is_not_there_is_a_clear_error(store):
    target = target_of("s3://nowhere", store.access())
    for deed in (lambda: target.put_bytes(b"1", "a"), target.names):
        with pytest.raises(TargetGone, match="s3://nowhere"):
            deed()


def test_a_store_that_is_gone_is_a_clear_error(tmp_path, monkeypatch):
    monkeypatch.setattr(targets, "RETRIES", 0)
    target = target_of("s3://backups", BucketAccess(f"http://127.0.0.1:{free_port()}", "", KEY, SECRET))
    with pytest.raises(TargetGone, match="Is the store up"):
        target.put_bytes(b"1", "a")
