"""Whatever stands anywhere in a provider's file: each key has its line, and odd values are mistakes or work."""

from __future__ import annotations

import copy
import json
import tomllib
from collections.abc import Iterator
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from bide.errors import BideError
from bide.providers.base import Account, Answer, Submission, Ticket
from bide.providers.declared.adapter import adapter_class
from bide.providers.declared.files import compiled
from bide.providers.declared.mistakes import Source
from bide.providers.declared.positions import positions
from tests.unit.declared_files import GOOD, MORE

ACCOUNT = Account("https://api.inkwell.example/v1", "a-key")


_NAMES = st.text("abc-_1 .'\"#\n\u00e9", min_size=1, max_size=4)


_VALUES = st.recursive(
    st.integers() | st.booleans() | st.text("a\"'#\\\n{}[],= ", max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=3),
    max_leaves=6,
)


def _toml(value: Any) -> str:
    """A value as TOML: strings as JSON has them, which TOML takes, too."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(name)} = {_toml(entry)}" for name, entry in value.items()) + "}"
    if isinstance(value, list):
        return "[ # ]\n" + "".join(f"  {_toml(entry)}, # , [\n" for entry in value) + "]"
    return json.dumps(value)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(tables=st.dictionaries(_NAMES, st.dictionaries(_NAMES, _VALUES, max_size=3), max_size=3))
def test_positions_find_every_key(tables: dict[str, dict[str, Any]]) -> None:
    """Whatever a document holds, each of its keys has a line, and the line of a field is where it was written."""
    lines, expected = list[str](), {}
    for number, (name, fields) in enumerate(tables.items()):
        lines.append(f"[[{json.dumps(name)}]]" if number % 2 else f"[ {json.dumps(name)} ] # [x]")
        for field, value in fields.items():
            key = (name, 0, field) if number % 2 else (name, field)
            expected[key] = "\n".join(lines).count("\n") + 2
            lines.append(f"{json.dumps(field)} = {_toml(value)}")
    text = "\n".join(lines) + "\n"
    found = positions(text)
    assert set(places(tomllib.loads(text))) == set(found)
    assert {key: found[key] for key in expected} == expected


#: What may stand anywhere in a file by mistake.
ODD: tuple[Any, ...] = (
    *(7, -1, 0, 1.5, True, float("inf"), 10**40, date(2026, 1, 1), "", "x", "{", "{x}", "{params}", "{id}", "$"),
    *("$.a", "$..a[*]", "\x1b[31m", "a" * 1000, [], {}, [[]], [{}], {"": ""}, {"...": 1}),
)


def places(value: Any, key: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The keys of all values of a document."""
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, entry in entries:
        yield (*key, name)
        yield from places(entry, (*key, name))


def test_whatever_stands_anywhere_is_a_mistake_or_works() -> None:
    """Each value of the file exchanged for something odd: mistakes with remedies, or an adapter that builds calls."""
    document = tomllib.loads(GOOD + MORE)
    built = 0
    for *parents, last in map(list, places(document)):
        for odd in ODD:
            changed = copy.deepcopy(document)
            at: Any = changed
            for part in parents:
                at = at[part]
            at[last] = odd
            found, mistakes = compiled(Source(Path("inkwell.toml"), changed, {}))
            assert all(mistake.wrong and mistake.remedy for mistake in mistakes)
            if found is not None and not mistakes:
                built += 1
                adapter = adapter_class(found)()
                for operation in adapter.operations:
                    with suppress(BideError):
                        json.dumps(adapter.submit_call(Submission("j", operation, {"text": "x"}), ACCOUNT).json)
                    with suppress(BideError):
                        adapter.poll_outcome(Answer(200, {}, b'{"state": "dry"}'), Ticket(operation, "1"), ACCOUNT)
    assert built > 50
