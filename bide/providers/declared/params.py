"""The params of a declared operation as a model, like those of the adapters in Python."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce
from operator import or_
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, create_model
from pydantic_core import PydanticCustomError

from bide.params.base import Params
from bide.providers.declared.sections import OperationTable, ParamTable

_TYPES: Mapping[str, Any] = {
    "string": str,
    "integer": int,
    "number": float,
    "boolean": bool,
    "object": dict[str, Any],
    "array": list[Any],
    "any": Any,
}


class Closed(Params):
    """Params that take no other fields than the declared ones."""

    model_config = ConfigDict(extra="forbid")


def params_model(provider: str, name: str, table: OperationTable) -> type[Params]:
    """The model of an operation's params."""
    fields: dict[str, Any] = {field: _field(each) for field, each in (table.params or {}).items()}
    fields |= {field: _forbidden(reason) for field, reason in table.forbidden.items()}
    title = "".join(part.capitalize() for part in name.replace(".", "_").replace("-", "_").split("_")) or "Params"
    made = create_model(
        title,
        __base__=Closed if table.closed else Params,
        __doc__=table.about or f"Params of {provider} {name}.",
        **fields,
    )
    return type(
        title,
        (made,),
        {
            "__module__": __name__,
            "__doc__": made.__doc__,
            "provider": provider,
            "operation": name,
            "others": frozenset(table.others),
        },
    )


def defaults(table: OperationTable) -> dict[str, Any]:
    """What is sent for fields that a request lacks."""
    return {name: each.default for name, each in (table.params or {}).items() if each.default is not None}


def _field(table: ParamTable) -> tuple[Any, Any]:
    kind: Any = Literal[tuple(table.enum)] if table.enum else reduce(or_, (_TYPES[name] for name in table.type))
    if table.minimum is not None or table.maximum is not None:
        kind = Annotated[kind, BeforeValidator(_within(table))]
    about = table.about or None
    if table.required:
        texts_alone = table.type == ["string"] and not table.enum
        return kind, Field(description=about, min_length=1 if texts_alone else None)
    return kind | None, Field(default=table.default, description=about)


def _within(table: ParamTable) -> Callable[[Any], Any]:
    """What refuses numbers beyond the limits, also those that are written as texts."""
    whole = "integer" in table.type and "number" not in table.type
    least, most = (
        (float("-inf") if table.minimum is None else table.minimum),
        (float("inf") if table.maximum is None else table.maximum),
    )
    advice = f"must be a {'whole number' if whole else 'number'} {_range(table)}"

    def check(value: Any) -> Any:
        if value is None:
            return value
        try:
            number = (int if whole else float)(value) if isinstance(value, str) and len(value) < 20 else value
        except ValueError:
            number = None
        kinds = int if whole else (int, float)
        if isinstance(number, bool) or not isinstance(number, kinds) or not least <= number <= most:
            raise PydanticCustomError("number", advice)
        return value

    return check


def _range(table: ParamTable) -> str:
    if table.maximum is None:
        return f"from {table.minimum:g}"
    return f"up to {table.maximum:g}" if table.minimum is None else f"from {table.minimum:g} to {table.maximum:g}"


def _forbidden(reason: str) -> tuple[Any, Any]:
    def refuse(_value: Any) -> Any:
        raise PydanticCustomError("forbidden", "{reason}", {"reason": reason})

    return Annotated[None, BeforeValidator(refuse)], Field(default=None, description="Not to be set.")
