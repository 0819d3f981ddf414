"""The common rules of refusal: what an HTTP code, or the words under a good code, say of a submit or a poll."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any

from bide.contract import FailureCause, FailureCode
from bide.errors import (
    AccountRefusedError,
    PollFailedError,
    SubmissionUnknownError,
    TryLaterError,
    UnreadableAnswerError,
)
from bide.providers.credit import is_used_up, own_words
from bide.providers.exchange import Answer
from bide.providers.moderation import is_moderated
from bide.providers.outcomes import Refused, Unknown
from bide.providers.states import NO_REASON

#: Codes of a submit that was surely not accepted and may be tried again.
_NOT_ACCEPTED_TRY_AGAIN = {429, 503}

#: Come back later: too fast, too many at once, or too busy. Spelled as `credit.spelled` gives words.
_TOO_FAST = re.compile(
    r"rate ?limit|too many \S*\s?(requests|jobs|tasks|trainings|generations)|\bqueue\b.{0,20}(limit|full)|"
    r"\boverloaded\b|\b(too|is|are|currently|very|so|server|system|service) busy\b|"
    r"\b(high|heavy|peak|too much|excessive) (demand|load|traffic|usage)\b|\b(at|over|out of|no) (full )?capacity\b|"
    r"\btemporar(y|ily) (unavailable|out of service|overload|down)|\bservice (is )?(currently )?unavailable\b|"
    r"\bunder maintenance\b|\bslow down\b|\bthrottl|"
    r"\bno (free |idle )?(gpus?|workers?|servers?) (is |are )?available\b|"
    r"\b(try|retry|come back)( it)?( once)?( again)? (later|shortly|soon|in \d|in an? (few|moment|while|minute|second)|"
    r"after (a|some|\d))"
)
_BAD_KEY = re.compile(
    r"(invalid|wrong|missing|incorrect|expired|revoked|unknown|bad)\s(\w+\s)?(api ?)?key\b|"
    r"\b(api ?|your )key\b.{0,30}(invalid|expired|revoked|incorrect|required|missing|not (valid|found|active))|"
    r"unauthori[sz]ed|unauthenticated|authentication failed"
)
_NOT_FOUND = re.compile(r"\bnot found\b|does ?n[o']t exist|no such|unknown (id|job|request)")


def refusal_by_status(answer: Answer, text: str, *, after_seconds: float | None = None) -> Refused | None:
    """The common reading of a submit's HTTP code."""
    status = answer.status
    words = f"HTTP {status}: {text}" if text else f"HTTP {status}"
    if answer.is_good:
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


def check_code(answer: Answer, words: Callable[[Answer], str], wait: Callable[[Answer], float | None]) -> None:
    """Raise `AccountRefusedError` or `TryLaterError` where a catalog or a list comes under no good code.

    `words` and `wait` read the provider's own words, and how long it asks us to stay away [seconds].
    """
    if answer.is_good:
        return
    if answer.status in (401, 403):
        raise AccountRefusedError(f"HTTP {answer.status}: {words(answer)}")
    raise TryLaterError(f"HTTP {answer.status}: {words(answer)}", after_seconds=wait(answer))


def weigh(refused: Refused, answer: Answer, params: Mapping[str, Any], *, credit_words: Collection[str]) -> Refused:
    """The refusal by the provider's own words: what it quotes of the request, which may speak of credits, too, is none.

    A moderated request is refused for good, with a code of its own, unless HTTP says to come back. Used-up credit is no
    reason to come back, whatever the code, unless the provider says when. Raises `SubmissionUnknownError` where a
    spoilt name of a field may have been that of an accepted job's id.
    """
    if answer.status < 300 and _has_spoilt_names(answer):
        raise SubmissionUnknownError("the answer to the submit refuses it, and names of its fields are spoilt")
    quoted, text, code = tuple(_texts(params)), refused.message, answer.status
    if is_used_up(text, more=credit_words, quoted=quoted):
        again = refused.again and refused.after_seconds is not None
        return replace(refused, again=again, whole_account=not again)
    again = refused.again and (code >= 300 or not is_rate_limit(text) or is_rate_limit(text, quoted=quoted))
    by_code = code in (401, 402) or not concerns_account(text)
    whole = refused.whole_account and (by_code or concerns_account(text, quoted=quoted))
    weighed = replace(refused, again=again, whole_account=whole)
    moderated = refused.cause is FailureCause.MODERATED or is_moderated(text, quoted=quoted)
    if not moderated or again or whole or code in (401, 402):
        return weighed
    return replace(weighed, code=FailureCode.MODERATED, cause=FailureCause.MODERATED)


def _has_spoilt_names(answer: Answer) -> bool:
    return not all(name.isprintable() and "\ufffd" not in name for name in answer.object())


def _texts(value: Any) -> Iterator[str]:
    """All texts of a request's params."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list | tuple):
        for entry in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(entry)


def is_rate_limit(text: str, *, quoted: Collection[str] = ()) -> bool:
    """Whether coming back later helps; used-up credit does not mend itself within a job's life.

    `quoted`: texts of the request, which a provider may quote; what it quotes is not its own word.
    """
    return own_words(_TOO_FAST, text, quoted) and not is_used_up(text, quoted=quoted)


def check_busy(status: str, reason: str, *, after_seconds: float | None = None) -> None:
    """Raise `PollFailedError` where a poll's "error" is about the asking: a busy server ends no paid job."""
    if status == "error" and is_rate_limit(reason):
        raise PollFailedError(reason, after_seconds=after_seconds)


def refused_poll(reason: str, *, after_seconds: float | None = None) -> Unknown:
    """A poll that was refused says nothing of the job, unless its words say that there is none.

    Raises `AccountRefusedError` for words about the key, else `PollFailedError`.
    """
    if is_not_found(reason):
        return Unknown(reason)
    if is_bad_key(reason):
        raise AccountRefusedError(reason)
    raise PollFailedError(reason or NO_REASON, after_seconds=after_seconds)


def not_of_the_job(reason: str, *, after_seconds: float | None = None) -> Unknown | None:
    """What a reason means that may be about the asking, the account or the job; None where it is about the job.

    Raises `PollFailedError` or `AccountRefusedError` for words about the asking or the account.
    """
    if is_rate_limit(reason) or is_used_up(reason):
        raise PollFailedError(reason, after_seconds=after_seconds)
    if is_bad_key(reason):
        raise AccountRefusedError(reason)
    return Unknown(reason) if is_not_found(reason) else None


def is_bad_key(text: str, *, quoted: Collection[str] = ()) -> bool:
    """Whether the words are about the account's key."""
    return own_words(_BAD_KEY, text, quoted)


def concerns_account(text: str, *, quoted: Collection[str] = ()) -> bool:
    """Whether the words are about the account's key or its used-up credit, so that every submit would hear them."""
    return is_bad_key(text, quoted=quoted) or is_used_up(text, quoted=quoted)


def is_not_found(text: str) -> bool:
    """Whether the words say that there is no such job."""
    return own_words(_NOT_FOUND, text)


def poll_trouble(answer: Answer, *, after_seconds: float | None = None) -> None:
    """Raise for the codes that say nothing about the job; 2xx and 404 pass, the body decides."""
    status = answer.status
    if answer.is_good or status == 404:
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
