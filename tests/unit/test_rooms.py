"""`make rooms`: the rooms of the code, the arrows between them, and the circles."""

from __future__ import annotations

import grimp
import pytest

from docs.rooms import arrows, report


@pytest.fixture
def graph() -> grimp.ImportGraph:
    """Two rooms, of which one imports the other."""
    graph = grimp.ImportGraph()
    for module in ("bide", "bide.ledger", "bide.ledger.records", "bide.providers", "bide.providers.base"):
        graph.add_module(module)
    graph.add_import(importer="bide.ledger.records", imported="bide.providers.base")
    return graph


def test_an_import_is_an_arrow_between_rooms(graph: grimp.ImportGraph) -> None:
    """Whichever modules of the rooms it joins."""
    assert arrows(graph) == {"bide.ledger": {"bide.providers"}, "bide.providers": set()}
    assert report(graph) == (
        ["bide.ledger -> bide.providers", "bide.providers -> nothing", "2 rooms, 1 arrows, 0 circles"],
        False,
    )


def test_a_circle_is_named_with_what_would_open_it(graph: grimp.ImportGraph) -> None:
    """Also one between rooms whose modules form none."""
    graph.add_module("bide.ledger.keys")
    graph.add_import(importer="bide.providers.base", imported="bide.ledger.keys")
    lines, circular = report(graph)
    assert circular
    assert lines[-2].startswith("circle in bide: opened without [('bide.")
    assert lines[-1] == "2 rooms, 2 arrows, 1 circles"
