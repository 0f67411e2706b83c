"""Where compiled code is kept, that no change of it is missed, and what happens where it cannot be had."""

import ast
import inspect
import os
import subprocess
import sys
from enum import EnumType
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

from zonecluster import compiled

ROOT = Path(__file__).parents[3]
CALLER = """
from zonecluster.compiled import compiled
from small.callee import f

@compiled
def g(x):
    return f(x)
"""
CALLEE = """
from zonecluster.compiled import compiled

@compiled
def f(x):
    return x + {number}
"""


def run(source: str, folder: Path, cache: Path) -> str:
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(cache), "PYTHONPATH": f"{ROOT}:{folder}"}
    done = subprocess.run(
        [sys.executable, "-c", source],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_function_that_was_changed_is_not_found_as_it_was_in_those_it_is_built_into(tmp_path):
    package, cache = tmp_path / "small", tmp_path / "cache"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "caller.py").write_text(CALLER)
    answers = []
    for number in (1, 2):
        (package / "callee.py").write_text(CALLEE.format(number=number))
        answers.append(run("from small.caller import g; print(g(40))", tmp_path, cache))
    assert answers == ["41", "42"]
    assert len(list(cache.glob("small-*"))) == 2


def test_where_no_place_is_named_states_are_told_apart_too(tmp_path, monkeypatch):
    monkeypatch.setattr(compiled.config, "CACHE_DIR", "")
    monkeypatch.setattr(compiled, "BESIDE", tmp_path)
    compiled.compiled(file_of)
    assert [folder.name.partition("-")[0] for folder in tmp_path.iterdir()] == ["zonecluster"]
    assert compiled.config.CACHE_DIR == ""


def test_each_state_of_a_package_has_a_folder(tmp_path):
    package = tmp_path / "p"
    package.mkdir()
    (package / "a.py").write_text("A = 1\n")
    before = compiled.cache_folder(tmp_path, package)
    compiled._state_of.cache_clear()
    assert compiled.cache_folder(tmp_path, package) == before
    (package / "a.py").write_text("A = 2\n")
    compiled._state_of.cache_clear()
    assert compiled.cache_folder(tmp_path, package) != before


def test_folders_of_other_states_go_when_nobody_has_used_them_for_days(tmp_path, monkeypatch):
    monkeypatch.setattr(compiled.config, "CACHE_DIR", str(tmp_path))
    here = compiled.cache_folder(tmp_path, compiled.HERE / "packets")
    old, recent = tmp_path / ("packets-" + "0" * 16), tmp_path / ("packets-" + "1" * 16)
    other = tmp_path / "of-somebody-else"
    for folder in (here, old, recent, other):
        folder.mkdir()
    for folder in (here, old, other):
        os.utime(folder, (0, 0))
    compiled._forget_unused()
    assert sorted(tmp_path.iterdir()) == sorted([here, recent, other])


def test_whatever_compiled_code_has_built_in_from_elsewhere_tells_states_apart():
    for part in compiled.PARTS:
        package = compiled.HERE / part.split(".")[1]
        told = {*package.glob("*.py"), *(compiled.HERE / name for name in compiled.SHARED)}
        kernels = {path for path in package.glob("*.py") if "\n@compiled\n" in path.read_text()}
        assert kernels
        assert numbers_from(kernels) <= told


def numbers_from(paths: set[Path]) -> set[Path]:
    """Return the modules of ours that these import anything but plain classes from, and so on from those."""
    found, waiting = set(paths), list(paths)
    while waiting:
        for node in ast.walk(ast.parse(waiting.pop().read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("zonecluster."):
                new = {file_of(import_module(node.module or ""), alias.name) for alias in node.names}
                waiting += new - found - {None}
                found |= new - {None}
    return found


def file_of(module: ModuleType, name: str) -> Path | None:
    """Return where a name comes from; None: it holds no number that could be compiled in."""
    value = getattr(module, name)
    if isinstance(value, ModuleType):
        return Path(value.__file__ or "")
    if isinstance(value, EnumType):
        return Path(inspect.getfile(value))
    is_package = hasattr(module, "__path__")
    return None if is_package or isinstance(value, type) else Path(module.__file__ or "")


def test_a_cache_that_cannot_be_written_is_refused_with_its_name(tmp_path, monkeypatch):
    in_the_way = tmp_path / "file"
    in_the_way.write_text("not a folder")
    monkeypatch.setattr(compiled.config, "CACHE_DIR", str(in_the_way / "cache"))
    with pytest.raises(compiled.CannotCompile, match="no place for compiled code: .*file/cache"):
        compiled.compiled(test_each_state_of_a_package_has_a_folder)
    with pytest.raises(compiled.CannotCompile, match="no place"):
        compiled.warm_up()


def test_what_numba_refuses_is_told_by_module(monkeypatch):
    def njit(**options):
        raise KeyError("Unrecognized options: {'_nrt'}")

    monkeypatch.setattr(compiled, "njit", njit)
    with pytest.raises(compiled.CannotCompile, match="test_compiled cannot be compiled: .*_nrt"):
        compiled.compiled(test_each_state_of_a_package_has_a_folder)


def test_warm_means_that_everything_as_it_is_now_was_compiled(tmp_path, monkeypatch):
    monkeypatch.setattr(compiled.config, "CACHE_DIR", str(tmp_path))
    called = []
    monkeypatch.setattr(compiled, "import_module", lambda name: Part(name, called))
    assert not compiled.is_warm()
    assert compiled.warm_up("zonecluster.packets.batch_path") >= 0
    assert not compiled.is_warm()
    compiled.warm_up()
    assert compiled.is_warm()
    assert called == ["zonecluster.packets.batch_path", *compiled.PARTS]
    monkeypatch.setattr(compiled, "_state_of", lambda package: "another")
    assert not compiled.is_warm()


class Part:
    """A module with compiled code."""

    def __init__(self, name, called):
        self.name, self.called = name, called

    def warm_up(self):
        self.called.append(self.name)
