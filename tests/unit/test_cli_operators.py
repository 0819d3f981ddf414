"""`bide explain`, `jobs`, `failed`, `pause` and `resume`, on a Redis in memory behind the commands' own connection."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bide.cli.advice import ADVICE, STATE_ADVICE, remedy
from bide.contract import Failure, FailureCode, GenerateRequest, JobState
from bide.ledger import Polled
from tests.contract.ledger_stage import ACCOUNT, Stage
from tests.unit.command import Command, attended_stage


class Buyer:
    """A client that takes requests and buys nothing."""

    def __init__(self) -> None:
        self.bought: list[GenerateRequest] = []

    def submit(self, request: GenerateRequest) -> str:
        """Take it under a new id."""
        self.bought.append(request)
        return f"new-{len(self.bought)}"


@pytest.fixture
def buyer() -> Buyer:
    """What the commands find in place of a client."""
    return Buyer()


@pytest.fixture
def stage() -> Stage:
    """The ledger of the commands, beside which a worker and a poller run."""
    return attended_stage()


@pytest.fixture
def run(stage: Stage, buyer: Buyer) -> Command:
    """`bide` over that ledger, with the buyer in place of a client."""
    return Command(stage, buyer)


def fail(stage: Stage, job_id: str, code: FailureCode = FailureCode.REJECTED, **changes: Any) -> None:
    """A job that failed, whose caller knows."""
    record, token, _ = stage.submitting(job_id, **changes)
    error = Failure(code=code, message="no red foxes", job_id=job_id).model_dump_json()
    assert stage.ledger.jobs.conclude(record, token, JobState.FAILED, error=error)
    stage.ledger.jobs.answered(ACCOUNT, job_id)


# explain


def test_explain_tells_the_story(stage: Stage, run: Command) -> None:
    """Why, next, money, what to do, and a line for each thing that happened."""
    stage.running("a")
    stage.clock.advance(2)
    stage.ledger.polls.record(ACCOUNT, [Polled("a", "running", 3.0, note="processing", late_seconds=0.4)])
    assert run("explain", "a").output.splitlines() == [
        "job a  running  photogpt/default",
        "  what       photogpt images.generation: a red fox",
        "  why        the provider is at work on it and last said: processing",
        "  next       2023-11-14 22:13:25 UTC: poll",
        "  money      bought, as p-a",
        "  polls      plain backoff, 5 s to 30 s by the provider's plan: 8 jobs like it are to be known, 0 are",
        f"  to do      {STATE_ADVICE[JobState.RUNNING]}",
        "",
        "2023-11-14 22:13:20       +0.0 s  opened     interactive, may take 1800 s",
        "2023-11-14 22:13:20       +0.0 s  submit     attempt 1",
        "2023-11-14 22:13:20       +0.0 s  accepted   by the provider as p-a",
        "2023-11-14 22:13:22       +2.0 s  poll       0.4 s late: processing",
    ]


def test_explain_says_what_to_do_about_a_failure(stage: Stage, run: Command) -> None:
    """By its code; for programs as JSON."""
    fail(stage, "a")
    document = json.loads(run("explain", "a", "--json").output)
    assert (document["state"], document["money"], document["next_at"]) == ("failed", "not bought", None)
    assert document["to_do"] == ADVICE[FailureCode.REJECTED]
    assert document["failure"]["code"] == "rejected"
    assert document["timeline"][-1]["detail"] == "rejected: no red foxes"


def test_explain_says_that_the_account_is_paused(stage: Stage, run: Command) -> None:
    """And how the pause is ended."""
    stage.ledger.accounts.pause(ACCOUNT, reason="HTTP 402: no credit", by="bide")
    stage.arrive("a")
    document = json.loads(run("explain", "a", "--json").output)
    assert document["why"][0] == "its account: paused by bide since 2023-11-14 22:13:20 UTC: HTTP 402: no credit"
    assert document["to_do"].startswith("mend the account, then `bide resume photogpt default`")


def test_explain_of_a_follower_is_that_of_its_leader(stage: Stage, run: Command) -> None:
    """One purchase, one story."""
    stage.running("a", idempotency_key="k")
    stage.arrive("b", idempotency_key="k")
    assert json.loads(run("explain", "b", "--json").output)["job_id"] == "a"


def test_explain_of_nothing(run: Command) -> None:
    """One readable line."""
    result = run("explain", "nobody")
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert "nothing is known of a job 'nobody'" in result.stderr
    assert "`bide bulk results spring --jsonl`" in run("explain", "spring.17").stderr


def test_there_is_a_remedy_for_everything() -> None:
    """Each state and each failure code has one, and a failure's goes first."""
    assert set(STATE_ADVICE) == set(JobState)
    assert {remedy(JobState.FAILED, code) for code in FailureCode} == set(ADVICE.values())
    assert remedy(JobState.UNCONFIRMED, FailureCode.SUBMISSION_UNKNOWN) == STATE_ADVICE[JobState.UNCONFIRMED]


