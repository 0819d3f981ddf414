"""JSON that people write: an object in which a name stands twice is refused, since Python would take the last one."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any


class RepeatedNameError(ValueError):
    """An object of a JSON text has a name twice. The message quotes the name, `redacted` does not."""

    def __init__(self, name: str) -> None:
        super().__init__(f"the name {name[:64]!r} stands twice in one object; which value is meant is not clear")
        self.redacted = "a name stands twice in one object"


def loads(text: str | bytes) -> Any:
    """The value of a JSON text; raises `RepeatedNameError`, and the errors of `json.loads`."""
    return json.loads(text, object_pairs_hook=_object)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        [(name, _)] = Counter(name for name, _ in pairs).most_common(1)
        raise RepeatedNameError(name)
    return found
