"""The settings of retention: how long objects stay where a request does not say, and what requests may ask for."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from bide import strict_json
from bide.contract import MAX_RETENTION_DAYS
from bide.providers import installed
from bide.retention import CHOICES, Retention
from bide.settings.problems import Problem
from bide.settings.sections import Section
from bide.settings.variables import variable_name
from bide.spelling import nearest

#: `provider/operation`, or `provider/*`.
_OPERATION = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}/(\*|[a-z0-9][a-z0-9_.-]{0,63})")

#: The most numbers of days: each has a rule, and a bucket may have 1,000 rules.
MOST_CHOICES = 500


def _days(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_RETENTION_DAYS:
        raise ValueError(f"holds what is no whole number of days from 1 to {MAX_RETENTION_DAYS}")
    return value


def _choices(value: object) -> object:
    """Numbers with commas between them, or a JSON list."""
    if not isinstance(value, str):
        return value
    try:
        found: Any = strict_json.loads(value if value.lstrip().startswith("[") else f"[{value}]")
    except ValueError:
        raise ValueError("is no list of numbers") from None
    if len(found) > MOST_CHOICES:
        raise ValueError(f"has over {MOST_CHOICES} numbers")
    return tuple(sorted({_days(each) for each in found}))


def _operations(value: object) -> object:
    """A JSON object of days by `provider/operation` or `provider/*`, as sorted pairs."""
    if not isinstance(value, str):
        return value
    try:
        found: Any = strict_json.loads(value)
    except strict_json.RepeatedNameError as error:
        raise ValueError(str(error)) from None
    except ValueError:
        found = None
    if not isinstance(found, Mapping):
        raise ValueError("is no JSON object")  # noqa: TRY004 - the error that pydantic reports
    for name in found:
        if not _OPERATION.fullmatch(name):
            raise ValueError("has a name that is neither provider/operation nor provider/*")
    return tuple(sorted((name, _days(days)) for name, days in found.items()))


class RetentionSettings(Section):
    """For how long the store keeps the objects of jobs. `bide storage lifecycle --apply` writes the bucket's rules."""

    days: int | None = Field(
        None,
        ge=1,
        le=MAX_RETENTION_DAYS,
        description="the time objects stay where neither request nor operation says [days]",
    )
    operations: Annotated[tuple[tuple[str, int], ...], BeforeValidator(_operations)] = Field(
        (), description='a JSON object of days by operation, such as {"photogpt/models.train": 30, "fal/*": 7}'
    )
    choices: Annotated[tuple[int, ...], BeforeValidator(_choices)] = Field(
        CHOICES, description="the days that requests may ask for, such as 7,30,90"
    )

    @property
    def resolved(self) -> Retention:
        """The values in force."""
        return Retention(self.days, dict(self.operations), self.choices)

    def problems(self) -> Iterator[Problem]:
        """Providers and operations that there are not: the objects of the meant ones would stay for ever."""
        adapters = installed() if self.operations else {}
        for name, _ in self.operations:
            provider, _, operation = name.partition("/")
            if provider not in adapters:
                yield _unknown(f"{name}: {provider} is no provider that there is here", provider, adapters)
            elif operation not in ("*", *adapters[provider].operations):
                wrong = f"{name}: {provider} has no such operation"
                yield _unknown(wrong, operation, adapters[provider].operations)

    @property
    def asked_for(self) -> bool:
        """Whether the deployment asks for any of it."""
        return bool(self.model_fields_set)


def _unknown(wrong: str, name: str, known: Collection[str]) -> Problem:
    meant = nearest(name, known)
    remedy = f"did you mean {meant}?" if meant else f"there are {', '.join(sorted(known))}"
    return Problem(variable_name(("retention", "operations")), wrong, remedy)
