"""What is checked in an adapter's outcome, and added to it, for all adapters alike."""

from __future__ import annotations

from dataclasses import replace

from bide.contract import FailureCause
from bide.errors import SubmissionUnknownError, UnreadableAnswerError
from bide.printable import plain
from bide.providers.exchange import Account, Answer, handle_text
from bide.providers.masking import hidden
from bide.providers.moderation import is_moderated
from bide.providers.outcomes import Failed, Finished, Running, Submitted, Succeeded

#: The most that is kept of what an adapter says about missing outputs [characters].
MAX_PARTIAL_CHARACTERS = 300


def completed(running: Running, answer: Answer, account: Account) -> Running:
    """The outcome with the answer's Retry-After, and no secret in the provider's message."""
    after = running.after_seconds if running.after_seconds is not None else answer.retry_after_seconds
    if running.progress is None:
        return running if after is None else replace(running, after_seconds=after)
    progress = replace(running.progress, message=hidden(running.progress.message, account))
    return replace(running, progress=progress, after_seconds=after)


def check_handle(outcome: Submitted | Finished) -> None:
    """Raise `SubmissionUnknownError` for a handle that can't be kept: by the id alone an operator may find the job."""
    try:
        handle_text(outcome.handle)
    except UnreadableAnswerError as error:
        raise SubmissionUnknownError(f"the provider accepted it as {outcome.provider_job_id}; {error}") from error


def partial_of(outcome: Succeeded | Finished, account: Account) -> str:
    """What is missing of the outputs, in one short line without a secret."""
    return plain(hidden(outcome.partial, account))[:MAX_PARTIAL_CHARACTERS]


def with_cause(failed: Failed) -> Failed:
    """The failure with the cause that its words name, where the adapter says none."""
    moderated = failed.cause is None and is_moderated(failed.reason)
    return replace(failed, cause=FailureCause.MODERATED) if moderated else failed
