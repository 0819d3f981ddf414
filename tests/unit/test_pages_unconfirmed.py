"""The buttons of the pages: they ask, do it once, and keep who pressed them."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from bide.ledger import AccountName
from tests.contract.ledger_stage import ACCOUNT
from tests.unit.pages_world import ANNA, World
from workers.pages import candidates as evidence

OTHER = AccountName("nextry", "main")


@pytest.fixture(name="world")
def _world() -> World:
    """A job that may have been bought."""
    world = World(ANNA)
    world.stage.unconfirmed("a", params={"prompt": "a red fox"}, metadata={"tenant": "acme"})
    return world


def test_attach_lets_the_job_go_on(world: World) -> None:
    """Under the id that was named; note and timeline have the operator."""
    answer = world.press("/jobs/a/attach?provider_job_id=p-9", provider_job_id=" p-9 ", sure="yes")
    assert (answer.status, answer.headers["Location"]) == (303, "/jobs/a?done=attach")
    assert (world.stage.state("a"), world.stage.field("a", "pid")) == ("running", "p-9")
    assert world.stage.field("a", "note") == "its id at the provider was attached by anna"
    page = world.ask("/jobs/a?done=attach")
    assert "attached as p-9 by anna" in page.words
    assert "Attached: the job is polled within seconds" in page.words


def test_resubmit_buys_again(world: World) -> None:
    """The job is in line; the question names the risk."""
    assert "paid for twice" in world.ask("/jobs/a/resubmit").words
    assert world.press("/jobs/a/resubmit", sure="yes").status == 303
    assert world.stage.state("a") == "queued"
    assert "submitted again by anna" in world.ask("/jobs/a").words


def test_give_up_ends_the_job(world: World) -> None:
    """As failed."""
    assert world.press("/jobs/a/give-up", sure="yes").status == 303
    assert world.stage.state("a") == "failed"
    assert "given up by anna" in world.ask("/jobs/a").words


@pytest.mark.parametrize("action", ["attach", "resubmit", "give-up"])
def test_an_operator_must_be_sure(world: World, action: str) -> None:
    """A form without the tick does nothing, though a browser would not send it."""
    answer = world.press(f"/jobs/a/{action}", provider_job_id="p-9")
    assert (answer.status, "say that you are sure" in answer.words) == (409, True)
    assert world.stage.state("a") == "unconfirmed"


@pytest.mark.parametrize("named", ["", " ", "p 9", "p\n9", "x" * 257, "ü"])
def test_an_id_that_is_none_is_refused(world: World, named: str) -> None:
    """The page asks again."""
    answer = world.press("/jobs/a/attach", provider_job_id=named, sure="yes")
    assert (answer.status, "name the provider's id" in answer.words) == (409, True)
    assert world.stage.state("a") == "unconfirmed"


def test_the_id_of_another_job_is_refused(world: World) -> None:
    """That purchase is the other job's."""
    world.stage.running("b")
    answer = world.press("/jobs/a/attach", provider_job_id="p-b", sure="yes")
    assert (answer.status, "p-b is the provider's id of job b already" in answer.words) == (409, True)
    assert world.stage.state("a") == "unconfirmed"


@pytest.mark.parametrize("action", ["attach", "resubmit", "give-up"])
def test_what_is_settled_stays(world: World, action: str) -> None:
    """A second operator's button, pressed on a page of before, does nothing and says so."""
    world.stage.ledger.unconfirmed.give_up(ACCOUNT, "a")
    page = world.ask(f"/jobs/a/{action}")
    assert (page.status, "there is nothing to settle" in page.words) == (409, True)
    answer = world.ask(
        f"/jobs/a/{action}", form={"token": world.site.guard.token("anna", f"/jobs/a/{action}"), "sure": "yes"}
    )
    assert (answer.status, "there is nothing to settle" in answer.words) == (409, True)
    assert world.stage.field("a", "settled") == ""


@pytest.mark.parametrize("job_id", ["gone", "run-1.7", "x" * 200])
def test_an_unknown_job_is_not_settled(world: World, job_id: str) -> None:
    """There is nothing to press."""
    answer = world.ask(f"/jobs/{job_id}/resubmit")
    assert (answer.status, 'method="post"' in answer.text) == (409, False)


def test_there_are_no_other_buttons(world: World) -> None:
    """An action that is none has no page."""
    for path in ("/jobs/a/cancel", "/jobs/a/delete", "/accounts/photogpt/default/drop", "/runs/r/cancel"):
        assert world.ask(path).status == 404


# The list


