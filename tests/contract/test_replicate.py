"""Replicate keeps the contract: models, versions and deployments in, JSON of any shape out."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, ClassVar

import pytest

from bide.errors import AccountRefusedError, InvalidRequestError
from bide.providers.base import Answer, Cancels, Listed, Listing, Submission, Submitted, Ticket, Upload
from bide.webhooks.incoming import Hooks
from tests.contract.adapter_stage import KEY
from tests.contract.provider_contract import ProviderContract

BASE = "https://provider.example:8443/api"
HEX = "5c7d5dc6dd8bf75c1acaa8565735e7986bc5b66206b55cca93cb72c9bf15ccaa"
PARAMS: dict[str, Any] = {"model": "black-forest-labs/flux-schnell", "input": {"prompt": "a red fox"}}
HANDLE = {"get": f"{BASE}/predictions/job-1?v=2", "cancel": f"{BASE}/predictions/job-1/stop"}


class TestReplicate(ProviderContract):
    """Predictions."""

    name = "replicate"
    again_later = (429,)  # no word on whether a 503 made a prediction
    submissions: ClassVar = {
        "predict": Submission("job", "predict", PARAMS, {"image": Upload("image", url="https://o/1")})
    }

    def call(self, **params: Any) -> Any:
        self.adapter.check("predict", params, set())
        return self.adapter.submit_call(Submission("job", "predict", params), self.account)

    @pytest.mark.parametrize(
        ("params", "path", "version"),
        [
            ({"model": "o/n-1.5"}, "/models/o/n-1.5/predictions", None),
            ({"deployment": "o/n"}, "/deployments/o/n/predictions", None),
            ({"version": HEX}, "/predictions", HEX),
            ({"version": f"o/n:{HEX}"}, "/predictions", f"o/n:{HEX}"),
            ({"version": "o/n"}, "/predictions", "o/n"),
        ],
    )
    def test_sends_each_kind_to_its_path(self, params: dict[str, str], path: str, version: str | None) -> None:
        """Names stand in the path, versions in the body."""
        call = self.call(**params, input={"a": 1})
        assert (call.method, call.url) == ("POST", BASE + path)
        assert call.headers == {"Authorization": f"Bearer {KEY}"}
        assert call.json == {"input": {"a": 1}} | ({"version": version} if version else {})
        assert self.adapter.lane("predict", params) == next(iter(params.values()))

    def test_hands_pictures_over_as_addresses(self) -> None:
        """Under their names, within the input."""
        call = self.adapter.submit_call(self.submissions["predict"], self.account)
        assert call.json == {"input": {"prompt": "a red fox", "image": "https://o/1"}}

    @pytest.mark.parametrize(
        ("params", "field"),
        [
            ({}, "exactly one"),
            ({"model": "o/n", "version": HEX}, "exactly one"),
            ({"model": "o/n", "deployment": "o/n"}, "exactly one"),
            *(
                ({field: name}, rf"params\.{field}")
                for field in ("model", "deployment")
                for name in (
                    "n",
                    "o//n",
                    "../n",
                    "o/..",
                    "o/n/x",
                    "o/n?x=1",
                    "o/n#",
                    "o/n ",
                    "o/n\n",
                    "o/n:1",
                    "\u0430/n",
                )
            ),
            *(({"version": name}, r"params\.version") for name in ("abc", HEX + "0", "o/n:", "o/n:../x", "o/../n:1")),
            ({"model": "o/" + "n" * 200}, r"params\.model"),
            ({"model": "o/n", "input": "a red fox"}, r"params\.input"),
            ({"model": "o/n", "input": {"prompt": " "}}, r"params\.input\.prompt"),
        ],
    )
    def test_refuses_names_that_are_none(self, params: dict[str, Any], field: str) -> None:
        """A name becomes part of an address: nothing in it may lead elsewhere."""
        with pytest.raises(InvalidRequestError, match=field):
            self.adapter.check("predict", params, set())

    def test_asks_the_addresses_of_the_answer(self) -> None:
        """And builds those of a prediction that an operator attached."""
        adapter = self.adapter
        assert isinstance(adapter, Cancels)
        for handle, get, cancel in (
            (HANDLE, HANDLE["get"], HANDLE["cancel"]),
            (None, f"{BASE}/predictions/job-1", f"{BASE}/predictions/job-1/cancel"),
        ):
            ticket = Ticket("predict", "job-1", handle=handle)
            canceling = adapter.cancel_call(ticket, self.account)
            assert canceling is not None
            assert (canceling.method, canceling.url) == ("POST", cancel)
            assert adapter.poll_call(ticket, self.account).url == get

    def test_builds_an_address_that_the_answer_spoils(self) -> None:
        """What is no address keeps no prediction that was paid for from being polled."""
        urls = {"get": "https:// ", "cancel": HANDLE["cancel"]}
        answer = Answer(201, {}, json.dumps({"id": "job-1", "urls": urls}).encode())
        outcome = self.adapter.submit_outcome(answer, self.submissions["predict"], self.account)
        assert outcome == Submitted("job-1", handle={"cancel": HANDLE["cancel"]})

    @pytest.mark.parametrize(
        ("url", "params", "body"),
        [
            ("https://bide.example/hooks", {}, "completed"),
            ("http://bide.example/hooks", {}, None),
            ("https://bide.example/hooks", {"webhook": "https://theirs.example"}, None),
        ],
    )
    def test_asks_for_a_call_at_the_end(self, url: str, params: dict[str, Any], body: str | None) -> None:
        """At an `https` address alone, and never in place of the caller's own."""
        hooks = Hooks(url, "hook-secret", "replicate", "default")
        account = self.account.__class__(BASE, KEY, hooks)
        sent = self.adapter.submit_call(Submission("job", "predict", {**PARAMS, **params}), account).json
        assert sent.get("webhook_events_filter") == ([body] if body else None)
        assert sent.get("webhook") == (hooks.address("job") if body else params.get("webhook"))

    def test_sends_the_key_for_files_of_its_own_origin(self) -> None:
        """Files of the API itself want it; those on `replicate.delivery` get none."""
        assert self.adapter.media_headers(self.account) == {"Authorization": f"Bearer {KEY}"}
        assert self.adapter.hosts == ("api.replicate.com",)

    def test_lists_recent_predictions(self) -> None:
        """The latest first, with model and prompt, page by page."""
        since = datetime(2026, 3, 1, 10, 0, 0, 900_000, tzinfo=timezone(timedelta(hours=3)))
        call = self.adapter.list_call(since, since + timedelta(hours=1), self.account, page="cD0x")
        assert (call.method, call.url) == ("GET", f"{BASE}/predictions")
        assert call.query == {
            "created_after": "2026-03-01T07:00:00Z",
            "created_before": "2026-03-01T08:00:00Z",
            "cursor": "cD0x",
        }
        entry = {"id": "p1", "model": "o/n", "version": "hidden", "status": "succeeded", "input": {"prompt": "a fox"}}
        gone = {"id": "p2", "version": HEX, "status": "aborted", "created_at": "2026-03-01T07:30:00.5Z", "input": {}}
        body = {
            "next": "https://api.replicate.com/v1/predictions?cursor=cD0y%3D",
            "results": [entry, gone, {"id": 0.5}],
        }
        listing = self.adapter.list_outcome(Answer(200, {}, json.dumps(body).encode()), self.account)
        moment = datetime(2026, 3, 1, 7, 30, 0, 500_000, tzinfo=UTC)
        whole = {"model": "o/n", "version": "hidden", "input": {"prompt": "a fox"}}
        assert listing == Listing(
            (
                Listed("p1", "succeeded", None, "o/n", prompt="a fox", params=whole),
                Listed("p2", "aborted", moment, HEX, params={"version": HEX}),
            ),
            "cD0y=",
        )
        for following in (None, "https://[bad", 7):
            last = json.dumps({"next": following, "results": []}).encode()
            assert self.adapter.list_outcome(Answer(200, {}, last), self.account) == Listing(())
        with pytest.raises(AccountRefusedError):
            self.adapter.list_outcome(Answer(401, {}, b"{}"), self.account)

    def test_the_last_percentage_counts(self) -> None:
        """Of the end of long logs; a number that is no share of a bar is none."""
        for logs, fraction in (
            ("x" * 9000 + "\n 10%|#  | 1/10\n 90%| #### | 9/10\n", 0.9),
            ("100%|####|", 1.0),
            ("at 999%|#|", 1.0),
            ("1234%|", None),
            ("0.5%|#|", None),
        ):
            body = json.dumps({"status": "processing", "logs": logs}).encode()
            progress = self.polled("predict", Answer(200, {}, body))["progress"]
            assert (progress and progress["fraction"]) == fraction, logs