# jobs


def test_jobs_lists_what_is_not_over(stage: Stage, run: Command) -> None:
    """And what keeps accounts from submitting."""
    fail(stage, "gone")
    stage.running("a")
    stage.ledger.accounts.pause(ACCOUNT, reason="lunch", by="operator")
    shown = run("jobs").output.splitlines()
    assert shown[0] == "account photogpt/default: paused by operator since 2023-11-14 22:13:20 UTC: lunch"
    assert [line.split()[:4] for line in shown[1:]] == [["a", "running", "photogpt/default", "images.generation"]]


def test_jobs_filters(stage: Stage, run: Command) -> None:
    """By code, state and age; the JSON says whether that is all."""
    fail(stage, "gone")
    stage.running("a")
    assert run("jobs", "--older-than", "2h", "--json").exit_code == 0
    document = json.loads(run("jobs", "--code", "rejected", "--json").output)
    assert [(job["job_id"], job["code"], job["message"]) for job in document["jobs"]] == [
        ("gone", "rejected", "no red foxes")
    ]
    assert document["whole"] is True
    assert [job["job_id"] for job in json.loads(run("jobs", "--state", "all", "--json").output)["jobs"]] == [
        "gone",
        "a",
    ]
    assert run("jobs", "--provider", "nextry").output == "there are none\n"


def test_an_empty_list_says_where_to_look_next(run: Command) -> None:
    """The list names `bide failed list`, since a missing result may have failed."""
    assert run("jobs").output == "no job is under way; `bide failed list` shows what failed\n"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--code", "unlucky"], "--code: there is no unlucky; there are invalid_request"),
        (["--older-than", "long"], "'long' is no length of time; write 90s, 15m, 2h or 3d"),
    ],
)
def test_jobs_names_what_it_does_not_understand(arguments: list[str], expected: str, run: Command) -> None:
    """With what would be right."""
    result = run("jobs", *arguments)
    assert result.exit_code == 2
    assert expected in result.stderr


# failed


def test_failed_list(stage: Stage, run: Command) -> None:
    """Only failed ones, by code where one is given."""
    fail(stage, "a")
    fail(stage, "b", FailureCode.LOST)
    stage.running("c")
    assert {job["job_id"] for job in json.loads(run("failed", "list", "--json").output)} == {"a", "b"}
    assert [job["job_id"] for job in json.loads(run("failed", "list", "--code", "lost", "--json").output)] == ["b"]
    assert "`bide failed replay JOB` buys it again" in run("failed", "list").stderr


def test_a_failed_job_says_as_which_it_was_bought_again(stage: Stage, buyer: Buyer, run: Command) -> None:
    """List and story show the replay, so that the next operator sees what is left to do."""
    fail(stage, "a", metadata={"order": "7"})
    assert "  again      `bide failed replay a` buys the same again, as a new job\n" in run("explain", "a").output
    run("failed", "replay", "a", "--yes")
    stage.arrive("b", idempotency_key=buyer.bought[0].idempotency_key, metadata=buyer.bought[0].metadata)

    assert [job["replayed_as"] for job in json.loads(run("failed", "list", "--json").output)] == ["b"]
    assert "bought again as b" in run("failed", "list").stdout
    assert "  again      bought again as job b\n" in run("explain", "a").output
    assert "  metadata   order=7, replay_of=a\n" in run("explain", "b").output


@pytest.mark.parametrize("code", FailureCode)
def test_explain_offers_a_replay_where_it_may_help(stage: Stage, code: FailureCode, run: Command) -> None:
    """What was wrong as it was written would be refused again."""
    fail(stage, "a", code)
    assert bool(json.loads(run("explain", "a", "--json").output)["replay"]) is (code is not FailureCode.INVALID_REQUEST)


def test_a_moderated_job_is_replayed_by_its_code_alone(stage: Stage, buyer: Buyer, run: Command) -> None:
    """The same request would be refused again: neither its name nor another code buys it."""
    fail(stage, "a", FailureCode.MODERATED)
    fail(stage, "b")
    refused = run("failed", "replay", "a", "--yes")
    assert refused.exit_code == 1
    assert "job a was refused by the provider's moderation" in refused.stderr
    assert run("failed", "replay", "a", "b", "--yes").exit_code == 1
    assert run("failed", "replay", "--code", "rejected", "--yes").exit_code == 0
    assert [request.metadata["replay_of"] for request in buyer.bought] == ["b"]
    assert "--code moderated" in json.loads(run("explain", "a", "--json").output)["replay"]
    assert run("failed", "replay", "--code", "moderated", "--yes").exit_code == 0
    assert [request.metadata["replay_of"] for request in buyer.bought] == ["b", "a"]


