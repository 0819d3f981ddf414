"""The common rules of refusal: what an HTTP code, or the words under a good code, say of a submit or a poll."""

from __future__ import annotations

import re

from bide.contract import FailureCode
from bide.errors import AccountRefusedError, PollFailedError, SubmissionUnknownError, UnreadableAnswerError
from bide.providers.exchange import Answer, Refused

#: Codes of a submit that was surely not accepted and may be tried again.
_NOT_ACCEPTED_TRY_AGAIN = {429, 503}

_ANY_CASE = re.IGNORECASE
_USED_UP = re.compile(r"month|credit|quota|balance", _ANY_CASE)
_TOO_FAST = re.compile(
    r"rate.?limit|too many \S*\s?(requests|jobs|tasks|trainings|generations)|\bqueue\b.{0,20}(limit|full)|"
    r"(overloaded|too busy|try again (later|in \d))",
    _ANY_CASE,
)
_BAD_KEY = re.compile(
    r"(invalid|wrong|missing|incorrect|expired|revoked|unknown|bad)\s(\w+\s)?(api[ _-]?)?key\b|"
    r"\b(api[ _-]?|your )key\b.{0,30}(invalid|expired|revoked|incorrect|required|missing|not (valid|found|active))|"
    r"unauthori[sz]ed|unauthenticated|authentication failed",
    _ANY_CASE,
)
_NO_CREDIT = re.compile(
    r"\b(insufficient|not enough|no|no more|out of|exhausted|used up)\s(\w+\s){0,2}(credits?|balance|quota|funds)\b|"
    r"\b(credits?|balance|quota|funds|monthly limit)\b.{0,20}"
    r"\b(exceeded|exhausted|insufficient|used up|too low|reached)",
    _ANY_CASE,
)
_NOT_FOUND = re.compile(r"\bnot[ _]found\b|does ?n[o']t exist|no such|unknown (id|job|request)", _ANY_CASE)


def refusal_by_status(answer: Answer, text: str, *, after_seconds: float | None = None) -> Refused | None:
    """The common reading of a submit's HTTP code."""
    status = answer.status
    words = f"HTTP {status}: {text}" if text else f"HTTP {status}"
    if 200 <= status < 300:
        return None
    if status in _NOT_ACCEPTED_TRY_AGAIN:
        return Refused(FailureCode.REJECTED, words, again=True, after_seconds=after_seconds)
    if status in (401, 403):
        blocked = edge_block(answer)
        whole = status == 401 or bool(blocked) or concerns_account(text)  # another 403 is about what was asked for
        return Refused(FailureCode.UNAUTHORIZED, blocked or words, whole_account=whole)
    if status in (307, 308):
        message = f"HTTP {status}: the provider redirects this address; correct the base URL"
        return Refused(FailureCode.REJECTED, message)
    if 400 <= status < 500 and status not in (408, 409, 425, 499):
        return Refused(FailureCode.REJECTED, words, whole_account=status == 402 or concerns_account(text))
    raise SubmissionUnknownError(f"the provider answered {words}; the job may have been accepted")


def refusal_by_words(text: str, *, after_seconds: float | None = None) -> Refused:
    """A documented refusal under HTTP 2xx, sorted by the provider's words; raises where it gave none."""
    if not text:
        raise SubmissionUnknownError("the provider reports an error and no reason; the job may have been accepted")
    if is_rate_limit(text):
        return Refused(FailureCode.REJECTED, text, again=True, after_seconds=after_seconds)
    code = FailureCode.UNAUTHORIZED if is_bad_key(text) else FailureCode.REJECTED
    return Refused(code, text, whole_account=concerns_account(text))


def is_rate_limit(text: str) -> bool:
    """Whether coming back later helps; a used-up quota or no credits do not mend themselves within a job's life."""
    return _TOO_FAST.search(text) is not None and _USED_UP.search(text) is None


def is_bad_key(text: str) -> bool:
    """Whether the words are about the account's key."""
    return _BAD_KEY.search(text) is not None


def concerns_account(text: str) -> bool:
    """Whether the words are about the account's key or its used-up credit, so that every submit would hear them."""
    return is_bad_key(text) or _NO_CREDIT.search(text) is not None


def is_not_found(text: str) -> bool:
    """Whether the words say that there is no such job."""
    return _NOT_FOUND.search(text) is not None


def poll_trouble(answer: Answer, *, after_seconds: float | None = None) -> None:
    """Raise for the codes that say nothing about the job; 2xx and 404 pass, the body decides."""
    status = answer.status
    if 200 <= status < 300 or status == 404:
        return
    if status in (401, 403):
        raise AccountRefusedError(edge_block(answer) or f"the provider refuses the key: HTTP {status}")
    raise PollFailedError(f"HTTP {status}", after_seconds=after_seconds)


def edge_block(answer: Answer) -> str:
    """What a 403 that is not JSON means; empty for any other answer."""
    if answer.status != 403:
        return ""
    try:
        answer.json()
    except UnreadableAnswerError:
        return (
            "HTTP 403 with a body that is not JSON: an edge in front of the provider blocks us "
            "(our address or User-Agent), not the provider the key"
        )
    return ""
