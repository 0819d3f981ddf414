"""How far a job is at its provider, as far as that says so; and how it stands in the job's record."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from typing import Any, Self

from bide.printable import plain

#: The most that is kept of a provider's message [characters].
MESSAGE_CHARACTERS = 200


@dataclass(frozen=True)
class Progress:
    """What a provider says of a job at work; None or '' for what it does not say."""

    #: How much of it is done, from 0 to 1.
    fraction: float | None = None
    #: How many jobs stand before it in the provider's queue.
    position: int | None = None
    #: The provider's estimate of the rest [seconds].
    left_seconds: float | None = None
    #: The provider's last message about the work, such as a line of a log.
    message: str = ""

    def to_text(self) -> str:
        """As it stands in the record: JSON of what is known, '' where nothing is.

        Numbers that can't be are left out.
        """
        fraction, position, left = map(_number, (self.fraction, self.position, self.left_seconds))
        known = {
            "fraction": None if fraction is None else round(min(fraction, 1.0), 3),
            "position": None if position is None else int(position),
            "left_seconds": None if left is None else round(left, 1),
            "message": plain(self.message)[:MESSAGE_CHARACTERS],
        }
        kept = {name: value for name, value in known.items() if value is not None and value != ""}
        return json.dumps(kept, separators=(",", ":")) if kept else ""

    @classmethod
    def from_text(cls, text: str) -> Self | None:
        """The reverse of `to_text`; None for ''."""
        return cls(**json.loads(text)) if text else None

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        return asdict(self)

    def __str__(self) -> str:
        """For people."""
        parts = [
            f"{self.fraction:.0%} done" if self.fraction is not None else "",
            f"{self.position} before it in the provider's queue" if self.position is not None else "",
            f"about {self.left_seconds:.0f} s left" if self.left_seconds is not None else "",
            self.message,
        ]
        return ", ".join(filter(None, parts))


def _number(value: float | None) -> float | None:
    """A number that is not negative; None for any other."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < math.inf:
        return None
    return float(value)
