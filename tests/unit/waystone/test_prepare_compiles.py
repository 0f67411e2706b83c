"""`manage.py prepare` has the zone clusters' hot code compiled before several of them start at once."""

import io

import pytest

from waystone.management.commands import prepare
from waystone.management.commands.prepare import Command


class Compiled:
    """zonecluster.compiled, as far as prepare uses it."""

    def __init__(self, is_warm, error=None):
        self.warm, self.error, self.compiled = is_warm, error, 0

    def is_warm(self):
        return self.warm

    def warm_up(self):
        if self.error:
            raise self.error
        self.compiled += 1


def run(monkeypatch, compiled):
    monkeypatch.setattr(prepare, "import_module", lambda name: compiled)
    said = io.StringIO()
    Command(stdout=said).compile()
    return said.getvalue()


def test_what_is_compiled_already_takes_no_step(monkeypatch):
    compiled = Compiled(is_warm=True)
    assert run(monkeypatch, compiled) == ""
    assert compiled.compiled == 0


def test_a_first_start_says_that_it_compiles(monkeypatch):
    compiled = Compiled(is_warm=False)
    assert "::step compiling the zone clusters' hot code" in run(monkeypatch, compiled)
    assert compiled.compiled == 1


@pytest.mark.parametrize("error", [ImportError("no numba"), RuntimeError("no place"), OSError("disk full")])
def test_a_machine_that_cannot_compile_starts_all_the_same(monkeypatch, error):
    assert f"is not compiled: {error}" in run(monkeypatch, Compiled(is_warm=False, error=error))
