"""Price expressions of a provider's file: arithmetic over a request's params, in decimals. No code runs in them.

`0.025 * megapixels(params.input) * (params.num_images or 1)`: numbers, `+ - * /`, comparisons, `or`, `and`,
`A if B else C`, places in params, and the functions of `FUNCTIONS`.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from pydantic import GetCoreSchemaHandler
from pydantic_core import core_schema
from simpleeval import InvalidExpression, SimpleEval

from bide.errors import InvalidRequestError

#: What may stand in an expression; `simpleeval` would take more.
_NODES = (
    *(ast.Expression, ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.IfExp, ast.Call, ast.Attribute, ast.Name),
    *(ast.Constant, ast.Subscript, ast.Load, ast.Add, ast.Sub, ast.Mult, ast.Div, ast.USub, ast.And, ast.Or, ast.Not),
    *(ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE),
)

#: The most characters of an expression.
LONGEST = 500


def megapixels(params: Any) -> Decimal:
    """Of a picture whose `width` and `height` stand in an object."""
    width, height = (_number(params.get(name)) if isinstance(params, Mapping) else None for name in ("width", "height"))
    if width is None or height is None:
        raise ValueError("megapixels() needs width and height")
    return width * height / 1_000_000


FUNCTIONS: Mapping[str, Any] = {
    "ceil": lambda number: Decimal(math.ceil(number)),
    "length": lambda value: Decimal(len(value)),
    "max": max,
    "megapixels": megapixels,
    "min": min,
}


class Price:
    """One expression, parsed once."""

    def __init__(self, text: str | float) -> None:
        """Raise `ValueError` for what is no expression, names what there is not, or divides by zero."""
        self.text = str(text)
        if len(self.text) > LONGEST:
            raise ValueError(f"is longer than {LONGEST} characters")
        try:
            self._parsed = ast.parse(self.text, mode="eval")
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise ValueError(f"is no price: {getattr(error, 'msg', 'it is too deep')}") from None
        for node in ast.walk(self._parsed):
            _check(node)

    def __repr__(self) -> str:
        return self.text

    def names(self) -> Iterator[str]:
        """The fields of params that it reads."""
        for node in ast.walk(self._parsed):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                yield node.attr

    def divides_by_zero(self, params: Mapping[str, Any]) -> bool:
        """Whether it does for these params."""
        try:
            self._evaluated(params)
        except (ZeroDivisionError, InvalidOperation):  # the latter for nothing divided by zero
            return True
        except (ArithmeticError, ValueError, TypeError, KeyError, InvalidExpression):
            return False
        return False

    def _evaluated(self, params: Mapping[str, Any]) -> Any:
        evaluator = SimpleEval(functions=dict(FUNCTIONS), names={"params": params})
        evaluator.nodes |= {ast.Constant: _constant, ast.Attribute: _of(evaluator), ast.Subscript: _of(evaluator)}
        return evaluator.eval(self.text, previously_parsed=self._parsed.body)

    def amount(self, params: Mapping[str, Any]) -> Decimal:
        """What a request costs; raises `InvalidRequestError` where that can't be worked out."""
        try:
            amount = self._evaluated(params)
        except (ZeroDivisionError, InvalidOperation):
            raise InvalidRequestError(f"price: {self.text} divides by zero for these params") from None
        except (ArithmeticError, ValueError, TypeError, KeyError, InvalidExpression) as error:
            raise InvalidRequestError(f"price: {self.text} can't be worked out ({type(error).__name__})") from None
        found = _number(amount)
        if found is None or found < 0:
            raise InvalidRequestError(f"price: {self.text} comes to no amount of money for these params")
        return found

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(_price)


def _price(value: object) -> Price:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError("must be a number or an expression in quotes")  # noqa: TRY004 - pydantic shows ValueErrors
    return Price(value)


def _check(node: ast.AST) -> None:
    if not isinstance(node, _NODES):
        raise ValueError(f"is no price: {type(node).__name__} can't stand in one")  # noqa: TRY004 - as below
    if isinstance(node, ast.Name) and node.id != "params" and node.id not in FUNCTIONS:
        raise ValueError(f"names {node.id!r}, which there is not; there are params and {', '.join(FUNCTIONS)}")
    if isinstance(node, ast.Call) and not (isinstance(node.func, ast.Name) and node.func.id in FUNCTIONS):
        raise ValueError(f"calls what is no function; there are {', '.join(FUNCTIONS)}")
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div) and _is_zero(node.right):
        raise ValueError("divides by zero")


def _is_zero(node: ast.AST) -> bool:
    """Whether a part without params comes to zero."""
    if any(isinstance(part, ast.Name) and part.id == "params" for part in ast.walk(node)):
        return False
    evaluator = SimpleEval(functions=dict(FUNCTIONS), names={})
    evaluator.nodes |= {ast.Constant: _constant}
    try:
        return not evaluator.eval("", previously_parsed=node)
    except (ArithmeticError, ValueError, TypeError, InvalidExpression):
        return False


def _constant(node: ast.Constant) -> Any:
    return Decimal(str(node.value)) if type(node.value) in (int, float) else node.value


def _of(evaluator: SimpleEval) -> Any:
    """A field of an object, or an entry of a list; None where there is none. Never an attribute of Python's."""

    def lookup(node: ast.Attribute | ast.Subscript) -> Any:
        held = evaluator._eval(node.value)
        key = node.attr if isinstance(node, ast.Attribute) else evaluator._eval(node.slice)
        if isinstance(held, Mapping):
            return _decimal(held.get(key if isinstance(key, str) else str(key)))
        if isinstance(held, list) and isinstance(key, Decimal) and 0 <= key < len(held):
            return _decimal(held[int(key)])
        return None

    return lookup


def _decimal(value: Any) -> Any:
    """A number as a decimal, anything else as it is."""
    return _number(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _number(value: Any) -> Decimal | None:
    """A finite number, also one that is written as a text; else None."""
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        return None
    try:
        number = Decimal(str(value))
    except (InvalidOperation, ValueError):
        return None
    return number if number.is_finite() else None
