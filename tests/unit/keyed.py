"""Two imaginary providers with other secrets than one key: Kiln wants a token made from two, Hearth wants none."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import pytest

from bide.errors import UnreadableAnswerError
from bide.providers import installed, reading
from bide.providers.base import (
    Account,
    Answer,
    Call,
    Operation,
    Params,
    PollOutcome,
    Provider,
    Running,
    Submission,
    SubmitOutcome,
    Submitted,
    Ticket,
)
from bide.providers.jwt_bearer import jwt_bearer
from bide.settings.model import Settings
from config.settings import load

ACCESS, SECRET = "planted-access-0123456789", "planted-secret-0123456789-abcdef/+="


class PotParams(Params):
    """What is fired."""

    glaze: str


class HearthAdapter(Provider):
    """Self-hosted: no secret."""

    name = "hearth"
    default_base_url: ClassVar[str | None] = None
    credentials: ClassVar[tuple[str, ...]] = ()
    operations: ClassVar = {"fire": Operation(params=PotParams)}
    source = "https://docs.hearth.example"

    def headers(self, account: Account) -> dict[str, str]:
        """What lets a call in."""
        return {}

    def submit_call(self, submission: Submission, account: Account) -> Call:
        return Call("POST", account.url("/pots"), headers=self.headers(account), json=dict(submission.params))

    def read_submit(self, answer: Answer, submission: Submission, account: Account) -> SubmitOutcome:
        if job_id := reading.as_id(answer.object().get("id")):
            return Submitted(job_id)
        raise UnreadableAnswerError("there is no id in it")

    def poll_call(self, ticket: Ticket, account: Account) -> Call:
        return Call("GET", account.url(f"/pots/{ticket.provider_job_id}"), headers=self.headers(account))

    def read_poll(self, answer: Answer, ticket: Ticket, account: Account) -> PollOutcome:
        return Running(reading.as_word(answer.object().get("state")))


class KilnAdapter(HearthAdapter):
    """Takes a token made from two keys."""

    name = "kiln"
    default_base_url = "https://api.kiln.example/v1"
    credentials = ("access_key", "secret_key")

    def headers(self, account: Account) -> dict[str, str]:
        keys = account.secrets
        return jwt_bearer(access_key=keys["access_key"], secret_key=keys["secret_key"], now=account.now)


@pytest.fixture
def keyed() -> Iterator[None]:
    """Both are installed."""
    known = installed()
    known |= {"kiln": KilnAdapter(), "hearth": HearthAdapter()}
    try:
        yield
    finally:
        del known["kiln"], known["hearth"]


#: What the variables of each begin with, and those of Kiln's two secrets.
KILN, HEARTH = "BIDE_PROVIDERS__KILN__", "BIDE_PROVIDERS__HEARTH__"
PAIR = {f"{KILN}ACCESS_KEY": ACCESS, f"{KILN}SECRET_KEY": SECRET}


def settings(**variables: str) -> Settings:
    """The settings of these variables."""
    return load({"BIDE_S3__BUCKET": "results", **variables}, env_file=None)
