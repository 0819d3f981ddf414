"""What the tenants of an account may take: the JSON object of the setting `TENANTS`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any, NamedTuple

from pydantic import BeforeValidator

from bide import strict_json
from bide.contract import NAME

#: Stands for any tenant that the object does not name.
ANY_OTHER = "*"

#: The most tenants that one account names: all of them stand in its record.
MOST_NAMED = 1000


class TenantLimits(NamedTuple):
    """One tenant and what it may take: 0 means no cap."""

    tenant: str
    max_in_flight: int = 0
    submits_per_second: float = 0.0
    weight: float = 1.0


#: What each value may be: the least and the most, whether it is a whole number, and in words.
_VALUES: dict[str, tuple[float, float, bool, str]] = {
    "max_in_flight": (1, 1_000_000, True, "a whole number from 1 on"),
    "submits_per_second": (0.001, 1_000_000, False, "a number of 0.001 or more"),
    "weight": (0.01, 100, False, "a number from 0.01 to 100"),
}


def _limited(value: object) -> object:
    """A JSON object of tenants and their caps; all its mistakes are named at once."""
    if isinstance(value, tuple):
        return value
    try:
        tenants = strict_json.loads(value) if isinstance(value, str) else value
    except strict_json.RepeatedNameError as error:
        raise ValueError(str(error)) from None
    except ValueError:
        tenants = None
    if not isinstance(tenants, dict):
        raise ValueError("is not a JSON object")  # noqa: TRY004 - the error that pydantic reports
    if mistakes := [mistake for tenant, caps in tenants.items() for mistake in _mistakes(tenant, caps)]:
        raise ValueError("; ".join(mistakes))
    if len(tenants) > MOST_NAMED:
        raise ValueError(f"names more than {MOST_NAMED} tenants; use {ANY_OTHER} for those that are alike")
    return tuple(TenantLimits(tenant, **caps) for tenant, caps in sorted(tenants.items()))


def _mistakes(tenant: str, caps: Any) -> Iterator[str]:
    shown = re.sub(r"[^\w.*-]", "?", tenant)[:64]
    if tenant != ANY_OTHER and not NAME.fullmatch(tenant):
        form = f"small letters, digits, '_', '.', '-', 64 at most, or {ANY_OTHER}"
        yield f"{shown or 'an empty text'} is no tenant: {form}"
    if not isinstance(caps, dict):
        yield f"{shown}: must be a JSON object of {', '.join(_VALUES)}"
        return
    if unknown := [re.sub(r"\W", "?", name)[:40] for name in caps if name not in _VALUES]:
        yield f"{shown}: there is no {', '.join(unknown)}; there are {', '.join(_VALUES)}"
    for name, value in caps.items():
        if name in _VALUES and not _is_right(name, value):
            yield f"{shown}: {name} must be {_VALUES[name][3]}"


def _is_right(name: str, value: object) -> bool:
    least, most, whole, _ = _VALUES[name]
    kinds = int if whole else (int, float)
    return isinstance(value, kinds) and not isinstance(value, bool) and least <= value <= most


Tenants = Annotated[tuple[TenantLimits, ...], BeforeValidator(_limited)]
