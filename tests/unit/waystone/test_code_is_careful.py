"""What no line of ours does, which docs/security.md rests on. Read as syntax: comments do not count."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PARTS = ("accounts", "characters", "worlds", "platform", "zonecluster", "clients")
FILES = [path for part in PARTS for path in sorted((ROOT / part).rglob("*.py"))]
SCRIPTS = sorted((ROOT / "static").rglob("*.js"))
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))


Call = tuple[Path, str, ast.Call]


def dotted(node: ast.AST) -> str:
    """Return by what a call is made, as `yaml.load`; of what has no plain name, the end."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def look() -> tuple[list[Call], list[tuple[Path, str]], list[tuple[Path, str]]]:
    """Return all calls, imports and attributes; every file is walked once."""
    calls, imports, attributes = [], [], []
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                calls.append((path, dotted(node.func), node))
            elif isinstance(node, ast.Import):
                imports += [(path, name.name) for name in node.names]
            elif isinstance(node, ast.ImportFrom):
                imports.append((path, node.module or ""))
            elif isinstance(node, ast.Attribute):
                attributes.append((path, node.attr))
    return calls, imports, attributes


CALLS, IMPORTS, ATTRIBUTES = look()


def where(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_there_is_something_to_look_at():
    assert len(FILES) > 400 and len(SCRIPTS) >= 3 and len(TEMPLATES) > 60


def test_nothing_is_run_that_was_text_before():
    forbidden = {"eval", "exec", "compile", "os.system", "os.popen", "subprocess.getoutput"}
    assert [where(path) for path, name, _ in CALLS if name in forbidden] == []


def test_no_command_goes_through_a_shell():
    for path, _, call in CALLS:
        for keyword in call.keywords:
            assert keyword.arg != "shell", where(path)


def test_nothing_is_read_back_into_objects_of_any_kind():
    """No pickle and its like, no XML, no YAML but by the safe loader."""
    forbidden = {"pickle", "marshal", "shelve", "dill", "jsonpickle", "lxml", "xml"}
    assert [(where(path), name) for path, name in IMPORTS if name.split(".")[0] in forbidden] == []
    for path, name, call in CALLS:
        if name == "yaml.load":
            assert where(path) == "platform/waystone/advisories.py"
            assert ast.unparse(call.args[1]) == "_SAFE"


def test_chance_that_must_not_be_guessed_is_never_that_of_a_game():
    """`random` can be guessed from what it gave before: it is for weather, weights and waiting times."""
    used = {where(path) for path, name in IMPORTS if name == "random"}
    ours = ("zonecluster/", "clients/", "worlds/daemon/", "platform/waystone/supervisor/host_link.py")
    bots = ("platform/waystone/bot_accounts.py", "platform/waystone/management/commands/bots.py")
    assert {path for path in used if not path.startswith((*ours, *bots))} == set()


def test_weak_hashes_are_not_used():
    for path, name, call in CALLS:
        assert name.split(".")[-1] not in {"md5", "sha1", "MD5", "SHA1"}, where(path)
        if name in ("hashlib.new", "hmac.digest", "hmac.new"):
            assert not {"md5", "sha1"} & {str(getattr(one, "value", "")).lower() for one in call.args}, where(
                path
            )


def test_certificates_are_checked_but_where_a_pin_is_stricter():
    for path, name in ATTRIBUTES:
        if name in ("CERT_NONE", "_create_unverified_context"):
            assert where(path) == "worlds/hosts/certificate.py"
    for path, _, call in CALLS:
        for keyword in call.keywords:
            is_off = isinstance(keyword.value, ast.Constant) and keyword.value.value is False
            assert not (keyword.arg == "verify" and is_off), where(path)


def test_redirects_of_others_are_not_followed():
    for path, _, call in CALLS:
        for keyword in call.keywords:
            assert keyword.arg != "follow_redirects" or ast.unparse(keyword.value) == "False", where(path)


def test_nothing_is_called_safe_for_a_page_but_our_own_constants():
    for path, name, call in CALLS:
        assert name.split(".")[-1] != "mark_safe", where(path)
        if name == "SafeString":
            text = ast.unparse(call.args[0])
            assert text.isupper() or text.startswith("render_to_string("), where(path)
        if name == "format_html":
            assert not isinstance(call.args[0], ast.JoinedStr), where(path)


def test_sql_has_places_for_values():
    """A statement is a constant, or made of constants of ours: never a text with a request's values in it."""
    for path, name, call in CALLS:
        if not name.endswith((".execute", ".executemany", ".raw")) or not call.args:
            continue
        statement = call.args[0]
        names = [one.id for one in ast.walk(statement) if isinstance(one, ast.Name)]
        if isinstance(statement, ast.JoinedStr) and where(path) != "characters/invariants/checking.py":
            assert all(one.isupper() for one in names), f"{where(path)}: {ast.unparse(statement)}"
        assert not isinstance(statement, ast.BinOp) or not isinstance(statement.op, ast.Mod), where(path)


@pytest.mark.parametrize("path", TEMPLATES, ids=where)
def test_templates_escape_and_keep_scripts_out(path):
    text = path.read_text()
    assert "|safe" not in text and "autoescape off" not in text
    assert "onpaste" not in text and "javascript:" not in text


@pytest.mark.parametrize("path", SCRIPTS, ids=where)
def test_scripts_make_no_markup_and_keep_nothing_of_a_person(path):
    text = path.read_text()
    for dangerous in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function("):
        assert dangerous not in text
    for unused in ("postMessage", "localStorage", "indexedDB", "document.cookie", "__proto__"):
        assert unused not in text
    if path.name != "ping.js":  # which keeps that somebody asked for it, until the window is closed
        assert "sessionStorage" not in text
