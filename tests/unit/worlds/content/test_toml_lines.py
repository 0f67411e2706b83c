"""Lines of keys: what tomllib does not tell."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worlds.content.toml_lines import KeyPath, key_lines

EVERYTHING = '''# a comment with = and [brackets] and "quotes
title = "a # no comment \\" quote"   # a comment
"quoted key" = 1
'literal.key' = 'C:\\path'
a.b.c = 1
a.b."d e" = 2

text = """
[not.a.table]
key = "not a key" \\""" still inside
""" # after
raw = \'\'\'
[[neither]]
x = 1\'\'\'
quotes = """ends with two quotes"""""
list = [
  1, # one ]
  "]",
  [2, 3],
  { x = 1, y = [4, 5] },
]
inline = { p = 1, q.r = "}", s = {} }
when = 1979-05-27 07:32:00

[table]
key = true
[table.sub.deeper]
key = 1
[ "spaced" . 'out' ]
key = 2
[[fruits]]
name = "apple"
[fruits.physical]
colour = "red"
[[fruits.kinds]]
name = "red"
[[fruits.kinds]]
name = "green"

[[fruits]]
name = "plum"
[[fruits.kinds]]
name = "blue"
'''


def paths(value: object, path: KeyPath = ()) -> set[KeyPath]:
    """Return the path of every key, table and element of a parsed document."""
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    else:
        return {path}
    return {path}.union(*(paths(child, (*path, key)) for key, child in items))


def line_of(text: str) -> int:
    assert EVERYTHING.count(text) == 1, text
    return EVERYTHING[: EVERYTHING.index(text)].count("\n") + 1


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_every_path_of_a_document_has_a_line(newline):
    source = EVERYTHING.replace("\n", newline)
    assert set(key_lines(source)) == paths(tomllib.loads(source)) - {()}


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (("title",), "title ="),
        (("quoted key",), '"quoted key"'),
        (("literal.key",), "'literal.key'"),
        (("a",), "a.b.c"),
        (("a", "b", "c"), "a.b.c"),
        (("a", "b", "d e"), 'a.b."d e"'),
        (("text",), "text = "),
        (("raw",), "raw = "),
        (("quotes",), "quotes = "),
        (("list",), "list = "),
        (("list", 1), '"]",'),
        (("list", 3, "y", 1), "{ x = 1, y"),
        (("inline", "q", "r"), "inline ="),
        (("when",), "when ="),
        (("table", "key"), "key = true"),
        (("table", "sub"), "[table.sub.deeper]"),
        (("spaced", "out", "key"), "key = 2"),
        (("fruits", 0, "name"), 'name = "apple"'),
        (("fruits", 0, "physical", "colour"), "colour"),
        (("fruits", 0, "kinds", 1, "name"), 'name = "green"'),
        (("fruits", 1, "name"), 'name = "plum"'),
        (("fruits", 1, "kinds", 0, "name"), 'name = "blue"'),
    ],
    ids=str,
)
def test_lines(path, text):
    assert key_lines(EVERYTHING)[path] == line_of(text)


def test_escapes_in_keys():
    source = r'"a\u00e9\t\"" = 1' + "\n" + r'"\\" = 2'
    assert key_lines(source) == {('aé\t"',): 1, ("\\",): 2}


KEYS = st.sampled_from(["a", "b-c", '"d e"', "'f.g'", "h.i", '"\\u0041"'])
STRINGS = st.sampled_from(['"x"', "'y'", '"a\\"b # ]"', '"""one\ntwo "quoted" \\\n  three"""', "'''x\n]]'''"])
SCALARS = st.one_of(
    STRINGS, st.integers().map(str), st.sampled_from(["true", "1.5", "nan", "1979-05-27", "-inf"])
)


def lists(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    gap = st.sampled_from(["", " ", "\n", " # ] , [\n"])
    return st.builds(
        lambda parts, g: f"[{g}" + "".join(f"{part}{g},{g}" for part in parts) + "]", st.lists(values), gap
    )


def tables(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    pairs = st.lists(st.tuples(KEYS, values), max_size=3)
    return pairs.map(lambda items: "{ " + ", ".join(f"{key} = {value}" for key, value in items) + " }")


VALUES = st.recursive(SCALARS, lambda inner: st.one_of(lists(inner), tables(inner)), max_leaves=6)
LINES = st.one_of(
    st.tuples(KEYS, VALUES).map(lambda pair: f"{pair[0]} = {pair[1]} # =["),
    KEYS.map(lambda key: f"[{key}]"),
    KEYS.map(lambda key: f"[[{key}]]"),
    st.just(""),
    st.just("# [x]\t'"),
)


@given(st.lists(LINES, max_size=8).map("\n".join))
def test_whatever_tomllib_accepts_has_a_line_for_every_path(source):
    try:
        document = tomllib.loads(source)
    except tomllib.TOMLDecodeError:
        return  # doubles and the like; key_lines is only for what tomllib accepts
    lines = key_lines(source)
    assert set(lines) == paths(document) - {()}
    assert all(1 <= line <= source.count("\n") + 1 for line in lines.values())
