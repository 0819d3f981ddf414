"""The declarations of scripts agree with their Lua files: names, includes, and the header that explains them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import get_origin

import pytest

from bide import contract
from bide.ledger import scripts
from bide.ledger.script import Key, Script, include, includes_of, row_of
from bide.ledger.scripts.account import Claim, Outcome, Polled
from tests.contract.observed_redis import declared

#: All includes, and what each one needs first.
INCLUDES = {
    "constants": includes_of(include("constants")),
    **{
        (name := path.name.removesuffix(".lua")): includes_of(include(name))
        for path in (files("bide.ledger") / "scripts" / "include").iterdir()
    },
}

#: What Redis gives to each script.
BUILT_IN = {"cjson", "ipairs", "math", "pairs", "redis", "string", "table", "tonumber", "tostring", "unpack"}

#: Includes that do their work unasked: they notice what a script changes.
NOTICES = {"money"}

WORDS_OF_LUA = set(
    re.findall(
        r"\w+",
        "and break do else elseif end false for function if in local nil not or repeat return then true until while",
    )
)

NAMES = r"((?:\w+, )*\w+)"

#: Where Lua makes names local: by `local`, as parameters, in a loop.
DEFINED = [
    re.compile(rf"\blocal (?:function )?{NAMES}"),
    re.compile(r"\bfunction \w+\(([^()]*)\)"),
    re.compile(rf"\bfor {NAMES}"),
]
TOP_LEVEL = re.compile(rf"^local (?:function )?{NAMES}", re.MULTILINE)
SCRIPTS = pytest.mark.parametrize("script", declared(), ids=lambda script: script.path)


def bare(text: str) -> str:
    """Lua without comments, texts, and fields of tables that are read."""
    return re.sub(r"(?<!\.)[.:]\w+", "", re.sub(r"'[^']*'", "''", re.sub(r"--.*", "", text)))


def used(text: str) -> set[str]:
    """All names in Lua that are no field of a table."""
    without_fields = re.sub(r"(?:(?<=[{,] )|^ +)\w+ = (?=[^\n]*[},])", "", bare(text), flags=re.MULTILINE)
    return set(re.findall(r"\b[A-Za-z_]\w*", without_fields)) - WORDS_OF_LUA


def defined(text: str) -> set[str]:
    """All names that Lua makes local, anywhere."""
    groups = [group for where in DEFINED for group in where.findall(bare(text))]
    return {name for group in groups for name in group.split(", ")}


def given(name: str) -> set[str]:
    """What an include gives to those that name it."""
    return {name for found in TOP_LEVEL.findall(include(name)) for name in found.split(", ")}


def named(script: type[Script]) -> set[str]:
    """The keys and arguments of a script."""
    return set(script.kinds)


def test_the_search_for_names_finds_them() -> None:
    """Fields, texts and comments are none; a name that nothing defines is found."""
    text = (
        "local a = c.d .. 'e' -- f\nlocal function g(h, i) s(h, { j = i, k = l:m() }) end for n, o in p(q) do r() end"
    )
    assert used(text) == {"a", "c", "g", "h", "i", "l", "n", "o", "p", "q", "r", "s"}
    assert defined(text) == {"a", "g", "h", "i", "n", "o"}
    assert given("base") == {"now", "stamp", "number"}


@SCRIPTS
def test_what_a_script_uses_is_declared(script: type[Script]) -> None:
    """Each name comes from an include that the file names, from an argument, or from the file itself."""
    text = script.file()
    included = {name for each in includes_of(text) for name in given(each)}
    assert used(text) <= included | named(script) | defined(text) | BUILT_IN | {"PREFIX"}


@pytest.mark.parametrize("name", INCLUDES)
def test_what_an_include_uses_is_declared(name: str) -> None:
    """An include names those that it needs, so that the order of a script's own list does not matter."""
    included = {name for each in INCLUDES[name] for name in given(each)}
    assert used(include(name)) <= included | defined(include(name)) | BUILT_IN | {"PREFIX", "TEST_TIME"}


@SCRIPTS
def test_no_include_is_for_nothing(script: type[Script]) -> None:
    """What is sent, is used."""
    named_by_it = {*includes_of(script.file())} - NOTICES
    assert [each for each in named_by_it if not given(each) & used(script.file())] == []


