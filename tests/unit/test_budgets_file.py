"""The file of budgets: what it says, all that can be wrong with it, and that it is read again when it changes."""

from __future__ import annotations

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from bide.ledger import AccountName, Record
from bide.money.budgets import Budget
from bide.settings.problems import ConfigurationProblems
from config.budgets import BUDGETS_FILE, Known, load
from config.settings import load as load_settings
from workers.services.budgets import Budgets

KNOWN = Known(
    ("fal", "photogpt"),
    lambda provider, account: {"fal": "USD", "photogpt": "credits"}[provider] if account != "strange" else "",
    lambda _: ("default",),
)

GOOD = """
[budgets.acme]
amount = 250.5
currency = "USD"
per = "month"
over = "wait"
tenant = "acme"
provider = "fal"
account = "second"
lane = "fal-ai/flux/dev"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where a test writes its budgets."""
    return tmp_path / "budgets.toml"


def problems(file: Path, text: str) -> list[str]:
    """What is wrong with a file of that text."""
    file.write_text(text)
    with pytest.raises(ConfigurationProblems) as caught:
        load(file, KNOWN)
    return [str(problem) for problem in caught.value.problems]


def test_a_budget_is_read_whole(file: Path) -> None:
    """Amounts are exact."""
    file.write_text(GOOD)
    assert load(file, KNOWN) == (
        Budget(
            "acme", 250_500_000, "USD", "month", "wait", "acme", "fal", account="fal/second", lane="fal-ai/flux/dev"
        ),
    )


def test_the_file_of_the_repository_is_empty_and_readable() -> None:
    """Without a word of a person there is no limit."""
    assert load(BUDGETS_FILE, KNOWN) == ()


def test_all_mistakes_are_named_at_once(file: Path) -> None:
    """Each with file, line, table, key and remedy."""
    found = problems(
        file,
        "\n".join(
            (
                "[budgets.one]",
                "amount = -3",
                'currency = "USD"',
                'provider = "fal"',
                "[budgets.two]",
                'amount = "much"',
                'curency = "USD"',
                'per = "week"',
                "[budgets.three]",
                "amount = 1",
                'currency = "EUR"',
                'provider = "fal"',
                "[budgets.four]",
                "amount = 1",
                'currency = "USD"',
                'provider = "fall"',
                "[budgets.five]",
                "amount = 1",
                'currency = "USD"',
                'provider = "fal"',
                'tenant = "acne"',
                "[budgets.six]",
                "amount = 1",
                'currency = "USD"',
                'account = "second"',
                '[budgets."no name"]',
                "amount = 1",
                "[tenants]",
                'known = ["acme"]',
                "[budget]",
            )
        ),
    )
    for part in (
        "line 2: budgets.one.amount: must be from 0",
        "line 6: budgets.two.amount: must be a number; set it to the money",
        "line 7: budgets.two.curency: is not known; did you mean currency?",
        "budgets.two.currency: is missing",
        "line 8: budgets.two.per: must be 'day' or 'month'",
        "line 11: budgets.three.currency: is EUR, and fal/default is in USD",
        "line 16: budgets.four.provider: fall is no provider that there is here; did you mean fal?",
        "line 21: budgets.five.tenant: acne is no tenant that [tenants] lists; did you mean acme?",
        "line 25: budgets.six.account: has no provider",
        "budgets.no name: can't be the name of a budget",
        "budget: is not known",
    ):
        assert any(part in problem for problem in found), (part, found)
    assert all(problem.startswith("budgets.toml") for problem in found)


@pytest.mark.parametrize(
    ("line", "part"),
    [
        ("amount = -3", "line 2: budgets.one.amount: must be from 0"),
        ("amount = 1e10", "line 2: budgets.one.amount: must be from 0"),
        ("amount = nan", "line 2: budgets.one.amount: must be from 0"),
        ("amount = true", "line 2: budgets.one.amount: must be a number; set it to"),
    ],
)
def test_a_mistake_hides_no_other_of_the_same_budget(file: Path, line: str, part: str) -> None:
    """Neither those of single values, nor of what they name."""
    rest = ('per = "week"', 'provider = "fall"', 'tenant = "acne"', "[budgets.two]", "amount = 1", 'currency = "EUR"')
    text = "\n".join(("[budgets.one]", line, *rest, 'provider = "fal"', "[tenants]", 'known = ["acme"]'))
    found = problems(file, text)
    for each in (
        part,
        "budgets.one.currency: is missing",
        "line 3: budgets.one.per: must be",
        "line 4: budgets.one.provider: fall is no provider that there is here; did you mean fal?",
        "line 5: budgets.one.tenant: acne is no tenant",
        "line 8: budgets.two.currency: is EUR, and fal/default is in USD",
    ):
        assert any(each in problem for problem in found), (each, found)
    assert len(found) == 6


