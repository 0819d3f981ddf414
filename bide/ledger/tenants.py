"""The tenants of an account: what each may take, as the scripts read it, and what each has in line and in flight."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

#: Stands for any tenant that has no caps of its own.
ANY_OTHER = "*"

#: What is counted of each tenant (`include/tenant_counts.lua`), and the name of those that are counted together.
KINDS, OTHER = ("submitted", "succeeded", "failed", "canceled", "over_budget"), "other"

#: From here on a moment is none: the tenant goes on when one of its places is free.
_ONLY_A_PLACE = 1e15


@dataclass(frozen=True)
class TenantCaps:
    """What one tenant may take of an account: 0 means no cap."""

    max_in_flight: int = 0
    submits_per_second: float = 0.0
    #: The turns that it has for each turn of a tenant of weight 1.
    weight: float = 1.0


@dataclass(frozen=True)
class TenantCount:
    """One tenant of an account, '' for the jobs without one."""

    tenant: str
    in_line: int
    in_flight: int
    caps: TenantCaps = TenantCaps()
    #: Whether it is passed over, and until when that is so by its rate [seconds since the epoch, 0 for a place].
    at_cap: bool = False
    goes_on_at: float = 0.0
    #: Jobs so far, by `KINDS`; empty where it is not counted by name.
    counted: Mapping[str, int] = field(default_factory=dict)


def caps_text(caps: Mapping[str, TenantCaps]) -> str:
    """The caps of all tenants as the sweeper writes them into the account's record; '' where there are none.

    A line for each: name, jobs in flight, submits per second, weight.
    """
    lines = (
        f"{tenant} {its.max_in_flight} {its.submits_per_second:.12g} {its.weight:.12g}\n"
        for tenant, its in sorted(caps.items())
    )
    return "\n" + "".join(lines) if caps else ""


def read_caps(text: str) -> dict[str, TenantCaps]:
    """The reverse of `caps_text`."""
    entries = (line.split(" ") for line in text.split("\n") if line)
    return {tenant: TenantCaps(int(places), float(rate), float(weight)) for tenant, places, rate, weight, *_ in entries}


def caps_of(tenant: str, known: Mapping[str, TenantCaps]) -> TenantCaps:
    """The caps of one tenant; those without a name have none."""
    return known.get(tenant, known.get(ANY_OTHER, TenantCaps())) if tenant else TenantCaps()


def counts_of(reply: Sequence[Any], caps: Mapping[str, TenantCaps]) -> list[TenantCount]:
    """The tenants in a reply of `account/tenants.lua`; [] where the account has none.

    The first is '' (the jobs without a tenant). The last is `OTHER`: its counts are those of tenants that are not
    counted by name, and its jobs those of tenants that the reply leaves out.
    """
    in_line, in_flight, without, rows = reply
    found = [_count_of(row, caps) for row in rows]
    *named, other = found
    if not named and not any(other.counted.values()):
        return []
    rest_in_line = int(in_line) - int(without) - sum(each.in_line for each in named)
    rest_in_flight = int(in_flight) - sum(each.in_flight for each in named)
    none = TenantCount("", int(without), max(rest_in_flight, 0))
    return [none, *named, TenantCount(OTHER, max(rest_in_line, 0), 0, counted=other.counted)]


def _count_of(row: Sequence[Any], caps: Mapping[str, TenantCaps]) -> TenantCount:
    tenant, in_line, in_flight, moment, by_name, *counts = row
    goes_on_at = float(moment or 0)
    return TenantCount(
        tenant,
        int(in_line),
        int(in_flight),
        caps_of(tenant, caps),
        moment != "",
        goes_on_at if goes_on_at < _ONLY_A_PLACE else 0.0,
        {kind: int(count or 0) for kind, count in zip(KINDS, counts, strict=True)}
        if int(by_name) or tenant == OTHER
        else {},
    )


def line_begin(line: int, *, bulk: bool) -> int:
    """The least score of a line in `queued`, as `include/tenants.lua` has it."""
    return bulk * 10**12 if line == 0 else 2 * 10**12 + (2 * line - 2 + bulk) * 10**11
