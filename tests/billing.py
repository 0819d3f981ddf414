"""The sandbox's bill in the form that a book is compared with."""

from __future__ import annotations

from typing import Any

from sandbox.bill import label_of
from sandbox.running import Sandbox

__all__ = ["billed", "label_of", "lines_of"]


def billed(sandbox: Sandbox, *, currency: str = "USD") -> dict[tuple[str, str], int]:
    """What the simulated providers charge in all: millionths by provider and `label_of` the account's key.

    Raises `AssertionError` for a bill with another currency than this one.
    """
    totals = sandbox.bill()["totals"]
    assert {one["currency"] for one in totals} <= {currency}
    return {(one["provider"], one["key"]): one["millionths"] for one in totals}


def lines_of(sandbox: Sandbox, reference: str) -> list[dict[str, Any]]:
    """The lines of the bill for a job that is known by its reference, the prompt mostly."""
    return [line for line in sandbox.bill()["lines"] if line["reference"] == reference]
