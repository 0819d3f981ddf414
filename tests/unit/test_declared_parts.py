"""The parts of the engine that files of providers are read by: templates, paths, prices."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bide.errors import InvalidRequestError, UnreadableAnswerError
from bide.money.expressions import Price
from bide.providers.declared.paths import JsonPath
from bide.providers.declared.templates import ABSENT, UnfilledError, compiled, compiled_path

VALUES = {"params": {"n": 3, "on": True, "no": None, "text": "a b/c", "list": [1, 2], "in": {"x": 1}}, "id": "7"}


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ("{params.n}", 3),
        ("{params.on}", True),
        ("{params.in}", {"x": 1}),
        ("{params.in.x}", 1),
        ("n is {params.n}, {params.on}", "n is 3, true"),
        ("{{params.n}}", "{params.n}"),
        ("{params.seed?}", ABSENT),
        ("{params.no?}", ABSENT),
        ("{params.no}", None),
        ("seed {params.seed?}.", "seed ."),
        ("{params.seed|params.no|params.n}", 3),
        ("{params.seed|id}", "7"),
        ({"a": "{params.n}", "b": "{params.seed?}", "c": 1.5}, {"a": 3, "c": 1.5}),
        ({"...": "{params.in}", "x": "{params.n}"}, {"x": 3}),
        ({"...": ["{params.in}", "{params.seed?}"], "y": "z"}, {"x": 1, "y": "z"}),
        ([{"...": "{params.list}"}, "{params.n}"], [1, 2, 3]),
        ([{"...": ["{params.list}", "{params.in}"]}], [1, 2, 1]),
        ([{"...": "{params.seed?}"}], ABSENT),
        ({"a": {"b": "{params.seed?}"}}, ABSENT),
        ({}, {}),
        ([], []),
    ],
)
def test_templates(template: Any, value: Any) -> None:
    """A placeholder alone keeps its type; what is absent is left out, with what is made of it alone."""
    made = compiled(template)(VALUES)
    assert made is value if value is ABSENT else (made, type(made)) == (value, type(value))


@pytest.mark.parametrize("template", ["{params.seed}", "{nope}", "x {params.n.y}", {"...": "{params.n}"}])
def test_what_is_not_there_is_named(template: Any) -> None:
    """Nothing goes out with a hole in it."""
    with pytest.raises(UnfilledError):
        compiled(template)(VALUES)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(text=st.text(), prefix=st.sampled_from(["", "+"]))
def test_a_value_stays_in_its_place_of_a_path(text: str, prefix: str) -> None:
    """Whatever a param holds: no other path, no query, no fragment, or a refusal."""
    try:
        path = compiled_path(f"/a/{{{prefix}v}}/b")({"v": text.encode(errors="replace").decode()})
    except UnfilledError:
        return
    assert path.startswith("/a/")
    assert path.endswith("/b")
    assert not set(path) & set("?#\\ ")
    assert not {"..", ".", ""} & set(path[1:].split("/"))
    assert prefix or path.count("/") == 3


@pytest.mark.parametrize("bad", ["", "a", "$.", "$.[", "$..", "$.a[?b]", "$.a[?nope(@.b)]", "~", "$.a b", "$[" * 2000])
def test_paths_that_are_none(bad: str) -> None:
    """Whatever the library raises is a `ValueError`."""
    with pytest.raises(ValueError, match="is no JSON path"):
        JsonPath(bad)


def test_paths_walk_or_search() -> None:
    """One place is walked to; several are found by the library; a strict walk minds what stands on the way."""
    body = {"a": {"b": [{"u": 1}, {"u": 2}]}, "s": "text", "n": None}
    assert JsonPath("$.a.b[1].u").first(body) == JsonPath("$.a.b[-1]['u']").first(body) == 2
    assert JsonPath("$.a.b[*].u").all(body) == JsonPath("$..u").all(body) == [1, 2]
    assert JsonPath("$.a.b[?@.u > 1].u").first(body) == 2
    for path in ("$.x.y", "$.s.y", "$.a.b[7]", "$.a.b.u", "$.s[0]", "$.n.x"):
        assert JsonPath(path).first(body) is None
    assert JsonPath("$.n.x").strict(body) is JsonPath("$.a.b[7]").strict(body) is None
    for path in ("$.s.y", "$.s[0]", "$.a.b.u"):
        with pytest.raises(UnreadableAnswerError, match="stands on the way"):
            JsonPath(path).strict(body)


def test_a_search_of_a_deep_answer_is_an_unreadable_one() -> None:
    """The library gives up at a depth; nothing breaks."""
    deep: Any = 1
    for _ in range(900):
        deep = {"a": [deep]}
    with pytest.raises(UnreadableAnswerError):
        JsonPath("$..u").all(deep)


@pytest.mark.parametrize(
    ("price", "params", "amount"),
    [
        (0.02, {}, "0.02"),
        ("0.1 + 0.2", {}, "0.3"),
        ("0.02 * params.n", {"n": 3}, "0.06"),
        ("0.02 * (params.n or 1)", {}, "0.02"),
        ("0.5 if params.size == 'big' else 0.1", {"size": "big"}, "0.5"),
        ("ceil(megapixels(params.input)) * 0.01", {"input": {"width": 1500, "height": 1000}}, "0.02"),
        ("0.01 * length(params.images)", {"images": [1, 2, 3]}, "0.03"),
        ("max(params.a, params.b) * params.c[0].d", {"a": 1, "b": 2, "c": [{"d": 4}]}, "8"),
        ("params.keys * 2", {"keys": 2}, "4"),
    ],
)
def test_prices(price: str | float, params: dict[str, Any], amount: str) -> None:
    """Decimals: no cent is lost to floating point. A name is that of a field, never of Python's."""
    assert Price(price).amount(params) == Decimal(amount)


@pytest.mark.parametrize(
    "bad",
    [
        *("", "1 +", "a", "__import__('os')", "params.__class__()", "open('x')", "1 / 0", "2 / (1 - 1)", "lambda: 1"),
        *("[1]", "{}", "2 ** 9", "1 if", "params.n ** params.n", "f'{params}'", "(x := 1)", "1 # x\n2", "(" * 300),
    ],
)
def test_prices_that_are_none(bad: str) -> None:
    """Code, other names, and what divides by zero as far as that can be seen."""
    with pytest.raises(ValueError, match=r"is no price|names|calls|divides by zero|longer than"):
        Price(bad)


@pytest.mark.parametrize(
    ("price", "params"),
    [
        ("1 / params.n", {"n": 0}),
        ("params.n / params.n", {"n": 0}),
        ("0.02 * params.n", {}),
        ("0.02 * params.n", {"n": "x"}),
        ("0.02 * params.n", {"n": -1}),
        ("params.n", {"n": "nan"}),
        ("params.n * params.n", {"n": "1e999999"}),
        ("params.a.b.c", {"a": {"b": {"c": True}}}),
        ("params.__class__", {"n": 1}),
    ],
)
def test_a_price_that_can_not_be_worked_out_is_an_error(price: str, params: dict[str, Any]) -> None:
    """It is never zero."""
    with pytest.raises(InvalidRequestError, match="price: "):
        Price(price).amount(params)
