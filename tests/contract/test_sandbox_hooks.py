"""The sandbox's webhooks over real HTTP: unsigned, once, at the job's end, unless something else was ordered."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from sandbox.running import Sandbox
from tests.contract.sandbox_http import LATENCY_SECONDS, SandboxTests, until
from tests.web_server import WebServer

ROOT = "/dreambooth/api/v4/dreambooth"
DREAM: dict[str, Any] = {"key": "a-key", "model_id": "midjourney", "prompt": "a red fox", "samples": 2}


class Receiver(WebServer):
    """Takes whatever comes; `calls` are the bodies in turn."""

    def __init__(self) -> None:
        super().__init__(lambda _: (200, {}, b""))

    @property
    def hook(self) -> str:
        return f"{self.url}/hook"

    @property
    def calls(self) -> list[dict[str, Any]]:
        return [request.json() for request in self.seen]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """One that listens for as long as the test lasts."""
    with Receiver() as receiver:
        yield receiver


class TestHooks(SandboxTests):
    """What dreambooth's pages say of webhooks, and what they do not promise."""

    def submit(self, http: httpx.Client, **changes: Any) -> Any:
        return http.post(ROOT, json={**DREAM, **changes}).json()

    def answered(self, http: httpx.Client, enough: Callable[[dict[str, int]], bool]) -> dict[str, int]:
        """How calls were answered, by code, once that is enough."""
        stats = until(lambda: http.get("/_sandbox/stats"), lambda found: enough(found["hooks"]))
        counts: dict[str, int] = stats["hooks"]
        return counts

    def test_a_call_about_success_has_the_results(self, http: httpx.Client, receiver: Receiver) -> None:
        """The job's id, the caller's mark, and the addresses, which can be fetched by then."""
        queued = self.submit(http, webhook=receiver.hook, track_id="order-7")
        self.answered(http, lambda counts: counts == {"200": 1})

        [call] = receiver.calls
        assert (call["status"], call["id"], call["track_id"]) == ("success", queued["id"], "order-7")
        assert call["output"] == queued["future_links"]
        assert [http.get(url).status_code for url in call["output"]] == [200, 200]

    def test_a_call_about_failure_has_a_message(self, http: httpx.Client, receiver: Receiver) -> None:
        """As the fetch call would say it."""
        queued = self.submit(http, webhook=receiver.hook, prompt="a fox [fault:fail]")
        self.answered(http, lambda counts: counts == {"200": 1})

        [call] = receiver.calls
        assert (call["status"], call["id"], call["message"]) == ("failed", queued["id"], "Failed, Try Again")

    def test_a_submit_that_is_done_at_once_is_called_about_too(self, http: httpx.Client, receiver: Receiver) -> None:
        """The call may even come before the answer."""
        done = self.submit(http, webhook=receiver.hook, prompt="a fox, at once", samples=1)
        self.answered(http, lambda counts: counts == {"200": 1})
        assert (done["status"], receiver.calls[0]["status"]) == ("success", "success")

    def test_calls_can_be_ordered_twice_early_and_not_at_all(self, http: httpx.Client, receiver: Receiver) -> None:
        """A job that never finishes is reported only by a lie."""
        self.submit(http, webhook=receiver.hook, prompt="lost [fault:hook_lost]")
        lied = self.submit(http, webhook=receiver.hook, prompt="lie [fault:hook_lies:0.05] [fault:never_finishes]")
        twice = self.submit(http, webhook=receiver.hook, prompt="twice [fault:hook_repeated:2]")
        begun = time.monotonic()
        self.answered(http, lambda counts: counts == {"200": 3} and time.monotonic() - begun > 2 * LATENCY_SECONDS)

        ids = [call["id"] for call in receiver.calls]
        assert sorted(ids) == sorted([lied["id"], twice["id"], twice["id"]])
        assert {call["status"] for call in receiver.calls} == {"success"}

    def test_a_receiver_that_is_away_is_not_called_again(self, http: httpx.Client) -> None:
        """Best effort: the job does not suffer."""
        queued = self.submit(http, webhook="http://127.0.0.1:9/hook")
        self.answered(http, lambda counts: counts == {"0": 1})
        body = {"key": "a-key", "request_id": queued["id"]}
        until(lambda: http.post(f"{ROOT}/fetch", json=body), lambda found: found["status"] == "success")

    def test_an_address_must_be_one(self, sandbox: Sandbox, http: httpx.Client) -> None:
        """Refused like any bad field, and quoted back; nothing is bought."""
        refused = self.submit(http, webhook="no-address")
        assert refused == {"status": "error", "message": {"webhook": ["The webhook no-address is not a URL."]}}
        assert sandbox.purchases() == []

    def test_the_same_request_is_the_same_with_another_webhook(self, sandbox: Sandbox, http: httpx.Client) -> None:
        """Digests count purchases of one thing, wherever its end is reported."""
        for port in (9, 19):
            self.submit(http, webhook=f"http://127.0.0.1:{port}/hook", track_id=str(port))
        assert len({bought["digest"] for bought in sandbox.purchases()}) == 1
