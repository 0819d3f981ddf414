"""What a chaos run over money counts is found: a double charge, a budget that was passed, an entry that is missing."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bide.contract import GenerateRequest
from bide.ledger import AccountName
from bide.money.book import Sums
from config.budgets import Known, load
from tests.billing import label_of
from tests.faults.chaos.bill import Purchase, by_job, read_bill
from tests.faults.chaos.books import Balance, balances, charges, of_account, of_budgets, of_tenant
from tests.faults.chaos.budget_watch import Seen
from tests.faults.chaos.budgets import AT_LAST, SHARES, BudgetFile, covered
from tests.faults.chaos.contenders import CallerAnswer
from tests.faults.chaos.jobs import LIES, Job
from tests.faults.chaos.money import over_budget, wrong_balances
from tests.faults.chaos.moves import moves
from tests.faults.chaos.routes import FAILS, REFUSES, TENANTS, UNBOUNDED, jobs_for_tenants
from tests.faults.chaos.stage import GUILD_ACCOUNTS, KEYS

GUILD, PHOTOGPT = GUILD_ACCOUNTS[0], AccountName("photogpt", "default")

FALLBACK = {"provider": "photogpt", "operation": "images.generation", "account": "default", "params": {"modelID": "m2"}}
JOB = Job(
    "chaos-1-00001",
    {
        "provider": "guild",
        "operation": "replay",
        "account": "default",
        "params": {"motif": "chaos-1-00001"},
        "tenant": "globex",
        "fallbacks": [FALLBACK],
    },
    "replay",
)
AT_GUILD = Purchase(JOB.name, GUILD, "g1", 70_000)
AT_PHOTOGPT = Purchase(JOB.name, PHOTOGPT, "p1", 25_000)


def succeeded(purchase: Purchase, **more: Any) -> CallerAnswer:
    """A result that names a purchase as the one that made it."""
    made_by = {"provider": purchase.account.provider, "account": purchase.account.account, "operation": "any"}
    return CallerAnswer("succeeded", {"made_by": made_by, "provider_job_id": purchase.id, **more}, 0.0)


def refused(message: str) -> CallerAnswer:
    """A failure of a job that no budget had room for."""
    return CallerAnswer("over_budget", {"exc_message": [json.dumps({"code": "over_budget", "message": message})]}, 0.0)


# The jobs


def test_the_jobs_spread_over_tenants_and_fallbacks() -> None:
    """A seed draws the same; bide takes each request; no liar is under a budget that is reached."""
    jobs = jobs_for_tenants(1, 2000)

    assert jobs == jobs_for_tenants(1, 2000) != jobs_for_tenants(2, 2000)
    shares = {tenant: sum(job.tenant == tenant for job in jobs) / 20 for tenant in TENANTS}
    assert all(abs(shares[tenant] - weight) < 5 for tenant, weight in TENANTS.items()), shares
    assert {job.tenant for job in jobs if job.contract in LIES} == set(UNBOUNDED)
    assert all(covered(job).keys() == {"all"} for job in jobs if job.contract in LIES)
    for job in jobs:
        GenerateRequest.parse(job.request)
    moving = [job for job in jobs if len(job.in_turn) > 1]
    assert 300 < len(moving) < 800
    prompts = [json.dumps(job.request["params"]) for job in moving]
    assert sum(REFUSES in prompt for prompt in prompts) > 80
    assert sum(FAILS in prompt for prompt in prompts) > 30


# The budgets


def test_the_file_of_budgets_is_one_that_bide_takes(tmp_path: Path) -> None:
    """With a budget of each kind; those that jobs wait for are raised, and have room for all at last."""
    jobs = jobs_for_tenants(1, 400)
    budgets = BudgetFile(tmp_path / "budgets.toml", jobs)
    known = Known([account.provider for account in KEYS], lambda *_: "USD", lambda _: ["default", "listing"])

    budgets.write()
    first = {each.name: each for each in load(budgets.file, known)}
    budgets.raise_all(by=AT_LAST)
    last = {each.name: each for each in load(budgets.file, known)}

    assert list(first.values()) == sorted(first.values(), key=lambda each: each.name)
    assert {name: replace(each, amount=0) for name, each in first.items()} == {
        share.budget.name: share.budget for share in SHARES
    }
    asked = {name: sum(covered(job).get(name, 0) for job in jobs) for name in first}
    for name, each in last.items():
        assert (each.amount > first[name].amount) == (each.over == "wait")
        assert each.over == "refuse" or each.amount > 4 * asked[name] > 0
    assert first["all"].amount > asked["all"] > first["globex"].amount > 0


def test_a_budget_that_is_passed_once_is_seen() -> None:
    """Reserved and spent count together, up to the last millionth; the limit of that moment counts."""
    seen = Seen()
    seen.look(400, 600, 1000)
    assert (seen.highest, seen.highest_percent, seen.breaches) == (1000, 100.0, [])

    seen.look(401, 600, 1000, when="after 7.0 s")
    seen.look(0, 1001, 2000, waiting=2)
    seen.look(0, 1001, 2000, waiting=1)

    assert seen.breaches == ["reserved 0.000401 and spent 0.0006 of 0.001 after 7.0 s"]
    assert (seen.looks, seen.highest, seen.highest_percent, seen.limit) == (4, 1001, 100.1, 2000)
    assert seen.most_waiting == 2


def test_jobs_that_no_budget_covers_may_not_be_refused() -> None:
    """Nor may one that was bought end as over budget, or one be refused by a budget that has jobs wait."""
    words = "budget {} has no room for it: nothing was bought"
    found, broken = over_budget([JOB], {JOB.name: refused(words.format("globex"))}, {})
    assert (dict(found), broken) == ({"globex": 1}, [])

    _, [bought] = over_budget([JOB], {JOB.name: refused(words.format("globex"))}, {JOB.name: [AT_GUILD]})
    assert "was bought" in bought
    for other in ("dreambooth", "initech", "all"):
        _, [wrong] = over_budget([JOB], {JOB.name: refused(words.format(other))}, {})
        assert "no budget that covers it" in wrong


# Bill and book


def line(purchase: Purchase, kind: str = "purchase", millionths: int = 70_000, **more: Any) -> dict[str, Any]:
    """A line of the sandbox's bill."""
    key = label_of(KEYS[purchase.account])
    about = {"provider": purchase.account.provider, "key": key, "id": purchase.id, "reference": purchase.name}
    return {**about, "kind": kind, "millionths": millionths, **more}


