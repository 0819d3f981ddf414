"""ComfyUI keeps the contract, on servers with the jobs API and on those without."""

from __future__ import annotations

import json
from typing import Any, ClassVar

import pytest

from bide.errors import InvalidRequestError
from bide.providers.base import (
    Account,
    Answer,
    Call,
    Canceled,
    Cancels,
    Contract,
    FetchNow,
    PollOutcome,
    Running,
    Submission,
    Succeeded,
    Ticket,
)
from tests.contract.adapter_stage import KEY
from tests.contract.provider_contract import ProviderContract

OWN = Account("http://127.0.0.1:8188", "")
GRAPH = {"9": {"class_type": "SaveImage", "inputs": {"images": ["8", 0]}}}
KEY_OF_JOB = "0b0c4b6e-1b1c-4a11-9d8e-3b6a5f1e2d3c"


def answer_of(status: int, body: Any) -> Answer:
    """An answer in JSON."""
    return Answer(status, {"content-type": "application/json"}, json.dumps(body).encode())


NO_JOBS_API = Answer(404, {"content-type": "text/plain"}, b"404: Not Found")


class TestComfyUI(ProviderContract):
    """A queue and a history."""

    name = "comfyui"
    submissions: ClassVar = {"prompt": Submission("job", "prompt", {"prompt": GRAPH}, key=KEY_OF_JOB)}

    def cancel(self, cursor: str) -> Call:
        adapter = self.adapter
        assert isinstance(adapter, Cancels)
        call = adapter.cancel_call(Ticket("prompt", "a/b", cursor), OWN)
        assert call is not None
        return call

    def stopped(self, cursor: str, answer: Answer) -> Canceled:
        adapter = self.adapter
        assert isinstance(adapter, Cancels)
        return adapter.cancel_outcome(answer, Ticket("prompt", "job-1", cursor), OWN)

    def poll(self, *answers: Answer) -> tuple[list[str], PollOutcome]:
        """One poll with the requests that it leads to: their paths, and what it comes to."""
        ticket, paths = Ticket("prompt", "job-1"), []
        for answer in answers:
            paths.append(self.adapter.poll_call(ticket, OWN).url.removeprefix(OWN.base_url))
            outcome = self.adapter.poll_outcome(answer, ticket, OWN)
            if not isinstance(outcome, FetchNow):
                return paths, outcome
            ticket = Ticket("prompt", "job-1", outcome.cursor)
        raise AssertionError(f"it leads on: {ticket.cursor}")

    def test_the_job_s_key_is_its_id(self) -> None:
        """So that it can be looked up; without a key the server gives one."""
        call = self.adapter.submit_call(self.submissions["prompt"], OWN)
        assert (call.url, call.json) == ("http://127.0.0.1:8188/prompt", {"prompt": GRAPH, "prompt_id": KEY_OF_JOB})
        assert self.adapter.submit_call(Submission("j", "prompt", {"prompt": GRAPH}), OWN).json == {"prompt": GRAPH}

    def test_a_run_is_free_and_has_an_id_of_ours(self) -> None:
        """A lost answer is no doubt about money."""
        operation = self.adapter.operations["prompt"]
        assert not operation.buys
        assert operation.idempotency is not None
        assert operation.idempotency.contract is Contract.CLIENT_ID

    def test_what_would_cost_is_refused(self) -> None:
        """Nodes of comfy.org's API spend credits by a key in `extra_data`: a run that is repeated would buy twice."""
        for name in ("api_key_comfy_org", "auth_token_comfy_org"):
            with pytest.raises(InvalidRequestError, match=name) as raised:
                self.adapter.check("prompt", {"prompt": GRAPH, "extra_data": {name: "planted"}}, set())
            assert "planted" not in str(raised.value)
        self.adapter.check("prompt", {"prompt": GRAPH, "extra_data": {"extra_pnginfo": {}}}, set())

    def test_the_id_is_not_the_caller_s(self) -> None:
        """It is the job's."""
        with pytest.raises(InvalidRequestError, match="belongs to the job"):
            self.adapter.check("prompt", {"prompt": GRAPH, "prompt_id": KEY_OF_JOB}, set())

    def test_a_graph_is_needed(self) -> None:
        """Not a text, not an empty one."""
        wrong: tuple[Any, ...] = ({}, "a red fox", [], None)
        for prompt in wrong:
            with pytest.raises(InvalidRequestError, match=r"params\.prompt"):
                self.adapter.check("prompt", {"prompt": prompt}, set())

    def test_no_key_is_sent_where_there_is_none(self) -> None:
        """A proxy before the server may want one; then it goes with downloads, too."""
        assert self.adapter.credentials == ()
        for call in (
            self.adapter.submit_call(self.submissions["prompt"], OWN),
            self.adapter.poll_call(Ticket("prompt", "a"), OWN),
            self.cancel(""),
        ):
            assert not call.headers
        assert not self.adapter.media_headers(OWN)
        assert self.adapter.media_headers(Account("http://a.example", KEY)) == {"Authorization": f"Bearer {KEY}"}

    def test_one_request_for_a_job_at_work(self) -> None:
        """The jobs API."""
        paths, outcome = self.poll(answer_of(200, {"id": "job-1", "status": "in_progress"}))
        assert paths == ["/api/jobs/job-1"]
        assert isinstance(outcome, Running)

    def test_older_servers_are_asked_for_queue_and_history_in_that_order(self) -> None:
        """A job that ends between the two is found; the other order could miss it."""
        queue = answer_of(200, {"queue_running": [], "queue_pending": []})
        run = {"outputs": {"9": {"images": [{"filename": "a.png", "subfolder": "", "type": "output"}]}}}
        paths, outcome = self.poll(NO_JOBS_API, queue, answer_of(200, {"job-1": run}))
        assert paths == ["/api/jobs/job-1", "/queue", "/history/job-1"]
        assert isinstance(outcome, Succeeded)
        assert outcome.outputs[0].url == "http://127.0.0.1:8188/view?filename=a.png&subfolder=&type=output"

    def test_older_servers_are_known_by_the_next_poll(self) -> None:
        """It begins with the queue."""
        _, outcome = self.poll(NO_JOBS_API, answer_of(200, {"queue_running": [[1, "job-1"]], "queue_pending": []}))
        assert isinstance(outcome, Running)
        assert outcome.cursor == "queue running"
        assert self.adapter.poll_call(Ticket("prompt", "job-1", "queue running"), OWN).url.endswith("/queue")

    def test_a_place_that_is_not_to_be_had_is_no_trouble(self) -> None:
        """The job is pending, whatever becomes of the list."""
        for answer in (answer_of(500, {}), answer_of(404, {}), answer_of(200, []), Answer(200, {}, b"<html>")):
            outcome = self.polled("prompt", answer, cursor="line")
            assert (outcome["is"], outcome["status"], outcome["progress"]) == ("Running", "pending", None)

    def test_dropped_outputs_are_named_in_the_result(self) -> None:
        """On both kinds of servers."""
        ticket = Ticket("prompt", "job-1", handle={"dropped": "node 12 (SaveImage): Required input is missing"})
        done = {"status": "completed", "outputs": {"9": {"images": [{"filename": "a.png"}]}}}
        outcome = self.adapter.poll_outcome(answer_of(200, done), ticket, OWN)
        assert isinstance(outcome, Succeeded)
        assert "node 12 (SaveImage): Required input is missing" in outcome.partial

    def test_cancels_by_the_jobs_api(self) -> None:
        """It interrupts this job alone, or takes it out of the queue; false: it had ended, or is not known."""
        call = self.cancel("")
        assert (call.method, call.url) == ("POST", "http://127.0.0.1:8188/api/jobs/a%2Fb/cancel")
        assert self.stopped("", answer_of(200, {"cancelled": True})) is Canceled.REQUESTED
        assert self.stopped("", answer_of(200, {"cancelled": False})) is Canceled.TOO_LATE
        for answer in (
            NO_JOBS_API,
            Answer(405, {}, b"405"),
            answer_of(500, {}),
            answer_of(200, {}),
            answer_of(200, []),
        ):
            assert self.stopped("", answer) is Canceled.UNKNOWN

    def test_cancels_on_older_servers_by_what_the_queue_said(self) -> None:
        """A pending one is taken out, with each poll again; a running one is interrupted by its id, once."""
        pending, running = self.cancel("queue pending"), self.cancel("queue running")
        assert (pending.url.rpartition("/")[2], pending.json) == ("queue", {"delete": ["a/b"]})
        assert (running.url.rpartition("/")[2], running.json) == ("interrupt", {"prompt_id": "a/b"})
        assert self.stopped("queue pending", Answer(200, {}, b"")) is Canceled.UNKNOWN
        assert self.stopped("queue running", Answer(200, {}, b"")) is Canceled.REQUESTED
        assert self.stopped("queue running", Answer(500, {}, b"")) is Canceled.UNKNOWN