def test_a_replay_is_a_new_job_with_the_same_request(stage: Stage, buyer: Buyer, run: Command) -> None:
    """It asks first, since it buys again; its key makes two replays one job; it says whose place it takes."""
    fail(stage, "a", idempotency_key="order-7", metadata={"order": "7"})
    refused = run("failed", "replay", "a", typed="n\n")
    assert (refused.exit_code, buyer.bought) == (1, [])
    assert "1 job will be bought again." in refused.stderr

    assert run("failed", "replay", "a", typed="y\n").stdout == "new-1  is job a again\n"

    [request] = buyer.bought
    assert request.idempotency_key == "replay-of:a"
    assert request.metadata == {"order": "7", "replay_of": "a"}
    assert request.params == {"modelID": "m1", "prompt": "a red fox"}


def test_a_replay_by_code(stage: Stage, buyer: Buyer, run: Command) -> None:
    """All that failed so, and no others; programs have to say that they mean it."""
    fail(stage, "a")
    fail(stage, "b", FailureCode.LOST)
    fail(stage, "c")
    assert run("failed", "replay", "--code", "rejected", "--json").exit_code == 2
    document = json.loads(run("failed", "replay", "--code", "rejected", "--yes", "--json").output)
    assert {one["replay_of"] for one in document} == {"a", "c"}
    assert len(buyer.bought) == 2


def test_a_replay_by_code_leaves_out_what_was_bought_again(stage: Stage, buyer: Buyer, run: Command) -> None:
    """So that the number it asks about is that of new purchases."""
    fail(stage, "a")
    fail(stage, "b")
    run("failed", "replay", "a", "--yes")
    stage.arrive("again", idempotency_key=buyer.bought[0].idempotency_key)
    assert "1 job will be bought again." in run("failed", "replay", "--code", "rejected", typed="y\n").stderr
    assert [request.idempotency_key for request in buyer.bought] == ["replay-of:a", "replay-of:b"]


def test_a_replay_warns_of_what_was_paid_for(stage: Stage, run: Command) -> None:
    """A job that the provider made, or may have made, is bought a second time."""
    stage.running("a")
    error = Failure(code=FailureCode.LOST, message="gone", job_id="a").model_dump_json()
    stage.ledger.polls.record(ACCOUNT, [Polled("a", "failed", value=error)])
    stage.ledger.jobs.answered(ACCOUNT, "a")
    assert "it was, or may have been, paid for already. Go on?" in run("failed", "replay", "a", typed="n\n").stderr


def test_only_failed_jobs_are_replayed(stage: Stage, buyer: Buyer, run: Command) -> None:
    """An unconfirmed job is settled, not bought again; jobs that go on or ended well are refused."""
    stage.unconfirmed("unsure")
    stage.running("runs")
    for job_id, expected in {
        "unsure": "`bide unconfirmed`",
        "runs": "is running, not failed",
        "x": "nothing is known",
    }.items():
        result = run("failed", "replay", job_id, "--yes")
        assert result.exit_code == 1
        assert expected in result.stderr
    assert run("failed", "replay").exit_code == 2
    assert not buyer.bought


# pause and resume


def test_pause_and_resume(stage: Stage, run: Command) -> None:
    """One account, or all of a provider; a second time changes nothing, and the command says so."""
    stage.arrive("a")
    assert run("pause", "photogpt", "second", "--reason", "lunch").stdout == (
        "photogpt/second is paused: jobs wait in line\n"
    )
    assert run("pause", "photogpt").output.splitlines() == [
        "photogpt/default is paused: jobs wait in line",
        "photogpt/second was paused already",
    ]
    document = json.loads(run("resume", "photogpt", "--json").output)
    assert [(one["account"], one["changed"], one["paused"]) for one in document] == [
        ("default", True, False),
        ("second", True, False),
    ]
    untouched = "photogpt/second was neither paused nor kept back by its circuit breaker\n"
    assert run("resume", "photogpt", "second").output == untouched


def test_pausing_a_misspelt_provider(run: Command) -> None:
    """Says which there are."""
    result = run("pause", "photogtp")
    assert result.exit_code == 1
    assert "there is no provider 'photogtp'; there are bfl, comfyui, cyberphotobooth" in result.stderr
