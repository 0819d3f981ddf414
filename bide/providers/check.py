"""What is checked before anything is bought: params by their model, misspelt fields, blank prompts, pictures."""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Iterator, Mapping, Set
from types import GenericAlias
from typing import Any

from pydantic import TypeAdapter, ValidationError

from bide.describe import nested
from bide.errors import InvalidRequestError
from bide.params.base import Params
from bide.providers.offering import Operation
from bide.spelling import nearest
from bide.validation import MOST_NAMES, missing, readable, redacted

#: Unknown fields that warnings or a refusal name.
MOST_NAMED = 10

#: What a warning, and a refusal, say of an unknown field.
PASSES = "is no field that bide knows; it goes to the provider as it is"
REFUSED = "is no field that bide knows, and this deployment refuses such"

#: Where params stand in a request.
ROOT = "params"

#: Kinds of characters that show nothing by themselves: blanks, line ends, marks, and what only controls the others.
_INVISIBLE = frozenset({"Zs", "Zl", "Zp", "Cc", "Cf", "Mn", "Me"})

#: Letters and symbols that are drawn as blanks.
_BLANK_LETTERS = frozenset("\u115f\u1160\u2800\u3164\uffa0")


def check_params(model: type[Params], params: Mapping[str, Any]) -> None:
    """Raise `InvalidRequestError` for a wrong value, a misspelt field, or a prompt that holds nothing."""
    raw, known = {ROOT: dict(params)}, model.known()
    problems, hidden, required = [], [], set[str]()
    try:
        _checker(model).validate_python(raw)
    except ValidationError as error:
        problems, required = [readable(error, raw, known=known)], missing(error)
        hidden = [redacted(error, raw, known=known, root=ROOT)]
    if model.model_config.get("extra") != "forbid":  # else the problems say so
        for number, name, meant in _misspelt(model, params):
            if meant not in required:
                advice = f"is not a known field; did you mean {meant}?"
                problems.append(f"{ROOT}.{name}: {advice}")
                hidden.append(f"{ROOT}.field {number}: {advice}")
    for place in _blank_prompts(params):
        problems.append(f"{ROOT}.{place}: holds nothing but blanks; say what is to be made")
        hidden.append(problems[-1])
    if problems:
        raise InvalidRequestError("; ".join(problems), redacted="; ".join(hidden))


def check_inputs(provider: str, operation: str, known: Operation, names: Set[str]) -> None:
    """Raise `InvalidRequestError` for pictures that an operation does not take, or lacks."""
    if names and known.inputs is None:
        refusal = f"inputs: {provider} {operation} takes no pictures, got "
        raise InvalidRequestError(refusal + ", ".join(sorted(names)), redacted=f"{refusal}{len(names)}")
    if lacking := known.required_inputs - names:
        raise InvalidRequestError(f"inputs.{min(lacking)}: is required by {provider} {operation}")
    if known.allowed_inputs is not None and (extra := names - known.allowed_inputs):
        allowed = ", ".join(sorted(known.allowed_inputs))
        refusal = f"is not a picture of {operation}; it takes {allowed}"
        raise InvalidRequestError(f"inputs.{min(extra)}: {refusal}", redacted=f"inputs: {len(extra)} {refusal}")


def unknown_params(model: type[Params], params: Mapping[str, Any]) -> list[str]:
    """The fields that bide does not know of the operation, in their order; none where it declares no fields."""
    known = model.known()
    return [name for name in params if name not in known] if known else []


def warnings_of(model: type[Params], params: Mapping[str, Any]) -> tuple[str, ...]:
    """A line for each unknown field, which goes to the provider as it is."""
    unknown = unknown_params(model, params)
    rest = len(unknown) - MOST_NAMED
    return (
        *(f"{ROOT}.{_short(name)}: {PASSES}" for name in unknown[:MOST_NAMED]),
        *([f"{ROOT}: {rest} more of its fields pass so"] if rest > 0 else []),
    )


def unknown_params_variable(provider: str) -> str:
    """The variable by which a deployment has unknown fields refused."""
    return f"BIDE_PROVIDERS__{provider.upper()}__UNKNOWN_PARAMS=refuse"


def refuse_unknown(model: type[Params], params: Mapping[str, Any], *, variable: str) -> None:
    """Raise `InvalidRequestError` where the params have a field that bide does not know; `variable` is the reason."""
    unknown = unknown_params(model, params)
    if not unknown:
        return
    numbers = {name: number for number, name in enumerate(params, start=1)}
    why, named = f" ({variable}); known are {', '.join(sorted(model.known()))}", unknown[:MOST_NAMED]
    raise InvalidRequestError(
        "; ".join(f"{ROOT}.{_short(name)}: {REFUSED}" for name in named) + why,
        redacted="; ".join(f"{ROOT}.field {numbers[name]}: {REFUSED}" for name in named) + why,
    )


def _misspelt(model: type[Params], params: Mapping[str, Any]) -> Iterator[tuple[int, str, str]]:
    """Number, name and the name that was meant, of each field that is near a known one."""
    known = model.known()
    for number, name in enumerate([*params][:MOST_NAMES], start=1):
        if name not in known and (meant := nearest(name, known)):
            yield number, name, meant


def _blank_prompts(params: Mapping[str, Any]) -> Iterator[str]:
    """The places of prompts that hold characters, and show none."""
    places = {"": params, **{f"{name}.": held for name, held in nested(params).items()}}
    for prefix, held in places.items():
        for name, text in held.items():
            if name.casefold() == "prompt" and isinstance(text, str) and text and not any(map(_is_visible, text)):
                yield f"{prefix}{name}"


def _is_visible(character: str) -> bool:
    return unicodedata.category(character) not in _INVISIBLE and character not in _BLANK_LETTERS


def _short(name: str) -> str:
    return name if len(name) <= 64 else f"{name[:63]}…"


@functools.cache
def _checker(model: type[Params]) -> TypeAdapter[Any]:
    in_place: Any = GenericAlias(dict, (str, model))
    return TypeAdapter(in_place)
