"""The tables of the ledger's schema agree with themselves and with the text of the scripts."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from bide.contract import FINAL_STATES, JobState
from bide.ledger.schema import FIELDS, STATES, TRANSITIONS
from tests.contract.observed_redis import declared, schema_name, scripts

TEXTS = {schema_name(script): script.text() for script in declared()}

#: The fields besides the state on which the amount of a job's purchases depends.
MONEY = ("pid", "other_pid", "cost")

#: Where a script writes fields of a job's record: what follows is a list of names and values.
WRITES = re.compile(r"(?:\bset\(\w+(?:\[i\])?|'(?:HSET|HINCRBY)', job_key\(id\)), ")


def arguments(text: str) -> Iterator[str]:
    """The arguments of a call, from the first one to its closing bracket."""
    depth, begun = 0, 0
    for at, letter in enumerate(text):
        if letter in "({":
            depth += 1
        elif letter in ")}" and depth:
            depth -= 1
        elif letter == ")" or (letter == "," and not depth):
            yield text[begun:at].strip()
            begun = at + 1
        if letter == ")" and not depth and begun == at + 1:
            return


def written(text: str) -> Iterator[str]:
    """The names of fields that a script writes, as far as they are written out."""
    for write in WRITES.finditer(text):
        for name in list(arguments(text[write.end() :]))[::2]:
            yield from re.findall(r"^'(\w+)'$", name)


@pytest.mark.parametrize("script", sorted(TEXTS))
def test_a_script_writes_no_field_that_the_schema_lacks(script: str) -> None:
    """Each name that it writes out stands in the table."""
    names = {field.name for field in FIELDS}
    assert set(written(TEXTS[script])) <= names


def test_the_search_for_fields_finds_them() -> None:
    """Values that hold brackets and commas are passed over."""
    text = "set(id, 'a', stamp(math.max(1, now)), 'b', get(id, 'c') or '') redis.call('HINCRBY', job_key(id), 'd', 1)"
    assert list(written(text)) == ["a", "b", "d"]
    assert {name for text in TEXTS.values() for name in written(text)} > {"state", "pid", "deadline", "submits"}


def test_the_tables_name_scripts_and_states_that_exist() -> None:
    """No script was renamed, and no state was added, without them."""
    names = {*scripts().values(), "*"}
    for field in FIELDS:
        assert set(field.writers.split()) <= names, field.name
        assert set(field.states) <= set(STATES), field.name
    for one in TRANSITIONS:
        assert set(one.scripts.split()) <= names, one
        assert {one.before, one.after} <= {*STATES, ""}, one
    assert set(STATES) == {*JobState, "following"}


def test_each_field_and_transition_stands_once() -> None:
    """A table with two rows for one thing says two things."""
    assert len({field.name for field in FIELDS}) == len(FIELDS)
    assert len({(one.before, one.after) for one in TRANSITIONS}) == len(TRANSITIONS)


def test_no_script_that_moves_money_forgets_the_book() -> None:
    """One that ends a job, or writes or removes what its purchases depend on, balances the book when it is through."""
    ended = {name for one in TRANSITIONS if one.after in (*FINAL_STATES, "unconfirmed") for name in one.scripts.split()}
    writers = {name for field in FIELDS if field.name in MONEY for name in field.writers.split()}
    clears = {name for name, text in TEXTS.items() if re.search(rf"\bclear\([^()]*'({'|'.join(MONEY)})'", text)}
    assert clears > {"attach", "polled"}
    for name in ended | writers | clears:
        assert "money.balance_changed()\nreturn reply" in TEXTS[name], name
