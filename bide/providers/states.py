"""Words for a job's state that mean the same with every provider, documented there or not.

An adapter's own words come first. A word that is in neither is that of a job at work, until its deadline.
"""

from __future__ import annotations

import re

#: The job has ended, and there will be no result.
FAILED = frozenset(
    {
        *("failed", "failure", "fail", "error", "errored", "exception", "crashed", "unsuccessful"),
        *("canceled", "cancelled", "cancel", "aborted", "terminated", "killed", "stopped", "interrupted", "revoked"),
        *("expired", "timeout", "timed out", "timedout", "time out", "deadline exceeded", "deleted", "removed"),
        *("rejected", "refused", "denied", "declined", "invalid", "nsfw", "content moderated", "request moderated"),
    }
)

#: The job has ended well: believed where its outputs are there.
DONE = frozenset(
    {"success", "succeeded", "succeed", "successful", "complete", "completed", "done", "finished", "ready", "ok"}
)

NO_REASON = "the provider gave no reason"

_GAPS = re.compile(r"[\s_-]+")


def is_failed(word: str) -> bool:
    """Whether a status word, in small letters, is that of a job that has ended without a result."""
    return _GAPS.sub(" ", word).strip() in FAILED


def is_done(word: str) -> bool:
    """Whether a status word, in small letters, is that of a job that has ended with one."""
    return _GAPS.sub(" ", word).strip() in DONE


def no_reason(word: str) -> str:
    """Why a job failed that its provider gives no reason for: a word that is more than "failed" tells a little."""
    plain = word in ("failed", "error")
    return NO_REASON if plain else f"the provider calls the job {word}, and gave no reason"