def test_a_misspelt_account_is_refused(file: Path) -> None:
    """Nothing would count for it. One that is like none may be set up later."""
    budget = '[budgets.a]\namount = 1\ncurrency = "USD"\nprovider = "fal"\naccount = "{}"\n'
    [found] = problems(file, budget.format("deafult"))
    assert "line 5: budgets.a.account: deafult is no account of fal that the settings have; did you mean def" in found
    file.write_text(budget.format("second"))
    assert load(file, KNOWN)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("[budgets", "is not TOML"),
        ("budgets = 3", "is not a table"),
        ("[budgets]\none = 3", "budgets.one: is not a table"),
        ("[tenants]\nlist = 3", "is no list of tenants"),
        ('[budgets.all]\namount = 1\ncurrency = "USD"', "and photogpt/default is in credits"),
        ('[budgets.a]\namount = nan\ncurrency = "USD"', "amount"),
        ('[budgets.a]\namount = true\ncurrency = "USD"', "amount"),
    ],
)
def test_odd_files_are_refused(file: Path, text: str, part: str) -> None:
    """In words that say what to write."""
    assert any(part in problem for problem in problems(file, text))


def test_a_file_that_is_named_must_be_there(file: Path) -> None:
    """A limit that is not read would be none."""
    with pytest.raises(ConfigurationProblems, match="BIDE_BUDGETS"):
        load(file, KNOWN)


def test_the_start_names_its_mistakes_beside_those_of_the_settings(file: Path) -> None:
    """No worker starts without its limits."""
    file.write_text("[budgets.one]\n")
    environment = {"BIDE_BUDGETS": str(file), "BIDE_LOG__LEVEL": "LOUD"}
    with pytest.raises(ConfigurationProblems) as caught:
        load_settings(environment, None)
    assert {"BIDE_LOG__LEVEL", "BIDE_S3__BUCKET", "budgets.toml, line 1: budgets.one.amount"} <= {
        problem.variable for problem in caught.value.problems
    }


def test_what_a_budget_names_it_is_for() -> None:
    """And all else is not its matter."""
    budget = Budget("b", 1, "USD", tenant="acme", account="fal/second")
    assert budget.covers(tenant="acme", account="fal/second", lane="any")
    assert not budget.covers(tenant="", account="fal/second", lane="any")
    assert not budget.covers(tenant="acme", account="fal/default", lane="any")
    assert Budget("b", 1, "USD").covers(tenant="", account="fal/default", lane="")
    assert not Budget("b", 1, "USD", provider="fal", lane="x").covers(tenant="", account="fal/default", lane="")


@pytest.fixture
def world(file: Path) -> tuple[Budgets, list[float]]:
    """The budgets of a process, and its clock."""
    now = [0.0]
    file.write_text("")
    settings = load_settings({"BIDE_S3__BUCKET": "bide", "BIDE_BUDGETS": str(file)}, None)
    budgets = Budgets(settings, clock=lambda: now[0])
    budgets.load()
    return budgets, now


def test_a_change_is_in_force_within_a_second(file: Path, world: tuple[Budgets, list[float]]) -> None:
    """No process is restarted; the file is looked at once a second at most."""
    budgets, now = world
    assert budgets.current() == ()
    file.write_text('[budgets.b]\namount = 1\ncurrency = "USD"\ntenant = "acme"\n')
    assert budgets.current() == ()
    now[0] = 1.0
    assert [budget.amount for budget in budgets.current()] == [1_000_000]
    record = Record("j", AccountName("photogpt", "default"), {"tenant": "acme", "state": "queued"})
    assert len(budgets.over(record, "")) == 1
    assert budgets.over(Record("j", AccountName("photogpt", "default"), {}), "") == ()


def test_a_file_that_went_wrong_changes_nothing(file: Path, world: tuple[Budgets, list[float]]) -> None:
    """The last good one stays in force, and the log says so once."""
    budgets, now = world
    good = '[budgets.b]\namount = 1\ncurrency = "USD"\n'
    file.write_text(good)
    now[0] = 1.0
    before = budgets.current()
    assert before
    file.write_text(good + "amount = 2")
    with capture_logs() as logs:
        for second in (2.0, 3.0, 4.0):
            now[0] = second
            assert budgets.current() == before
    assert [entry["event"] for entry in logs] == ["budgets.refused"]
    file.unlink()
    now[0] = 5.0
    assert budgets.current() == before
