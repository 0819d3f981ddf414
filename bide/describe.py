"""How a job looks to an operator: one readable line, no secrets, no pictures, whatever its client sent along."""

from __future__ import annotations

from bide.contract import GenerateRequest

#: How much of a prompt is shown [characters].
PROMPT_CHARACTERS = 60

#: The longest line that is ever shown [characters].
LINE_CHARACTERS = 4 * PROMPT_CHARACTERS


def describe(request: GenerateRequest) -> str:
    """Provider, operation and the beginning of the prompt."""
    return describe_raw(request.provider, request.operation, request.params)


def describe_raw(provider: object, operation: object, params: object) -> str:
    """The same for what came off the wire unchecked."""
    head = f"{str(provider)[:64]} {str(operation)[:64]}"
    prompt = _prompt(params) if isinstance(params, dict) else ""
    return f"{head}: {prompt}" if prompt else head


def _prompt(params: dict[str, object]) -> str:
    nested = params.get("params")
    places = [params, nested if isinstance(nested, dict) else {}]
    found = (text for place in places for name in ("prompt", "Prompt") if isinstance(text := place.get(name), str))
    words = " ".join(next(found, "").split())
    return words if len(words) <= PROMPT_CHARACTERS else words[: PROMPT_CHARACTERS - 1] + "…"
