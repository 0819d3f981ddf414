"""What the simulated providers charge in a run: one entry for each purchase, by job."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bide.ledger import AccountName
from tests.billing import label_of
from tests.faults.chaos.stage import KEYS, Stage


@dataclass(frozen=True)
class Purchase:
    """One job of a provider, as its bill has it."""

    #: The job of ours that it was for, by its name.
    name: str
    account: AccountName
    id: str
    #: What it costs in all [millionths], and whether a failure was paid back.
    millionths: int
    refunded: bool = False


def purchases_of(stage: Stage) -> list[Purchase]:
    """All purchases of a run, the oldest first."""
    return read_bill(stage.sandbox.bill()["lines"])


def read_bill(lines: Iterable[Mapping[str, Any]]) -> list[Purchase]:
    """The purchases of a bill's lines; a failure that costs nothing is a refund, also of a price of 0."""
    accounts = {(account.provider, label_of(key)): account for account, key in KEYS.items()}
    by_id: dict[tuple[str, str], list[Mapping[str, Any]]] = defaultdict(list)
    for line in lines:
        by_id[line["provider"], line["id"]].append(line)
    return [
        Purchase(
            group[0]["reference"],
            accounts[group[0]["provider"], group[0]["key"]],
            group[0]["id"],
            sum(line["millionths"] for line in group),
            any(line["kind"] == "failure" and not line["charged"] for line in group),
        )
        for group in by_id.values()
    ]


def by_job(purchases: Iterable[Purchase]) -> dict[str, list[Purchase]]:
    """The purchases that were not paid back, by the job's name."""
    found: dict[str, list[Purchase]] = defaultdict(list)
    for each in purchases:
        if not each.refunded:
            found[each.name].append(each)
    return dict(found)


def accounts_of(bought: Sequence[Purchase]) -> set[AccountName]:
    """The accounts that charged for a job."""
    return {each.account for each in bought}
