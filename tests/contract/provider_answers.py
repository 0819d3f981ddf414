"""What every adapter must read: recorded samples, samples bent in every way, codes alone, and noise."""

from __future__ import annotations

import json

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bide.contract import FailureCode
from bide.errors import (
    AccountRefusedError,
    PollFailedError,
    SubmissionUnknownError,
    TryLaterError,
    UnreadableAnswerError,
)
from bide.providers.base import (
    Answer,
    Cancels,
    Failed,
    FetchNow,
    Finished,
    Refused,
    Running,
    Submitted,
    Succeeded,
    Unknown,
)
from tests.contract.adapter_stage import AGAIN_LATER, KEY, AdapterStage
from tests.contract.noise import ANSWERS, bent
from tests.contract.samples import Sample, unmet

#: The outcomes and errors that the machinery knows what to do with.
SUBMIT_ENDS = {"Submitted", "Finished", "Refused", "KeyTaken", "SubmissionUnknownError"}
POLL_ENDS = {"Running", "FetchNow", "Succeeded", "Failed", "Unknown", "PollFailedError", "AccountRefusedError"}
CANCEL_ENDS = {"Canceled"}
CATALOG_ENDS = {"entries", "AccountRefusedError", "TryLaterError", "UnreadableAnswerError"}

#: Bodies in which no provider could say anything.
UNREADABLE = (b"", b"<html>busy</html>", b'{"status": "suc', b"[]", b"7", b"null", b"\xff\xfe\x00", b"[" * 100_000)

NOT_ACCEPTED = (400, 402, 404, 405, 413, 415, 422, 451)
MAY_BE_ACCEPTED = (408, 409, 425, 499, 500, 502, 504, 520, 301, 302, 100)
SAYS_NOTHING_OF_THE_JOB = (408, 409, 425, 429, 500, 502, 503, 504, 301, 302)

#: One class runs the tests of all its heirs, so Hypothesis sees several executors; that is what inheriting is for.
FUZZ = settings(
    max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.differing_executors]
)


class AnswersContract(AdapterStage):
    """The part of `ProviderContract` about answers."""

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