def test_the_bill_is_read_by_purchases() -> None:
    """A failure that is paid back costs nothing and is no second purchase; one that is charged is."""
    failed = line(AT_GUILD, "failure", 0, charged=False)
    assert read_bill([line(AT_GUILD), failed, line(AT_GUILD, "refund", -70_000)]) == [
        replace(AT_GUILD, millionths=0, refunded=True)
    ]
    assert read_bill([line(AT_GUILD), line(AT_GUILD, "failure", 0, charged=True)]) == [AT_GUILD]
    assert by_job([replace(AT_GUILD, refunded=True), AT_PHOTOGPT]) == {JOB.name: [AT_PHOTOGPT]}


@pytest.mark.parametrize(
    ("group", "names"),
    [(of_account, ["guild/default"]), (of_tenant, ["globex"]), (of_budgets, ["all", "globex"])],
    ids=["account", "tenant", "budgets"],
)
def test_an_entry_that_is_missing_is_found(group: Any, names: list[str]) -> None:
    """By account, by tenant and in each budget, by a single millionth; one that is too much as well."""
    charged = charges([JOB], [AT_GUILD], held=())

    def wrong(spent: int) -> list[str]:
        return wrong_balances(balances(charged, group, {name: Sums(spent=spent) for name in names}))

    assert wrong(70_000) == []
    assert len(wrong(69_999)) == len(wrong(70_001)) == len(names)
    assert len(wrong_balances(balances(charged, group, {}))) == len(names)
    assert len(wrong_balances(balances([], group, {name: Sums(spent=1) for name in names}))) == len(names)


def test_a_lane_is_that_of_the_account_that_made_the_job() -> None:
    """So a budget of a model counts what went on there."""
    [charge] = charges([JOB], [AT_PHOTOGPT], held=())

    assert [*of_budgets(charge)] == ["all", "globex", "models-m2"]


def test_what_is_in_doubt_must_be_reserved() -> None:
    """A purchase in doubt is in the bill, and reserved in the book; all else agrees to the last unit."""
    charged = charges([JOB], [AT_GUILD], held={JOB.name})
    assert charged[0].open
    for book, right in ((Sums(reserved=70_000), True), (Sums(reserved=69_999), False), (Sums(spent=70_000), False)):
        assert (wrong_balances(balances(charged, of_account, {"guild/default": book})) == []) is right


def test_a_lie_may_hide_its_second_purchase_alone() -> None:
    """Its first one must be in the book."""
    liar = replace(JOB, contract="replay, a lie")
    charged = charges([liar], [AT_GUILD, replace(AT_GUILD, id="g2")], held=())

    assert [each.lied for each in charged] == [False, True]
    assert [Balance(140_000, spent, 0, 0, 70_000).right for spent in (69_999, 70_000, 140_000, 140_001)] == [
        *(False, True, True, False)
    ]


# Fallbacks


def test_a_job_that_two_accounts_charge_is_found() -> None:
    """Also where its caller has no result."""
    both = {JOB.name: [AT_GUILD, AT_PHOTOGPT]}
    for answers in ({JOB.name: succeeded(AT_PHOTOGPT)}, {}):
        found, [broken] = moves([JOB], answers, both)
        assert found.charged_twice == 1
        assert broken == f"{JOB.name}: charged by guild/default and photogpt/default"

    twice_at_one = {JOB.name: [AT_GUILD, replace(AT_GUILD, id="g2")]}
    assert moves([JOB], {JOB.name: succeeded(AT_GUILD)}, twice_at_one)[0].charged_twice == 0


def test_a_result_that_names_another_maker_than_the_bill_is_found() -> None:
    """By the account, and by the provider's id."""
    bought = {JOB.name: [AT_PHOTOGPT]}
    right = replace(succeeded(AT_PHOTOGPT), left=[{"code": "rejected"}])
    found, broken = moves([JOB], {JOB.name: right}, bought)
    assert (found.jobs, found.moved, found.succeeded_elsewhere, found.left_because) == (1, 1, 1, {"rejected": 1})
    assert broken == []

    without = CallerAnswer("succeeded", {"provider_job_id": "p1"}, 0.0)
    for wrong in (succeeded(AT_PHOTOGPT, provider_job_id="p2"), succeeded(replace(AT_GUILD, id="p1")), without):
        found, broken = moves([JOB], {JOB.name: wrong}, bought)
        assert (found.made_by_wrong, len(broken)) == (1, 1)
