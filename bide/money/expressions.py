"""Price expressions: arithmetic over a request's params, in decimals. No code runs in them.

`0.025 * megapixels(params.input) * (params.num_images or 1)`: numbers, `+ - * /`, comparisons, `or`, `and`,
`A if B else C`, places in params, and the functions of `FUNCTIONS`.
"""

from __future__ import annotations

import ast
import threading
from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from pydantic import GetCoreSchemaHandler
from pydantic_core import core_schema
from simpleeval import InvalidExpression, SimpleEval

from bide.errors import InvalidRequestError
from bide.money.amounts import MOST
from bide.money.functions import FUNCTIONS, UnpricedError, as_number

#: What may stand in an expression; `simpleeval` would take more.
_NODES = (
    *(ast.Expression, ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.IfExp, ast.Call, ast.Attribute, ast.Name),
    *(ast.Constant, ast.Subscript, ast.Load, ast.Add, ast.Sub, ast.Mult, ast.Div, ast.USub, ast.And, ast.Or, ast.Not),
    *(ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE),
)

#: The most characters of an expression.
LONGEST = 500

#: A place in params: `params.input.n` is `("input", "n")`.
Place = tuple[str, ...]

#: What a calculation raises that is no division by zero.
_FAILURES = (ArithmeticError, ValueError, TypeError, KeyError, RecursionError, InvalidExpression)


class Price:
    """One expression, parsed once; two of the same text are equal."""

    def __init__(self, text: str | float | Decimal) -> None:
        """Raise `ValueError` for what is no expression, names what there is not, or divides by zero.

        An expression without params must come to an amount from 0 to `MOST`.
        """
        self.text = f"{text:f}" if isinstance(text, Decimal) else str(text).strip()
        if len(self.text) > LONGEST:
            raise ValueError(f"is longer than {LONGEST} characters")
        try:
            self._parsed = ast.parse(self.text, mode="eval")
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise ValueError(f"is no price: {getattr(error, 'msg', 'it is too deep')}") from None
        for node in ast.walk(self._parsed):
            _check(node)
        #: What it comes to without params; None where it depends on them.
        self.constant = None if _reads_params(self._parsed) else self._constant()
        self.places = tuple(_outermost(dict.fromkeys(_places(self._parsed))))
        self._calculated = frozenset(_calculated(self._parsed))

    def __repr__(self) -> str:
        return self.text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Price) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)

    def names(self) -> Iterator[str]:
        """The fields of params that it reads."""
        yield from dict.fromkeys(place[0] for place in self.places)

    def values(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """What stands at the places that it reads, by their names, such as `params.n`; None where nothing does."""
        return {_named(place): _at(params, place) for place in self.places}

    def divides_by_zero(self, params: Mapping[str, Any]) -> bool:
        """Whether it does for these params."""
        try:
            self._evaluated(params)
        except (ZeroDivisionError, InvalidOperation):  # the latter for nothing divided by zero
            return True
        except _FAILURES:
            return False
        return False

    def amount(self, params: Mapping[str, Any]) -> Decimal:
        """What a request costs; raises `InvalidRequestError` where that can't be worked out.

        The error names expression and fields, and no value of the params.
        """
        if self.constant is not None:
            return self.constant
        try:
            return _amount(self._evaluated(params))
        except (ZeroDivisionError, InvalidOperation):
            raise InvalidRequestError(f"price: {self.text} divides by zero for these params") from None
        except _FAILURES as error:
            raise InvalidRequestError(f"price: {self.text} {self._why_not(params, error)}") from None

    def _constant(self) -> Decimal:
        try:
            return _amount(self._evaluated({}))
        except UnpricedError:
            raise
        except _FAILURES:
            raise ValueError("can't be worked out") from None

    def _evaluated(self, params: Mapping[str, Any]) -> Any:
        return _evaluated(self._parsed.body, params)

    def _why_not(self, params: Mapping[str, Any], error: Exception) -> str:
        values = {_named(place): _at(params, place) for place in self.places if place in self._calculated}
        if lacking := [name for name, value in values.items() if value is None]:
            remedy = f"give it, or write ({lacking[0]} or 1) in the price"
            return f"can't be worked out: the request lacks {', '.join(lacking)}; {remedy}"
        if isinstance(error, UnpricedError):
            return f"{error} for these params"
        if texts := [name for name, value in values.items() if isinstance(value, str)]:
            remedy = f"write number({texts[0]}) where a text holds one"
            return f"can't be worked out: {', '.join(texts)} is no number but a text; {remedy}"
        return "can't be worked out for these params"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(as_price)


def as_price(value: object) -> Price:
    """A price of a file or a setting: a number, or an expression as a text; raises `ValueError`."""
    if isinstance(value, Price):
        return value
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError("must be a number or an expression in quotes")  # noqa: TRY004 - pydantic shows ValueErrors
    return Price(value)


def _amount(value: Any) -> Decimal:
    """An amount of money; raises `UnpricedError`."""
    if isinstance(value, bool) or not isinstance(value, Decimal | int) or not Decimal(value).is_finite():
        raise UnpricedError("comes to no amount of money")
    if not 0 <= value <= MOST:
        raise UnpricedError("comes to less than 0" if value < 0 else f"comes to more than {MOST}")
    return Decimal(value)


def _check(node: ast.AST) -> None:
    if not isinstance(node, _NODES):
        raise ValueError(f"is no price: {type(node).__name__} can't stand in one")  # noqa: TRY004 - pydantic shows ValueErrors
    if isinstance(node, ast.Constant) and not isinstance(node.value, str | int | float | None):
        raise ValueError(f"is no price: {node.value!r} can't stand in one")  # noqa: TRY004 - as above
    if isinstance(node, ast.Name) and node.id != "params" and node.id not in FUNCTIONS:
        raise ValueError(f"names {node.id!r}, which there is not; there are params and {', '.join(FUNCTIONS)}")
    if isinstance(node, ast.Call) and not (isinstance(node.func, ast.Name) and node.func.id in FUNCTIONS):
        raise ValueError(f"calls what is no function; there are {', '.join(FUNCTIONS)}")
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div) and _is_zero(node.right):
        raise ValueError("divides by zero")