@pytest.mark.parametrize("name", INCLUDES)
def test_no_include_of_an_include_is_for_nothing(name: str) -> None:
    """What is sent, is used."""
    assert [each for each in {*INCLUDES[name]} - NOTICES if not given(each) & used(include(name))] == []


def test_each_include_has_a_script_that_names_it() -> None:
    """And each name has one include that gives it."""
    assert {each for script in declared() for each in includes_of(script.file())} == set(INCLUDES)
    names = [name for each in INCLUDES for name in given(each)]
    assert len(names) == len(set(names))


@SCRIPTS
def test_only_what_is_declared_is_sent(script: type[Script]) -> None:
    """With what that needs itself, each once, and each after what it needs."""
    wanted = includes_of(script.file())
    for each in wanted:
        wanted += [more for more in INCLUDES[each] if more not in wanted]
    sent = [each for each in INCLUDES if include(each) in script.text()]
    assert sorted(sent) == sorted(set(wanted))
    for each in sent:
        assert script.text().count(include(each)) == 1
        assert all(script.text().index(include(more)) < script.text().index(include(each)) for more in INCLUDES[each])


@SCRIPTS
def test_an_argument_hides_no_name_of_an_include(script: type[Script]) -> None:
    """Else a file would call a text."""
    sent = [each for each in INCLUDES if include(each) in script.text()]
    assert named(script) & {name for each in sent for name in given(each)} == set()
    assert named(script) & defined(script.file()) == set()
    assert named(script) <= used(script.file())


@SCRIPTS
def test_the_header_names_keys_arguments_and_reply(script: type[Script]) -> None:
    """What a file says of its arguments in backticks is what is declared, in its order."""
    header = re.sub(r"\n-- +", " ", re.split(r"\n(?!--)", script.file())[0])
    for title, kinds in (("Keys", {Key}), ("Arguments", {*script.kinds.values()} - {Key})):
        part = re.search(rf"\b{title}: (.*?)(?= Arguments: | Reply: )", header)
        expected = [name for name, kind in script.kinds.items() if kind in kinds]
        expected += [field for kind in kinds for field in row_of(kind)]
        assert re.findall(r"`(\w+)`", part[1] if part else "") == expected
    assert " Reply: " in header


@SCRIPTS
def test_no_file_counts_arguments_or_names_a_queue(script: type[Script]) -> None:
    """The declaration does the one, `bide.contract` the other."""
    files = [script.file(), *(include(each) for each in INCLUDES if each != "constants")]
    assert [text for text in files if re.search(r"\bARGV\b|\bKEYS\b|'bide\.\w+'", text)] == []
    assert [queue for queue in (contract.SUBMIT_QUEUE, contract.STORE_QUEUE) if queue not in include("constants")] == []


@SCRIPTS
def test_a_list_is_the_last_argument(script: type[Script]) -> None:
    """It takes all that follows."""
    lists = [name for name, kind in script.kinds.items() if get_origin(kind) in (Sequence, Mapping)]
    assert lists in ([], [*script.kinds][-1:])


def test_arguments_are_sent_in_the_order_in_which_lua_reads_them() -> None:
    """Whatever order a call has them in; None is '', a flag 1 or 0."""
    outcome = Outcome("a", "running", 4.0, "", "", "note", True, "", "0.1", "word", "2 credits")
    polled = Polled(
        outcomes=[outcome], retention_seconds=60, submits_per_second=0.5, max_in_flight=7, hint_seconds=15.0
    )
    assert polled.arguments == [
        15.0,
        7,
        0.5,
        60,
        "a",
        "running",
        4.0,
        "",
        "",
        "note",
        1,
        "",
        "0.1",
        "word",
        "2 credits",
    ]
    assert polled.keys == []
    text = Polled.text()
    assert "local max_in_flight = tonumber(ARGV[3])\n" in text
    assert "for i = 6, #ARGV, 11 do outcomes[#outcomes + 1] = { id = ARGV[i + 0], kind = ARGV[i + 1], " in text
    assert "seen = ARGV[i + 6] == '1'" in text


def test_a_call_shows_no_argument() -> None:
    """Requests, prompts and tokens are among them."""
    assert "secret" not in repr(scripts.job.Intend(id="a", token="secret", lease_seconds=1))


def test_a_missing_or_unknown_argument_is_refused() -> None:
    """By Python, before Redis sees anything."""
    with pytest.raises(TypeError):
        Claim(seq=1)  # type: ignore[call-arg]  # what is tested
