"""Advice for a person: what to do about a failure, a job's state, or a Redis that is away."""

from __future__ import annotations

from pydantic import ValidationError

from bide.contract import Failure, FailureCode, JobState
from bide.errors import JobFailed

#: What to do about each failure code.
ADVICE = {
    FailureCode.INVALID_REQUEST: "mend the request and submit it again; nothing was bought",
    FailureCode.REJECTED: "the provider refused it: mend the request or the account, as it says; nothing was bought",
    FailureCode.UNAUTHORIZED: "check the account's API_KEY and its state at the provider; nothing was bought",
    FailureCode.GENERATION_FAILED: "the provider took it and could not make it, and may have charged for it",
    FailureCode.OVER_BUDGET: "a budget had no room for it and nothing was bought: `bide budgets` shows how each stands",
    FailureCode.MODERATED: "the provider's moderation refused it: the same request ends so again, change it first",
    FailureCode.DEADLINE: "give it more time (--deadline); look at the provider's own list before buying it again",
    FailureCode.LOST: "the provider no longer knows it and may have charged for it: ask the provider, or submit again",
    FailureCode.EMPTY_RESULT: "the provider says it is done and gives nothing: ask the provider, or submit again",
    FailureCode.BAD_MEDIA: "what came is no whole picture or video that is taken: `bide explain` has its address",
    FailureCode.STORAGE: "the object store did not take it: check bucket, keys and address in BIDE_S3__...",
    FailureCode.SUBMISSION_UNKNOWN: "do not submit it again: see `bide unconfirmed list --candidates`",
    FailureCode.CANCELED: "it was canceled; what the provider had accepted stands and is charged",
    FailureCode.CRASHED: "look at the worker's log; unless the message says otherwise it may have been bought",
    FailureCode.PROTOCOL: "the provider answered in a way that its adapter does not know: report it with the log",
}

#: What to do about a job in each state, where its failure does not say more.
STATE_ADVICE = {
    JobState.QUEUED: "nothing: it is let in by itself, and fails at its deadline if it can't be; nothing is bought yet",
    JobState.SUBMITTING: "nothing: it goes on by itself; if its worker died it is settled, or becomes unconfirmed",
    JobState.RUNNING: "nothing: it is asked about again by itself; `bide cancel` frees its place, the purchase stands",
    JobState.STORING: "nothing: it is tried again while the provider keeps the result; `bide doctor` tests the store",
    JobState.UNCONFIRMED: "settle it: `bide unconfirmed list --candidates`, then attach, resubmit or give-up",
    JobState.SUCCEEDED: "nothing",
    JobState.FAILED: "see what its failure says",
    JobState.CANCELED: "nothing; what the provider had accepted stands and is charged",
}


def remedy(state: JobState, code: FailureCode | None) -> str:
    """What to do about a job in this state, with this failure."""
    return ADVICE[code] if code and state.final else STATE_ADVICE[state]


def explain(error: Exception) -> str:
    """An error as a person reads it."""
    if isinstance(error, JobFailed):
        try:
            return failure_line(Failure.model_validate_json(str(error)))
        except ValidationError:
            return f"the job failed: {error}"
    return str(error)


def explain_redis(error: Exception) -> str:
    """An error of a Redis that is away, or that refuses, as a person reads it; '' for any other error."""
    if type(error).__module__.partition(".")[0] not in ("kombu", "redis"):
        return ""
    from kombu.exceptions import OperationalError  # noqa: PLC0415 - slow to import, and no error of a mistyped command

    from bide.redis_errors import is_away, why_away  # noqa: PLC0415 - slow to import, and --help does not need it

    cause = error.__cause__ if isinstance(error, OperationalError) and error.__cause__ else error
    return f"Redis {why_away(cause)}" if is_away(cause) else ""


def failure_line(failure: Failure) -> str:
    """Code, message and remedy in one line."""
    return f"job {failure.job_id} failed: {failure.code}: {failure.message.rstrip('.')}. To do: {ADVICE[failure.code]}"