def _is_zero(node: ast.expr) -> bool:
    """Whether a part without params comes to zero."""
    try:
        return not _reads_params(node) and not _evaluated(node, {})
    except _FAILURES:
        return False


def _reads_params(node: ast.AST) -> bool:
    return any(isinstance(part, ast.Name) and part.id == "params" for part in ast.walk(node))


def _literal(node: ast.Constant) -> Any:
    return Decimal(str(node.value)) if type(node.value) in (int, float) else node.value


def _places(tree: ast.AST) -> Iterator[Place]:
    """All places that are read, also those on the way to another one."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "megapixels":
            for place in (_place(argument) for argument in node.args):
                yield from ((*place, "width"), (*place, "height")) if place is not None else ()
        if place := _place(node):
            yield place


def _calculated(tree: ast.Expression) -> Iterator[Place]:
    """The places whose values are calculated with as they stand: a request that lacks one has no price."""
    yield from _places(tree.body) if isinstance(tree.body, ast.Attribute | ast.Subscript) else ()
    for node in ast.walk(tree):
        operands: list[ast.expr] = []
        if isinstance(node, ast.BinOp):
            operands = [node.left, node.right]
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            operands = [node.operand]
        elif isinstance(node, ast.Compare) and not all(isinstance(op, ast.Eq | ast.NotEq) for op in node.ops):
            operands = [node.left, *node.comparators]
        elif isinstance(node, ast.Call):
            operands = node.args
            yield from _places(node) if node.args and _place(node.args[0]) is not None else ()
        yield from filter(None, map(_place, operands))


def _place(node: ast.AST) -> Place | None:
    """The place that a node names; None for one that names none, or one that is worked out."""
    if isinstance(node, ast.Name):
        return () if node.id == "params" else None
    if isinstance(node, ast.Attribute):
        key: object = node.attr
    elif isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
        key = node.slice.value
    else:
        return None
    held = _place(node.value)
    return None if held is None else (*held, str(key))


def _outermost(places: Mapping[Place, None]) -> Iterator[Place]:
    """Those that are not on the way to another one."""
    for place in places:
        if not any(len(other) > len(place) and other[: len(place)] == place for other in places):
            yield place


def _named(place: Place) -> str:
    return ".".join(("params", *place))


def _at(params: Any, place: Place) -> Any:
    for key in place:
        params = _entry(params, Decimal(key) if isinstance(params, list) and key.isdecimal() else key)
    return params


class _Evaluator(SimpleEval):  # type: ignore[misc]  # the library has no types
    """Takes numbers as decimals, and names after a point as fields, never as attributes of Python's."""

    def __init__(self) -> None:
        super().__init__(functions=dict(FUNCTIONS))
        self.nodes |= {ast.Constant: _literal, ast.Attribute: self._field, ast.Subscript: self._field}

    def _field(self, node: ast.Attribute | ast.Subscript) -> Any:
        """A field of an object, or an entry of a list; None where there is none."""
        held = self._eval(node.value)
        found = _entry(held, node.attr if isinstance(node, ast.Attribute) else self._eval(node.slice))
        return as_number(found) if isinstance(found, int | float) and not isinstance(found, bool) else found


#: One for all threads, each in its turn: making one changes the process's filters of warnings for a moment.
_EVALUATOR, _TURN = _Evaluator(), threading.Lock()


def _evaluated(node: ast.expr, params: Mapping[str, Any]) -> Any:
    with _TURN:
        _EVALUATOR.names = {"params": params}
        try:
            return _EVALUATOR.eval("", previously_parsed=node)
        finally:
            _EVALUATOR.names = {}


def _entry(held: Any, key: Any) -> Any:
    if isinstance(held, Mapping):
        return held.get(key if isinstance(key, str) else str(key))
    if isinstance(held, list) and isinstance(key, Decimal) and 0 <= key < len(held):
        return held[int(key)]
    return None
