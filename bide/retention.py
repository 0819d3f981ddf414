"""How long a job's objects stay: a tag on each of them, and a lifecycle rule of the bucket for each number of days.

A rule matches the value of a tag exactly. So there is one rule for each number of days that may be asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bide.errors import InvalidRequestError

if TYPE_CHECKING:
    from bide.contract import GenerateRequest

#: The tag of an object; its value is the number of days after which the store removes the object.
TAG = "bide-retention-days"

#: The days that a request may ask for, unless the settings name others.
CHOICES = (1, 7, 14, 30, 60, 90, 180, 365)

#: In a result's warnings: the store did not take the tag.
UNTAGGED = "retention_days: the store refuses tags, so that these objects stay until `bide erase` removes them"


@dataclass(frozen=True)
class Retention:
    """What the settings say. Keys of `operations` are `provider/operation`, or `provider/*` for all others of one."""

    days: int | None = None
    operations: Mapping[str, int] = field(default_factory=dict)
    choices: tuple[int, ...] = CHOICES

    def days_of(self, request: GenerateRequest) -> int | None:
        """How long a request's objects stay [days], None for ever: by itself, its operation, the deployment."""
        if request.retention_days is not None:
            return request.retention_days
        of_provider = self.operations.get(f"{request.provider}/*", self.days)
        return self.operations.get(f"{request.provider}/{request.operation}", of_provider)

    @property
    def all_days(self) -> tuple[int, ...]:
        """Each number of days that may stand in a tag, in order: the bucket needs a rule for each."""
        own = () if self.days is None else (self.days,)
        return tuple(sorted({*self.choices, *self.operations.values(), *own}))

    def check(self, request: GenerateRequest) -> None:
        """Raise `InvalidRequestError` for days without a rule: the objects would stay for ever."""
        days = request.retention_days
        if days is None or days in self.all_days:
            return
        known = ", ".join(map(str, self.all_days))
        raise InvalidRequestError(
            f"retention_days: {days} is none of the days that this deployment has rules for ({known}); take one of "
            f"these, or add {days} to BIDE_RETENTION__CHOICES and run `bide storage lifecycle --apply`"
        )


def tags_of(days: int | None) -> dict[str, str]:
    """The tags of an object that stays for so many days; none for one that stays for ever."""
    return {} if days is None else {TAG: str(days)}
