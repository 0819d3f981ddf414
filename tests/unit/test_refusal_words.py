"""Words of a provider that pause an account must be its own, not a quotation of the request."""

from __future__ import annotations

import json

import pytest

from bide.providers import find
from bide.providers.base import Account, Answer, Refused, Submission

ACCOUNT = Account("http://provider", "k")


def refused(prompt: str, message: str) -> Refused:
    """What DreamBooth's adapter makes of an error under HTTP 200."""
    body = json.dumps({"status": "error", "message": message}).encode()
    submission = Submission("j1", "text2img", {"prompt": prompt}, {})
    outcome = find("dreambooth").submit_outcome(Answer(200, {}, body), submission, ACCOUNT)
    assert isinstance(outcome, Refused)
    return outcome


@pytest.mark.parametrize(
    ("prompt", "message", "whole"),
    [
        ("a red fox", "insufficient credits", True),
        ("a red fox", "insufficient credits for 'a red fox'", True),
        ("a sign saying insufficient credits", "prompt rejected: 'a sign saying insufficient credits'", False),
    ],
)
def test_a_quoted_prompt_pauses_nobody(prompt: str, message: str, whole: bool) -> None:
    """One caller's prompt must not stop all others."""
    assert refused(prompt, message).whole_account is whole
