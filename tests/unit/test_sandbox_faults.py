"""The sandbox's rules: read from JSON and prompts, counted, and meeting only the requests that they are for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import sandbox
from sandbox.faults import FAULTS, OPERATIONS, PROVIDERS, Stage
from sandbox.rules import Rulebook, RuleError, orders_in, read_rule


def faults_met(
    book: Rulebook, times: int, *, provider: str = "nextry", operation: str = "poll", text: str = ""
) -> list[str | None]:
    """Which fault each of so many requests meets."""
    met = [book.firing(provider, operation, text, []) for _ in range(times)]
    return [rule.fault if rule else None for rule in met]


def book(*raw: dict[str, Any], seed: int = 0) -> Rulebook:
    """A rulebook with these rules."""
    rules = Rulebook(seed=seed)
    rules.add(raw)
    return rules


def test_times_and_after_count_requests() -> None:
    """A rule lets the first requests pass, fires so often, and is done."""
    rules = book({"fault": "status", "operation": "poll", "status": 503, "after": 1, "times": 2})

    assert faults_met(rules, 5) == [None, "status", "status", None, None]
    assert rules.rules[0].shown()["fired"] == 2


def test_rules_take_turns_in_order() -> None:
    """The second rule counts only what the first lets pass."""
    rules = book({"fault": "status", "times": 1}, {"fault": "drop_before", "times": 1})

    assert faults_met(rules, 3) == ["status", "drop_before", None]


def test_a_share_is_the_same_for_the_same_seed() -> None:
    """A share fires about as often as ordered, and for the same requests each time."""
    one = faults_met(book({"fault": "slow", "share": 0.25}, seed=3), 400)

    assert one == faults_met(book({"fault": "slow", "share": 0.25}, seed=3), 400)
    assert one != faults_met(book({"fault": "slow", "share": 0.25}, seed=4), 400)
    assert 60 < sum(met is not None for met in one) < 140


def test_a_rule_fires_only_for_its_provider_operation_and_text() -> None:
    """All three must fit."""
    rules = book({"fault": "status", "provider": "nextry", "operation": "submit", "match": "fox"})

    assert faults_met(rules, 1, operation="submit", text="a fox") == ["status"]
    assert faults_met(rules, 1, operation="submit", text="a hare") == [None]
    assert faults_met(rules, 1, operation="poll", text="a fox") == [None]
    assert faults_met(rules, 1, provider="photogpt", operation="submit", text="a fox") == [None]


def test_endpoint_is_another_word_for_operation() -> None:
    """Both names are read."""
    assert read_rule({"fault": "status", "endpoint": "media"}).operation == "media"


def test_a_bare_code_is_a_status() -> None:
    """A fault named 503 is short for status 503."""
    rule = read_rule({"fault": "503", "retry_after": 2})

    assert (rule.fault, rule.number, rule.parameters["retry_after"]) == ("status", 503.0, 2.0)


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_ordered_everywhere_fires_only_where_it_makes_sense(name: str, operation: str) -> None:
    """A rule for every operation still meets only those its fault is made for."""
    rule = read_rule({"fault": name, "operation": "*"})

    assert rule.applies("nextry", operation, "") is (operation in FAULTS[name].operations)


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ("fail", "JSON object"),
        ({}, "no fault is called"),
        ({"fault": "explode"}, "there are status"),
        ({"fault": "fail", "provider": "nextrie"}, "no provider"),
        ({"fault": "truncated", "operation": "submit"}, "is a fault of media"),
        ({"fault": "slow", "second": 2}, "no parameter 'second'"),
        ({"fault": "slow", "seconds": "long"}, "must be a number"),
        ({"fault": "slow", "times": "often"}, "must be a number"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(raw: Any, words: str) -> None:
    """The refusal says what would be right."""
    with pytest.raises(RuleError, match=words):
        read_rule(raw)


def test_one_bad_rule_refuses_the_whole_list() -> None:
    """Rules come all or none."""
    rules = Rulebook()

    with pytest.raises(RuleError):
        rules.add([{"fault": "slow"}, {"fault": "explode"}])
    assert rules.rules == []


def test_a_prompt_orders_for_its_job() -> None:
    """Name, own parameter and further keys are read from the text."""
    rules = orders_in(
        "a fox [fault:slow:0.5 operation=poll times=2] at dawn [fault:fail] [fault:redirect_to:http://10.0.0.1/x]"
    )

    assert [rule.fault for rule in rules] == ["slow", "fail", "redirect_to"]
    assert (rules[0].number, rules[0].operation, rules[0].times) == (0.5, "poll", 2)
    assert rules[2].value == "http://10.0.0.1/x"


def test_a_prompt_with_a_misspelt_order_is_refused() -> None:
    """A misspelt fault must not pass for a job without one."""
    with pytest.raises(RuleError, match="explode"):
        orders_in("[fault:explode]")


def test_orders_count_over_repeated_submits_until_one_is_accepted() -> None:
    """A prompt's "times=1" refuses the first submit; the repeated one passes; a new job starts anew."""
    rules, text = Rulebook(), "fox [fault:503 operation=submit times=1]"

    def submit() -> str | None:
        met = rules.firing("nextry", "submit", text, rules.orders_of("digest", text))
        return met.fault if met else None

    assert [submit(), submit()] == ["status", None]
    assert [rule.fired for rule in rules.hand_over("digest", text)] == [1]
    assert submit() == "status"


def test_fates_are_not_answers() -> None:
    """Rules about the course of a job never spoil an answer, and come with their parameter."""
    rules = book({"fault": "fail", "message": "no memory"}, {"fault": "status"})

    assert rules.fates("nextry", "submit", "", []) == {"fail": "no memory"}
    assert faults_met(rules, 1, operation="submit") == ["status"]
    assert rules.fates("nextry", "poll", "", []) == {}


def test_every_fault_is_in_the_readme() -> None:
    """Each fault has its name on the sandbox's page."""
    page = (Path(sandbox.__file__).parent / "README.md").read_text(encoding="utf-8")
    assert [name for name in (*FAULTS, *PROVIDERS) if f"`{name}`" not in page] == []


def test_every_stage_is_used() -> None:
    """No stage stands there for nothing."""
    assert {fault.stage for fault in FAULTS.values()} == set(Stage)
