"""The pages about the ledger say what its schema says: their state diagram and table are compared with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bide.ledger.schema import FIELDS, STATES, diagram
from docs.blocks import BLOCKS, between, fields, states


@pytest.mark.parametrize(("place", "make"), BLOCKS.items(), ids=lambda it: it[1] if isinstance(it, tuple) else "")
def test_a_generated_part_is_fresh(place: tuple[Path, str], make: Callable[[], str]) -> None:
    """Each stands once, as the schema has it now; `python docs/blocks.py` writes it anew."""
    page, name = place
    assert between(name).findall(page.read_text(encoding="utf-8")) == [f"\n{make()}\n\n"]


def test_the_diagram_stands_in_a_fence_and_knows_every_state() -> None:
    """GitHub and the site draw a fence of this name."""
    fenced = states()
    assert fenced == f"```mermaid\n{diagram()}\n```"
    assert [state for state in STATES if state not in fenced] == []


def test_the_table_has_a_row_for_each_field() -> None:
    """In the order of the schema, and no cell breaks the table."""
    rows = fields().splitlines()[2:]
    assert [row.split("`")[1] for row in rows] == [field.name for field in FIELDS]
    assert {row.count("|") for row in rows} == {6}
