"""The tenants of an account: what each may take, as the ledger's scripts read it, and what each has in line and in flight."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

#: Stands for any tenant that has no caps of its own.
ANY_OTHER = "*"


@dataclass(frozen=True)
class TenantCaps:
    """What one tenant may take of an account: 0 means no cap."""

    max_in_flight: int = 0
    submits_per_second: float = 0.0
    #: The turns that it has for each turn of a tenant of weight 1.
    weight: float = 1.0


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
    return {
        tenant: TenantCaps(int(places), float(rate), float(weight)) for tenant, places, rate, weight, *_ in entries
    }
