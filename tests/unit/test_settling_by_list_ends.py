"""What comes beside a settlement by listing: late answers, settings, and jobs that are unconfirmed already."""

from __future__ import annotations

from typing import Any

import pytest

from bide.cli.unconfirmed import show_settled
from bide.errors import ConfigurationError
from bide.ledger import Polled
from bide.ledger.keys import prefix
from bide.ledger.unconfirmed import remarks
from bide.providers import installed
from bide.settings.problems import ConfigurationProblems
from config.settings import load, show
from tests.contract.ledger_stage import ERROR
from tests.guild_adapter import GuildAdapter
from tests.unit.guild import ACCOUNT, dying_at
from tests.unit.lister import OTHER, Lister, lister
from workers.accounts import check_providers
from workers.unconfirmed import settle

__all__ = ["lister"]


def test_a_late_answer_settles_it_as_before(lister: Lister) -> None:
    """The worker was slow, not dead: the answer that it got counts."""
    with dying_at("answer_read"):
        lister.buy("a")
    attempt = int(lister.record().number("submits"))
    lister.pass_time(30)
    lister.ledger.submits.submitted(lister.record(), "", attempt=attempt, provider_job_id="w1")
    assert lister.stands() == ("running", "w1")
    lister.hold()
    assert lister.looks == 0


def test_another_id_that_comes_late_is_kept_too(lister: Lister) -> None:
    """What was attached may have been a stranger's: people see both."""
    lister.buy("a", "dropped")
    attempt = int(lister.record().number("submits"))
    lister.list("stranger")
    lister.look()
    lister.ledger.submits.submitted(lister.record(), "", attempt=attempt, provider_job_id="w9")
    assert lister.stands() == ("running", "stranger")
    assert lister.record().other_ids == ["w9"]


def test_the_setting_turned_off_holds_what_is_open(lister: Lister) -> None:
    """And a doubt that comes later is held at once."""
    lister.buy("a", "lost")
    lister.configure(SETTLE="hold")
    lister.look()
    assert (lister.state("a"), lister.looks) == ("unconfirmed", 0)
    lister.buy("b", "lost")
    assert lister.state("b") == "unconfirmed"


def test_an_account_may_settle_though_its_provider_does_not(lister: Lister) -> None:
    """Per provider, and per account."""
    lister.configure(
        SETTLE="hold", ACCOUNTS__OTHER__SETTLE="listing", ACCOUNTS__OTHER__API_KEY="another-key-0123456789"
    )
    lister.buy("a", "lost")
    lister.buy("b", "lost", account=OTHER)
    assert (lister.state("a"), lister.stands("b", OTHER)[0]) == ("unconfirmed", "submitting")


def test_a_second_purchase_that_the_request_allows_comes_after_the_looks(lister: Lister) -> None:
    """`on_unknown: resubmit`: the list is looked at first."""
    lister.order("none", "dropped", on_unknown="resubmit")
    assert lister.state() == "submitting"
    lister.pass_time(700)
    assert lister.record().text("again") == "1"


def test_no_list_to_settle_by_is_said_at_the_start() -> None:
    """With the variable, and what to do."""
    settings = load(
        {"BIDE_S3__BUCKET": "results", "BIDE_PROVIDERS__FAL__API_KEY": "k", "BIDE_PROVIDERS__FAL__SETTLE": "listing"},
        env_file=None,
    )
    with pytest.raises(ConfigurationError, match="BIDE_PROVIDERS__FAL__SETTLE=listing: fal has no list"):
        check_providers(settings)


