"""How fal says that a request failed: its error types, and what they say of cause and charge."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from bide.contract import Charged, FailureCause
from bide.errors import UnreadableAnswerError
from bide.providers import reading
from bide.providers.base import Answer, Cost, Failed, Succeeded
from bide.providers.costs import as_cost
from bide.providers.moderation import is_moderated
from bide.providers.states import no_reason

#: Fields that may say why something failed, the best first.
ERRORS = ("detail", "error", "message")

#: Codes under which a result's address says how its request failed; a refused key and a rate are about the asking.
_OF_THE_JOB = frozenset({400, 422})
_OF_THE_ASKING = frozenset({401, 403, 404, 408, 425, 429})

#: Types of fal itself, which come with a 5xx: those requests are free.
_FREE = {
    **dict.fromkeys(("request_timeout", "startup_timeout", "runner_scheduling_failure"), FailureCause.CAPACITY),
    **dict.fromkeys(
        (
            *("runner_connection_timeout", "runner_connection_refused", "runner_connection_error"),
            *("runner_disconnected", "runner_incomplete_response", "runner_server_error", "internal_error"),
            *("internal_server_error", "generation_timeout"),
        ),
        FailureCause.PROVIDER,
    ),
}

#: Types that come with a 4xx, whose requests may be charged.
_CAUSES = {
    **_FREE,
    **dict.fromkeys(("content_policy_violation",), FailureCause.MODERATED),
    **dict.fromkeys(("file_download_error", "image_too_large", "bad_request"), FailureCause.BAD_INPUT),
    **dict.fromkeys(("downstream_service_error", "client_cancelled", "client_disconnected"), FailureCause.PROVIDER),
}


def is_about_the_job(answer: Answer, *, has_failed: bool) -> bool:
    """Whether a code of the result's address is that of the request, in fal's own words.

    `has_failed`: its status says so; then a 5xx is the request's, too.
    """
    status = answer.status
    if status not in _OF_THE_JOB and not (has_failed and status >= 400 and status not in _OF_THE_ASKING):
        return False
    try:
        body = answer.json()
    except UnreadableAnswerError:
        return False
    text = reading.first_text(body, ("detail",))
    return bool(text) and "in progress" not in text.lower()


def failure(
    body: Mapping[str, Any], *, answer: Answer | None = None, seen: Mapping[str, str] | None = None, word: str = ""
) -> Failed:
    """The end of a request by the error's body, its code and headers where it has any, and the words of its status."""
    known = seen or {}
    headers, status = (answer.headers, answer.status) if answer else ({}, 0)
    reason = reading.first_text(dict(body), ERRORS) or known.get("error") or no_reason(word or "failed")
    kind = _type(body) or headers.get("x-fal-error-type", "") or known.get("error_type", "")
    cause = _CAUSES.get(kind) or _by_code(status, reason, may_repeat=headers.get("x-fal-retryable", "") == "true")
    cost = billed(answer)
    free = status >= 500 or kind in _FREE
    charged = Charged.NO if free else Charged.UNKNOWN
    if cost is not None:
        charged = Charged.YES if cost.amount else Charged.NO
    return Failed(reason, cause, charged, cost)


def billed(answer: Answer | None) -> Cost | None:
    """The quantity of the model's own unit (pictures, megapixels, seconds) that is billed; None where none is named."""
    return as_cost(answer.headers.get("x-fal-billable-units"), "units") if answer else None


def with_cost(outcome: Succeeded, answer: Answer) -> Succeeded:
    """The outcome with what the answer says that it cost."""
    return replace(outcome, cost=billed(answer))


def _by_code(status: int, reason: str, *, may_repeat: bool) -> FailureCause | None:
    """The cause of a type that is not listed: a 4xx is about the input, unless fal says that the same may go well."""
    if is_moderated(reason):
        return FailureCause.MODERATED
    if status >= 500 or may_repeat:
        return FailureCause.PROVIDER
    return FailureCause.BAD_INPUT if status in _OF_THE_JOB else None


def _type(body: Mapping[str, Any]) -> str:
    """The error's type: that of fal itself, or of the first of a model's errors."""
    details = body.get("detail")
    first = details[0] if isinstance(details, list) and details else None
    held = first.get("type") if isinstance(first, dict) else body.get("error_type")
    return reading.as_text(held)
