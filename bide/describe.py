"""The description of a job for an operator: one readable line without secrets and pictures."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from bide.contract import GenerateRequest

#: The form of the names of providers and operations, `bide.wire.Name`.
NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")

#: Fields of params that may hold those of a model or mode, its prompt among them.
NESTED = ("params", "input")

#: The most of a prompt that is shown [characters].
PROMPT_CHARACTERS = 60

#: The longest line that is ever shown [characters].
LINE_CHARACTERS = 4 * PROMPT_CHARACTERS


def describe(request: GenerateRequest) -> str:
    """Provider, operation and the beginning of the prompt."""
    return describe_raw(request.provider, request.operation, request.params)


def describe_raw(provider: object, operation: object, params: object) -> str:
    """Provider, operation and the beginning of the prompt, of a request that came off the wire unchecked."""
    head = f"{_name(provider)} {_name(operation)}"
    prompt = shortened(prompt_of(params))
    return f"{head}: {prompt}" if prompt else head


def _name(value: object) -> str:
    """A name as the wire allows it; anything else may be a misplaced prompt or picture."""
    return value if isinstance(value, str) and NAME.fullmatch(value) else "?"


def nested(params: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The fields of some params that hold those of a model or mode, by their names."""
    return {name: params[name] for name in NESTED if isinstance(params.get(name), dict)}


def prompt_of(params: object) -> str:
    """The whole prompt of some params in one line, wherever its provider has it; '' where there is none."""
    if not isinstance(params, Mapping):
        return ""
    places = [params, *nested(params).values()]
    found = (text for place in places for name in ("prompt", "Prompt") if isinstance(text := place.get(name), str))
    return " ".join(next(found, "").split())


def shortened(prompt: str) -> str:
    """The beginning of a prompt."""
    return prompt if len(prompt) <= PROMPT_CHARACTERS else prompt[: PROMPT_CHARACTERS - 1] + "…"