def test_no_list_to_settle_by_is_named_beside_all_other_problems() -> None:
    """By the command that checks the settings; of a provider and of its accounts."""
    environment = {
        "BIDE_LOG__LEVEL": "LOUD",
        "BIDE_PROVIDERS__FAL__API_KEY": "k",
        "BIDE_PROVIDERS__FAL__SETTLE": "listing",
        "BIDE_PROVIDERS__PHOTOGPT__API_KEY": "k",
        "BIDE_PROVIDERS__PHOTOGPT__SETTLE": "listing",
        "BIDE_PROVIDERS__BFL__ACCOUNTS__B__API_KEY": "k",
        "BIDE_PROVIDERS__BFL__ACCOUNTS__B__SETTLE": "listing",
    }
    with pytest.raises(ConfigurationProblems) as caught:
        list(show(environment, None))
    found = {each.variable for each in caught.value.problems}
    assert {"BIDE_LOG__LEVEL", "BIDE_PROVIDERS__FAL__SETTLE"} <= found
    assert "BIDE_PROVIDERS__BFL__ACCOUNTS__B__SETTLE" in found
    assert "BIDE_PROVIDERS__PHOTOGPT__SETTLE" not in found
    assert "BIDE_PROVIDERS__FAL__SETTLE: fal has no list of recent jobs; set hold" in str(caught.value)


def test_what_a_promise_settles_is_not_looked_for(lister: Lister) -> None:
    """The contract comes first."""
    lister.order("replay", "lost")
    lister.pass_time(60)
    assert (lister.state(), lister.looks) == ("running", 0)


def test_an_earlier_release_sends_nothing_again(lister: Lister) -> None:
    """It knows no `listing`, and would send what has a key: such a job has none."""
    lister.buy("a", "lost")
    assert "submit_key" not in lister.record().fields
    assert installed()["guild"].listed_operations == GuildAdapter.listed_operations


# What is unconfirmed already


def test_what_was_held_before_is_settled_by_the_command(lister: Lister) -> None:
    """The setting alone changes nothing for them; the command looks once, by the same rule, and callers hear of it."""
    lister.configure(SETTLE="hold")
    lister.buy("a", "lost", motif="a fox")
    lister.buy("b", "dropped", motif="a bear")
    lister.ledger.jobs.answered(ACCOUNT, "a")
    lister.configure(SETTLE="listing")
    tools: Any = lister
    assert {one["reason"] for one in settle(tools)} == {
        "it may not show on the provider's list yet: look again in some minutes"
    }
    lister.hold()
    assert (lister.state("a"), lister.looks) == ("unconfirmed", 0)
    found = {one["job_id"]: one["provider_job_id"] for one in settle(tools)}
    assert found == {"a": "w1", "b": None}
    assert lister.stands("a") == ("running", "w1")
    assert "answered" not in lister.of("a").fields
    assert "found on its list of recent jobs" in " ".join(remarks(lister.of("a")))
    assert lister.state("b") == "unconfirmed"


def test_what_is_older_than_the_memory_of_others_is_left_alone(lister: Lister) -> None:
    """What else was bought at its time may be forgotten."""
    lister.configure(SETTLE="hold")
    lister.buy("a", "lost")
    lister.configure(SETTLE="listing")
    lister.clock.advance(lister.ledger.timing.retention_seconds + 1)
    tools: Any = lister
    [one] = settle(tools)
    assert one["provider_job_id"] is None
    assert "forgotten" in one["reason"]


def test_the_command_says_what_became_of_each(capsys: pytest.CaptureFixture[str]) -> None:
    """For a person."""
    jobs: list[dict[str, Any]] = [
        {"job_id": "a", "account": "guild/default", "provider_job_id": "w1", "reason": "w1 alone fits"},
        {"job_id": "b", "account": "guild/default", "provider_job_id": None, "reason": "2 jobs there fit"},
    ]
    show_settled(jobs, as_json=False)
    assert capsys.readouterr().out.splitlines() == [
        "a  goes on as w1: w1 alone fits",
        "b  stays unconfirmed: 2 jobs there fit",
    ]
    show_settled([], as_json=False)
    assert "no unconfirmed job" in capsys.readouterr().out


def test_an_id_that_the_provider_turns_out_not_to_know_makes_it_unconfirmed_again(lister: Lister) -> None:
    """As one that an operator attached."""
    lister.buy("a", "lost")
    lister.look()
    polls = lister.ledger.polls
    lister.pass_time(5)
    polls.claim(ACCOUNT, int(lister.server.hget(f"{prefix(ACCOUNT)}account", "seq") or 0), batch=9)
    polls.record(ACCOUNT, [Polled("a", "failed", value=ERROR, note="lost")])
    assert lister.stands() == ("unconfirmed", "")
    assert "listed" not in lister.record().fields
