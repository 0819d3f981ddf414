"""The sandbox's bill over HTTP: purchases, failures that are charged or not, refunds, by provider and key."""

from __future__ import annotations

import json
import urllib.error
from typing import Any

import httpx
import pytest

from sandbox.running import Sandbox
from tests.billing import billed, label_of, lines_of
from tests.contract.sandbox_http import IMAGE, PHOTOGPT, SandboxTests, until

PICTURE = "/photogpt/api/images/generation"
TEXT2IMG = {"model_id": "midjourney", "prompt": "a fox", "samples": 1, "width": 64, "height": 64}
DEAR = {"provider": "photogpt", "amount": "0.025"}


def kinds(sandbox: Sandbox, prompt: str) -> list[tuple[str, int]]:
    """Kind and amount of each line for a prompt."""
    return [(line["kind"], line["millionths"]) for line in lines_of(sandbox, prompt)]


class TestTheBill(SandboxTests):
    """By prices that a test orders."""

    def buy(self, http: httpx.Client, prompt: str = "a fox", key: str = "a-key", **params: Any) -> int:
        """A picture; the HTTP code of the answer."""
        headers = {**PHOTOGPT, "Authorization": f"Bearer {key}"}
        try:
            return http.post(PICTURE, json={**IMAGE, "prompt": prompt, **params}, headers=headers).status_code
        except httpx.RemoteProtocolError:
            return 0

    def test_without_a_price_a_purchase_costs_nothing_and_stands_there(
        self, sandbox: Sandbox, http: httpx.Client
    ) -> None:
        """So that what was bought can be counted all the same."""
        self.buy(http)
        assert kinds(sandbox, "a fox") == [("purchase", 0)]
        assert billed(sandbox) == {("photogpt", label_of("a-key")): 0}

    def test_each_key_has_its_own_sum(self, sandbox: Sandbox, http: httpx.Client) -> None:
        """By provider, and where the key stands in the body; no key is written down."""
        sandbox.price([DEAR, {"provider": "dreambooth", "amount": 0.01}])
        for key in ("first-key", "first-key", "second-key"):
            self.buy(http, key=key)
        http.post("/dreambooth/api/v4/dreambooth", json={**TEXT2IMG, "key": "body-key"})
        assert billed(sandbox) == {
            ("photogpt", label_of("first-key")): 50_000,
            ("photogpt", label_of("second-key")): 25_000,
            ("dreambooth", label_of("body-key")): 10_000,
        }
        whole = json.dumps(sandbox.bill())
        assert not [key for key in ("first-key", "second-key", "body-key") if key in whole]

    def test_outputs_are_counted_where_the_price_says_so(self, sandbox: Sandbox, http: httpx.Client) -> None:
        """Four pictures cost four times one."""
        sandbox.price([{**DEAR, "per": "output"}])
        self.buy(http, numImages=4)
        assert kinds(sandbox, "a fox") == [("purchase", 100_000)]

    def test_the_first_price_that_fits_holds_and_stays(self, sandbox: Sandbox, http: httpx.Client) -> None:
        """A later one does not change what was bought before."""
        sandbox.price([{**DEAR, "match": "m2", "amount": "1"}, DEAR])
        self.buy(http)
        self.buy(http, "a bear", modelID="m2")
        httpx.delete(f"{sandbox.base_url}/_sandbox/prices")
        sandbox.price([{**DEAR, "amount": "7"}])
        assert (kinds(sandbox, "a fox"), kinds(sandbox, "a bear")) == (
            [("purchase", 25_000)],
            [("purchase", 1_000_000)],
        )

    def test_a_failure_is_paid_back_unless_it_is_charged(self, sandbox: Sandbox, http: httpx.Client) -> None:
        """The line of the failure says which."""
        prompt = "a fox [fault:fail]"
        sandbox.price([{**DEAR, "match": "costly", "charged": ["failed"]}, DEAR])
        self.buy(http, prompt)
        self.buy(http, f"costly {prompt}")
        until(lambda: httpx.get(f"{sandbox.base_url}/_sandbox/bill"), lambda bill: len(bill["lines"]) == 5)
        assert kinds(sandbox, prompt) == [("purchase", 25_000), ("failure", 0), ("refund", -25_000)]
        assert kinds(sandbox, f"costly {prompt}") == [("purchase", 25_000), ("failure", 0)]
        assert [line["charged"] for line in sandbox.bill()["lines"] if line["kind"] == "failure"] == [False, True]
        assert billed(sandbox) == {("photogpt", label_of("a-key")): 25_000}

    def test_a_lost_answer_is_charged_and_a_refusal_is_not(self, sandbox: Sandbox, http: httpx.Client) -> None:
        """Bought is what the provider has, whatever the caller heard."""
        sandbox.price([DEAR])
        self.buy(http, "lost [fault:accept_then_drop]")
        self.buy(http, "refused [fault:503]")
        assert billed(sandbox) == {("photogpt", label_of("a-key")): 25_000}

    @pytest.mark.parametrize(
        "price",
        [
            {"provider": "nobody", "amount": 1},
            {"amount": "0.0000001"},
            {"amount": -1},
            {"amount": "dear"},
            {"provider": "photogpt"},
            {"amount": 1, "per": "second"},
            {"amount": 1, "charged": ["always"]},
            {"amount": 1, "prize": 2},
            7,
        ],
    )
    def test_a_price_that_can_not_be_understood_is_refused(self, sandbox: Sandbox, price: Any) -> None:
        """All of the order is, and the answer says why."""
        with pytest.raises(urllib.error.HTTPError):
            sandbox.price([DEAR, price])
        assert httpx.get(f"{sandbox.base_url}/_sandbox/prices").json() == []


def test_a_canceled_job_and_a_moderated_one(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Replicate stops jobs: paid back, unless the price says otherwise; a restart forgets no purchase and no price."""
    journal = tmp_path_factory.mktemp("journal") / "purchases.jsonl"
    body = {"version": "a" * 64, "input": {"prompt": "a fox [fault:never_finishes]"}}
    headers = {"Authorization": "Bearer r-key"}
    with Sandbox(latency_seconds=0.05, journal=journal) as sandbox:
        sandbox.price([{"provider": "replicate", "amount": "0.5"}])
        url = sandbox.url("replicate")
        bought = httpx.post(f"{url}/predictions", json=body, headers=headers).json()
        assert billed(sandbox) == {("replicate", label_of("r-key")): 500_000}
        httpx.post(f"{url}/predictions/{bought['id']}/cancel", headers=headers)
        assert kinds(sandbox, "a fox [fault:never_finishes]")[-1] == ("refund", -500_000)
        httpx.delete(f"{sandbox.base_url}/_sandbox/prices")
        sandbox.price([{"provider": "replicate", "amount": "0.5", "charged": ["moderated"]}])
        moderated = {**body, "input": {"prompt": "a bear [fault:moderated]"}}
        httpx.post(f"{url}/predictions", json=moderated, headers=headers)
        sandbox.kill()
        sandbox.start()
        until(lambda: httpx.get(f"{sandbox.base_url}/_sandbox/bill"), lambda bill: len(bill["lines"]) > 2)
        assert [(line["kind"], line.get("charged")) for line in lines_of(sandbox, "a bear [fault:moderated]")] == [
            ("purchase", None),
            ("failure", True),
        ]
