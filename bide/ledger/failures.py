"""Failures as records have them, and how one is reworded where the ledger knows more of its job than the step."""

from __future__ import annotations

from typing import Any

from bide.contract import Failure, FailureCode
from bide.ledger.records import AccountName


def error_of(account: AccountName, code: FailureCode, message: str, *, job_id: str = "", **more: Any) -> str:
    """A failure as a record has it; without a job id where the record itself gives that."""
    failure = Failure(code=code, message=message, job_id=job_id, provider=account.provider, **more)
    return failure.model_dump_json()


def canceled_meanwhile(error: str) -> str:
    """The failure of a submit, reworded for a job that was canceled while the submit was under way."""
    if not error:
        return error
    failure = Failure.model_validate_json(error)
    message = f"canceled on request, while it was submitted; {failure.message}"[:1000]
    return failure.model_copy(update={"code": FailureCode.CANCELED, "message": message}).model_dump_json()


def bought_before(error: str) -> str:
    """The failure of the last submit, reworded for a job of which an earlier submit may have been accepted."""
    failure = Failure.model_validate_json(error) if error else None
    if failure is None or failure.code is FailureCode.SUBMISSION_UNKNOWN:
        return error
    message = f"an earlier submit of it may have been accepted; this one was not: {failure.message}"[:1000]
    return failure.model_copy(update={"code": FailureCode.SUBMISSION_UNKNOWN, "message": message}).model_dump_json()
