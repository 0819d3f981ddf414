"""What is checked in an adapter's outcome, and added to it, for all adapters alike."""

from __future__ import annotations

from dataclasses import replace

from bide.contract import FailureCause
from bide.errors import SubmissionUnknownError, UnreadableAnswerError
from bide.printable import plain
from bide.providers.exchange import Account, handle_text
from bide.providers.masking import hidden
from bide.providers.moderation import is_moderated
from bide.providers.outcomes import (
    Failed,
    Finished,
    KeyTaken,
    PollOutcome,
    Refused,
    Running,
    SubmitOutcome,
    Submitted,
    Succeeded,
    Unknown,
)

#: The most that is kept of what an adapter says about missing outputs [characters].
MAX_PARTIAL_CHARACTERS = 300


def check_handle(outcome: SubmitOutcome) -> None:
    """Raise `SubmissionUnknownError` for a handle that can't be kept: by the id alone an operator may find the job."""
    if not isinstance(outcome, Submitted | Finished):
        return
    try:
        handle_text(outcome.handle)
    except UnreadableAnswerError as error:
        raise SubmissionUnknownError(f"the provider accepted it as {outcome.provider_job_id}; {error}") from error


def hidden_submit(outcome: SubmitOutcome, account: Account) -> SubmitOutcome:
    """The outcome of a submit without a secret of the account in the provider's words, which quote what they got."""
    if isinstance(outcome, Refused | KeyTaken):
        return replace(outcome, message=hidden(outcome.message, account))
    if isinstance(outcome, Finished) and outcome.partial:
        return replace(outcome, partial=_missing(outcome, account))
    return outcome


def hidden_poll(outcome: PollOutcome, account: Account) -> PollOutcome:
    """The outcome of a poll, likewise."""
    if isinstance(outcome, Failed | Unknown):
        return replace(outcome, reason=hidden(outcome.reason, account))
    if isinstance(outcome, Succeeded) and outcome.partial:
        return replace(outcome, partial=_missing(outcome, account))
    if isinstance(outcome, Running) and outcome.progress:
        progress = replace(outcome.progress, message=hidden(outcome.progress.message, account))
        return replace(outcome, progress=progress)
    return outcome


def _missing(outcome: Succeeded | Finished, account: Account) -> str:
    """What is missing of the outputs, in one short line."""
    return plain(hidden(outcome.partial, account))[:MAX_PARTIAL_CHARACTERS]


def with_cause(failed: Failed) -> Failed:
    """The failure with the cause that its words name, where the adapter says none."""
    moderated = failed.cause is None and is_moderated(failed.reason)
    return replace(failed, cause=FailureCause.MODERATED) if moderated else failed