def test_the_list_has_all_that_is_unconfirmed(world: World) -> None:
    """The oldest first, with what to do; the head of each page counts them."""
    world.clock.advance(5)
    world.stage.arrive("b", account=OTHER)
    answer = world.ask("/unconfirmed")
    for words in ("photogpt images.generation: a red fox", "Not asked yet", "photogpt/default"):
        assert words in answer.words
    assert {"/jobs/a/attach", "/jobs/a/resubmit", "/jobs/a/give-up"} <= set(answer.hrefs)
    assert 'Unconfirmed <b class="count">1</b>' in answer.text
    assert "Nothing is unconfirmed" in World(ANNA).ask("/unconfirmed").words


def test_evidence_stands_beside_the_job(world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The provider's jobs of that time, each with its button; the providers are asked once for all who look."""
    found = {"provider_job_id": "p<9>", "status": "done", "seconds_after_submit": 2.0, "about": "m1", "credits": 3}
    count = tmp_path / "asked"
    printed = json.dumps([{"job_id": "a", "candidates": [found], "caution": "one may be <b>forgotten</b>"}])
    code = f"open({str(count)!r}, 'a').write('x'); print({printed!r})"
    monkeypatch.setattr(evidence, "COMMAND", (sys.executable, "-c", code))

    answer = world.ask("/unconfirmed?candidates=yes", "/unconfirmed?candidates=yes")

    assert "one may be <b>forgotten</b> m1 p<9> done · 2 s after the submit · 3 credits" in answer.words
    assert "/jobs/a/attach?provider_job_id=p%3C9%3E" in answer.hrefs
    assert count.read_text() == "x"


@pytest.mark.parametrize(
    ("printed", "words"),
    [
        (
            [{"job_id": "a", "candidates": None, "why_none": "nextry has no list of such jobs"}],
            "has no list of such jobs",
        ),
        ([{"job_id": "a", "candidates": []}], "None that is not another job's"),
        ([], "Nothing is known"),
    ],
)
def test_missing_evidence_is_said(
    world: World, monkeypatch: pytest.MonkeyPatch, printed: list[object], words: str
) -> None:
    """Why there is none."""
    monkeypatch.setattr(evidence, "COMMAND", (sys.executable, "-c", f"print({json.dumps(printed)!r})"))
    assert words in world.ask("/unconfirmed?candidates=yes").words


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import sys; sys.exit('Error: <b>no</b> key is set')", "could not be asked: Error: <b>no</b> key is set"),
        ("import signal; signal.pause()", "have not answered within 0.5 s"),
    ],
)
def test_providers_that_can_not_be_asked_are_named(
    world: World, monkeypatch: pytest.MonkeyPatch, code: str, words: str
) -> None:
    """The list is there all the same."""
    monkeypatch.setattr(evidence, "COMMAND", (sys.executable, "-c", code))
    monkeypatch.setattr(evidence, "LONGEST_SECONDS", 0.5 if "pause" in code else 30.0)
    answer = world.ask("/unconfirmed?candidates=yes")
    assert (answer.status, words in answer.words, "a red fox" in answer.words) == (200, True, True)


# Accounts


def test_accounts_show_how_they_stand(world: World) -> None:
    """Well, paused, with an open breaker, half-open; what is in flight and allowed."""
    world.stage.running("b")
    world.stage.arrive("c", account=OTHER)
    world.stage.ledger.accounts.sweep(ACCOUNT)
    world.stage.ledger.accounts.block_submits(OTHER, seconds=60, reason="HTTP 503")
    answer = world.ask("/accounts")
    for words in ("photogpt/default submits", "in flight 1 of 100", "nextry/main open", "HTTP 503", "unconfirmed 1"):
        assert words in answer.words, words
    world.clock.advance(100)
    assert "nextry/main half-open" in world.ask("/accounts").words


def test_an_account_is_paused_and_resumed(world: World) -> None:
    """Asked first; the reason has the operator."""
    path = "/accounts/photogpt/default"
    assert "It submits nothing more" in world.ask(f"{path}/pause").words
    assert world.press(f"{path}/pause", reason="  no\ncredit ").status == 303
    state = world.stage.ledger.accounts.state(ACCOUNT)
    assert (state.paused, state.paused_by) == ("no credit (anna)", "operator")
    assert "no credit (anna)" in world.ask("/accounts").words
    assert world.press(f"{path}/resume").headers["Location"] == "/accounts"
    assert not world.stage.ledger.accounts.state(ACCOUNT).paused


def test_an_account_that_never_had_a_job_is_not_found(world: World) -> None:
    """No button makes one."""
    assert world.ask("/accounts/photogpt/other/pause").status == 404
    token = world.site.guard.token("anna", "/accounts/photogpt/other/pause")
    assert world.ask("/accounts/photogpt/other/pause", form={"token": token}).status == 404
    assert world.stage.ledger.accounts.names() == [ACCOUNT]
