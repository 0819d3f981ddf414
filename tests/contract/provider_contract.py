"""What every adapter must do: inherit `ProviderContract` in `test_{name}.py`, and put samples beside it.

The class needs no server: adapters are pure. It plays the samples, bends them in every way, and feeds noise.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bide.contract import FailureCode
from bide.errors import (
    AccountRefusedError,
    InvalidRequestError,
    PollFailedError,
    SubmissionUnknownError,
    TryLaterError,
    UnreadableAnswerError,
)
from bide.providers import find
from bide.providers.base import (
    Account,
    Answer,
    Cancels,
    Contract,
    Failed,
    FetchNow,
    Finished,
    LooksUp,
    Lookup,
    Provider,
    Refused,
    Running,
    Submission,
    Submitted,
    Succeeded,
    Ticket,
    Unknown,
)
from bide.settings.sections import ProviderSettings
from tests.contract.noise import ANSWERS, bent
from tests.contract.samples import SAMPLES, Sample, described, load, unmet

KEY = "planted-key-0123456789"

#: The outcomes and errors that the machinery knows what to do with.
SUBMIT_ENDS = {"Submitted", "Finished", "Refused", "KeyTaken", "SubmissionUnknownError"}
POLL_ENDS = {"Running", "FetchNow", "Succeeded", "Failed", "Unknown", "PollFailedError", "AccountRefusedError"}
CANCEL_ENDS = {"Canceled"}
CATALOG_ENDS = {"entries", "AccountRefusedError", "TryLaterError", "UnreadableAnswerError"}

#: Bodies in which no provider could say anything.
UNREADABLE = (b"", b"<html>busy</html>", b'{"status": "suc', b"[]", b"7", b"null", b"\xff\xfe\x00", b"[" * 100_000)

NOT_ACCEPTED = (400, 402, 404, 405, 413, 415, 422, 451)
AGAIN_LATER = (429, 503)
MAY_BE_ACCEPTED = (408, 409, 425, 499, 500, 502, 504, 520, 301, 302, 100)
SAYS_NOTHING_OF_THE_JOB = (408, 409, 425, 429, 500, 502, 503, 504, 301, 302)

#: Keys of submits.
UUIDS = ("4f9d6a1e-0a53-4b1f-9c8e-7d2b6f0c1a11", "0e4c2b7a-6d1f-4a39-8b5e-3c9f7a2d4b22")

#: One class runs the tests of all its heirs, so Hypothesis sees several executors; that is what inheriting is for.
FUZZ = settings(
    max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.differing_executors]
)


class ProviderContract:
    """Inherit, set `name` and `submissions` (one valid `Submission` for each operation), add tests of your own."""

    name: ClassVar[str]
    submissions: ClassVar[dict[str, Submission]]
    account: ClassVar[Account] = Account("https://provider.example:8443/api/", KEY)
    #: Codes by which it refuses a submit for now; any other of `AGAIN_LATER` may hide an accepted job.
    again_later: ClassVar[tuple[int, ...]] = AGAIN_LATER
    #: Where the samples are, when not beside this file.
    samples_folder: ClassVar[Path | None] = None

    @property
    def adapter(self) -> Provider:
        return find(self.name)

    @classmethod
    def samples(cls) -> list[Sample]:
        return load(cls.samples_folder or SAMPLES / cls.name)

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Give each test its samples or operations."""
        if "sample" in metafunc.fixturenames:
            metafunc.parametrize("sample", self.samples(), ids=lambda sample: sample.name)
        if "operation" in metafunc.fixturenames:
            metafunc.parametrize("operation", sorted(self.submissions))

    def ticket(self, operation: str, cursor: str = "") -> Ticket:
        return Ticket(operation, "job-1", cursor=cursor, seen=True)

    def play(self, sample: Sample, answer: Answer | None = None) -> dict[str, Any]:
        """Read a sample, or another answer in its place, and describe the outcome."""
        read = answer or sample.answer
        if sample.kind == "catalog":
            return self.catalogued(sample.operation, read)
        if sample.is_submit:
            return self.submitted(sample.operation, read)
        if sample.kind == "cancel":
            return self.canceled(sample.operation, read)
        return self.polled(sample.operation, read, cursor=sample.cursor)

    def submitted(self, operation: str, answer: Answer) -> dict[str, Any]:
        return described(lambda: self.adapter.submit_outcome(answer, self.submissions[operation], self.account))

    def polled(self, operation: str, answer: Answer, *, cursor: str = "") -> dict[str, Any]:
        return described(lambda: self.adapter.poll_outcome(answer, self.ticket(operation, cursor), self.account))

    def canceled(self, operation: str, answer: Answer) -> dict[str, Any]:
        adapter = self.adapter
        assert isinstance(adapter, Cancels), f"{self.name} has no cancel"
        return {"is": "Canceled", "what": adapter.cancel_outcome(answer, self.ticket(operation), self.account).value}

    def has_failed(self, ticket: Ticket) -> bool:
        return False  # what the ticket remembers may say so

    def catalogued(self, catalog: str, answer: Answer) -> dict[str, Any]:
        return described(lambda: self.adapter.catalog_outcome(catalog, answer, self.account))

    # What it declares

    def test_declares_itself(self) -> None:
        """An adapter says where its rules come from and how patient to be."""
        adapter = self.adapter
        assert adapter.name == self.name
        assert adapter.source.startswith("https://")
        assert set(adapter.operations) == set(self.submissions)
        assert adapter.results_live_seconds > 0
        for operation in adapter.operations:
            plan = adapter.plan_for(operation)
            assert 0 < plan.first_seconds <= plan.cap_seconds < adapter.deadline_for(operation)
            assert plan.factor >= 1

    def test_names_lanes_and_secrets_well(self, operation: str) -> None:
        """A lane is the same each time, and no free text of the request; a secret can be a variable."""
        params = self.submissions[operation].params
        lane = self.adapter.lane(operation, params)
        assert isinstance(lane, str)
        assert lane == self.adapter.lane(operation, params)
        assert lane != params.get("prompt", params.get("text", "a prompt"))
        for name in self.adapter.credentials:
            assert re.fullmatch(r"[a-z](_?[a-z0-9])*", name)
            assert not name.endswith("_file")
            assert name == "api_key" or name not in ProviderSettings.model_fields

    # What it takes

    def test_takes_a_valid_request(self, operation: str) -> None:
        """Known fields are checked; fields it does not know pass, where there is a place for them."""
        submission = self.submissions[operation]
        known = self.adapter.check(operation, submission.params, set(submission.inputs))
        assert known is self.adapter.operations[operation]
        if known.params.model_config.get("extra") == "allow":
            self.adapter.check(operation, {**submission.params, "brand_new_field": {"a": [1]}}, set(submission.inputs))

    def test_refuses_wrong_types_without_repeating_them(self, operation: str) -> None:
        """A wrong value is named by its field; the value itself may be private."""
        params = {**self.submissions[operation].params}
        for name in self.adapter.operations[operation].params.model_fields:
            with pytest.raises(InvalidRequestError, match=rf"params\.{name}") as raised:
                self.adapter.check(operation, {**params, name: object()}, set())
            assert "object at" not in str(raised.value)

    def test_refuses_an_unknown_operation(self) -> None:
        """The message names what there is."""
        with pytest.raises(InvalidRequestError, match=min(self.submissions)):
            self.adapter.check("no.such.operation", {}, set())

    # What it sends

    def test_builds_pure_calls_that_hide_the_key(self, operation: str) -> None:
        """A job gives one and the same call, under the base URL, with the key in no address and no repr."""
        ticket, adapter = self.ticket(operation), self.adapter
        pairs = [
            [adapter.submit_call(self.submissions[operation], self.account) for _ in range(2)],
            [adapter.poll_call(ticket, self.account) for _ in range(2)],
        ]
        if isinstance(adapter, Cancels):
            canceling = [adapter.cancel_call(ticket, self.account) for _ in range(2)]
            pairs.append([call for call in canceling if call is not None])
        for call, again in filter(None, pairs):
            assert call == again
            assert call.url.startswith(self.account.base_url)
            assert call.json is None or call.form is None
            assert KEY not in call.url + repr(call) + json.dumps(dict(call.query))
            assert KEY in json.dumps([dict(call.headers), call.json])
            json.dumps(call.json, allow_nan=False)

    def test_keeps_a_hostile_id_in_its_place(self, operation: str) -> None:
        """An id is one segment of a path, or stands in a body."""
        ticket = Ticket(operation, "a/../b?c=d#e f\u00e9")
        call = self.adapter.poll_call(ticket, self.account)
        assert "a/../b" not in call.url
        assert "?" not in call.url
        assert "#" not in call.url
        assert " " not in call.url

    def test_catalogs_have_calls_and_others_are_refused(self) -> None:
        """Every declared catalog can be asked for; any other is refused by name."""
        for catalog, declared in self.adapter.catalogs.items():
            call = self.adapter.catalog_call(catalog, dict.fromkeys(declared.arguments, "x"), self.account)
            assert call.method == "GET"
            assert KEY not in repr(call)
        with pytest.raises(InvalidRequestError, match=r"no\.such\.catalog"):
            self.adapter.catalog_call("no.such.catalog", {}, self.account)
        with pytest.raises(UnreadableAnswerError):
            Provider.read_catalog(self.adapter, "no.such.catalog", Answer(200, {}, b"[]"))

    # What it promises for its provider

    def test_what_is_promised_can_be_done(self, operation: str) -> None:
        """Where the provider has an idempotency contract the key goes out, and a job can be looked up by it."""
        declared, submission = self.adapter.operations[operation].idempotency, self.submissions[operation]
        if declared is None:
            return
        assert declared.live_seconds > 0
        first, again, other = (
            self.adapter.submit_call(replace(submission, key=key), self.account) for key in (*UUIDS[:1] * 2, UUIDS[1])
        )
        assert first == again != other
        if declared.contract is not Contract.REPLAY and self.adapter.operations[operation].buys:
            assert isinstance(self.adapter, LooksUp)
        if isinstance(self.adapter, LooksUp):
            self._check_look_ups(self.adapter, Lookup(UUIDS[0], operation))

    def _check_look_ups(self, adapter: LooksUp, lookup: Lookup) -> None:
        """What can't be read is no answer, above all not that there is no job."""
        assert adapter.shows_after_seconds >= 0
        call, again = (adapter.lookup_call(lookup, self.account) for _ in range(2))
        assert call == again != adapter.lookup_call(replace(lookup, key=UUIDS[1]), self.account)
        assert KEY not in call.url + repr(call)
        unreadable = [Answer(200, {}, body) for body in UNREADABLE]
        for answer in [*unreadable, *(Answer(status, {}, b"{}") for status in (*SAYS_NOTHING_OF_THE_JOB, 401, 403))]:
            with pytest.raises((PollFailedError, AccountRefusedError)):
                adapter.lookup_outcome(answer, lookup, self.account)

    # What it reads

    def test_sample(self, sample: Sample) -> None:
        """A recorded answer comes to the outcome recorded with it."""
        assert unmet(sample.expect, self.play(sample)) == {}

    def test_bent_sample(self, sample: Sample) -> None:
        """Any value of a recorded answer may be missing or of another kind: there is an outcome all the same."""
        of_kind = {"catalog": CATALOG_ENDS, "cancel": CANCEL_ENDS}
        ends = SUBMIT_ENDS if sample.is_submit else of_kind.get(sample.kind, POLL_ENDS)
        for variant in bent(sample.body):
            answer = Answer(sample.answer.status, sample.answer.headers, json.dumps(variant).encode())
            came = self.play(sample, answer)
            assert ({came.get("is"), came.get("raises")} | came.keys()) & ends, (variant, came)

    def test_no_key_in_what_it_says(self, sample: Sample) -> None:
        """Providers quote keys back; no outcome and no error of ours does."""
        if sample.kind == "catalog":
            return
        for variant in bent(sample.body, with_values=(f"bad key {KEY}!",)):
            for status in (sample.answer.status, 401, 422, 500):
                answer = Answer(status, sample.answer.headers, json.dumps(variant).encode())
                came = self.play(sample, answer)
                texts = [came.get(name) for name in ("message", "reason", "says")]
                assert KEY not in json.dumps(texts), variant

    def test_submit_by_code(self, operation: str) -> None:
        """The HTTP code decides where it can: refused for good, refused for now, or nobody knows."""
        json_headers = {"content-type": "application/json"}
        for status in NOT_ACCEPTED:
            came = self.submitted(operation, Answer(status, json_headers, b"{}"))
            assert (came["is"], came["code"], came["again"]) == ("Refused", FailureCode.REJECTED, False), status
        for status in (401, 403):
            came = self.submitted(operation, Answer(status, json_headers, b"{}"))
            assert (came["is"], came["code"], came["again"]) == ("Refused", FailureCode.UNAUTHORIZED, False), status
        for status in self.again_later:
            came = self.submitted(operation, Answer(status, {"retry-after": "9"}, b"<html>"))
            assert (came["is"], came["again"], came["after_seconds"]) == ("Refused", True, 9.0), status
        for status in (*MAY_BE_ACCEPTED, *(set(AGAIN_LATER) - set(self.again_later))):
            came = self.submitted(operation, Answer(status, json_headers, b'{"status": "error", "message": "no"}'))
            assert came.get("raises") == "SubmissionUnknownError" or came.get("is") == "KeyTaken", status

    def test_submit_that_can_not_be_read_may_be_accepted(self, operation: str) -> None:
        """Half an answer under a good code hides a job that may be paid for."""
        for body in UNREADABLE:
            came = self.submitted(operation, Answer(200, {}, body))
            assert came.get("raises") == "SubmissionUnknownError", body

    def test_poll_by_code(self, operation: str) -> None:
        """Trouble with asking is not the end of a job."""
        for status in SAYS_NOTHING_OF_THE_JOB:
            came = self.polled(operation, Answer(status, {"retry-after": "9"}, b'{"status": "failed"}'))
            assert (came.get("raises"), came["after_seconds"]) == ("PollFailedError", 9.0), status
        for status in (401, 403):
            came = self.polled(operation, Answer(status, {}, b"{}"))
            assert came.get("raises") == "AccountRefusedError", status
        edge = self.polled(operation, Answer(403, {"content-type": "text/html"}, b"<html>1010</html>"))
        assert "edge" in edge["says"]
        assert self.polled(operation, Answer(404, {}, b"{}"))["is"] == "Unknown"

    def test_poll_that_can_not_be_read_is_asked_again(self, operation: str) -> None:
        """Half an answer to a poll changes nothing."""
        for body in UNREADABLE:
            assert self.polled(operation, Answer(200, {}, body)).get("raises") == "PollFailedError", body

    def test_catalog_by_code(self) -> None:
        """A refused key is another error than a provider's bad day."""
        for catalog in self.adapter.catalogs:
            ends = {}
            for status in (401, 403, 404, 429, 500):
                answer = Answer(status, {"retry-after": "9"}, b"<html>")
                came = self.catalogued(catalog, answer)
                ends[status] = (came["raises"], came["after_seconds"])
            refused, later = ("AccountRefusedError", None), ("TryLaterError", 9.0)
            assert ends == {401: refused, 403: refused, 404: later, 429: later, 500: later}

    @FUZZ
    @given(answer=ANSWERS, data=st.data())
    def test_noise(self, answer: Answer, data: st.DataObject) -> None:
        """Whatever comes over the wire, only documented outcomes and errors come out."""
        operation = data.draw(st.sampled_from(sorted(self.submissions)))
        cursors = sorted({sample.cursor for sample in self.samples() if sample.operation == operation}) or [""]
        ticket = self.ticket(operation, data.draw(st.sampled_from(cursors)))
        try:
            outcome = self.adapter.submit_outcome(answer, self.submissions[operation], self.account)
            assert isinstance(outcome, Submitted | Finished | Refused)
            assert not isinstance(outcome, Submitted) or outcome.provider_job_id
        except SubmissionUnknownError:
            pass
        try:
            polled = self.adapter.poll_outcome(answer, ticket, self.account)
            assert isinstance(polled, Running | FetchNow | Succeeded | Failed | Unknown)
        except (PollFailedError, AccountRefusedError):
            pass
        if isinstance(self.adapter, Cancels):
            self.canceled(operation, answer)
        for catalog in self.adapter.catalogs:
            try:
                entries = self.adapter.catalog_outcome(catalog, answer, self.account)
                assert all(isinstance(entry, dict) for entry in entries)
            except (AccountRefusedError, TryLaterError, UnreadableAnswerError):
                pass
