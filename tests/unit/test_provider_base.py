"""What `Provider` does for every adapter: pictures are checked, addresses joined, keys kept out of errors."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from bide.errors import InvalidRequestError
from bide.providers import find, installed
from bide.providers.base import (
    Account,
    Answer,
    Call,
    Failed,
    InputForm,
    Operation,
    Params,
    PollOutcome,
    Provider,
    Submission,
    SubmitOutcome,
    Submitted,
    Ticket,
    Upload,
)


class Portrait(Provider):
    """An adapter that is particular about its pictures."""

    name = "portrait"
    default_base_url = None
    operations = {  # noqa: RUF012 - declared as the base does
        "paint": Operation(
            params=Params,
            inputs=InputForm.FILE,
            required_inputs=frozenset({"face"}),
            allowed_inputs=frozenset({"face", "background"}),
        )
    }

    def submit_call(self, submission: Submission, account: Account) -> Call:
        return Call("POST", account.url("/paint"))

    def poll_call(self, ticket: Ticket, account: Account) -> Call:
        return Call("GET", account.url("/paint"))

    def read_submit(self, answer: Answer, submission: Submission, account: Account) -> SubmitOutcome:
        return Submitted("1")

    def read_poll(self, answer: Answer, ticket: Ticket, account: Account) -> PollOutcome:
        return Failed(f"not with {account.api_key}")


def test_required_pictures_must_be_there() -> None:
    """Missing, they are named before anything is bought."""
    Portrait().check("paint", {}, {"face", "background"})
    with pytest.raises(InvalidRequestError, match=r"^inputs\.face: is required by portrait paint$"):
        Portrait().check("paint", {}, {"background"})


def test_other_pictures_are_refused_where_the_names_are_known() -> None:
    """A misspelt name would be a picture that the provider never looks at."""
    with pytest.raises(
        InvalidRequestError, match=r"^inputs\.fase: is not a picture of paint; it takes background, face$"
    ):
        Portrait().check("paint", {}, {"face", "fase"})


@pytest.mark.parametrize("key", ["k-1234", ""])
def test_a_reason_loses_the_key(key: str) -> None:
    """Whatever an adapter says, the account's key is not in it; no key is no reason to change a text."""
    outcome = Portrait().poll_outcome(Answer(200), Ticket("paint", "1"), Account("https://a.example", key))
    assert outcome == Failed("not with ***" if key else "not with ")


@pytest.mark.parametrize("base", ["https://a.example:8443/api/v4", "https://a.example:8443/api/v4/"])
def test_addresses_join_with_one_slash(base: str) -> None:
    """A trailing slash in the settings changes nothing; the origin is without the path."""
    account = Account(base, "k")
    assert account.url("/x/") == "https://a.example:8443/api/v4/x/"
    assert account.origin == "https://a.example:8443"


def test_an_account_and_a_picture_do_not_show_their_secrets() -> None:
    """Neither the key nor a presigned address stands in a repr."""
    shown = repr((Account("https://a.example", "k-1234"), Upload("a", b"bytes", url="https://a.example/?signature=s")))
    assert "k-1234" not in shown
    assert "signature" not in shown
    assert "bytes" not in shown


def test_a_picture_as_base64_has_no_prefix() -> None:
    """Plain base64, as providers want it."""
    assert Upload("a", b"\x00\xff").base64 == "AP8="


def test_the_providers_are_installed() -> None:
    """By the name of their file; any other name is refused with the list."""
    four = {"cyberphotobooth", "dreambooth", "nextry", "photogpt"}
    assert four | {"bfl", "comfyui", "openai_videos"} <= set(installed())
    assert all(find(name).name == name for name in installed())
    with pytest.raises(
        InvalidRequestError, match="there is no 'midjourney'; installed are bfl, comfyui, cyberphotobooth"
    ):
        find("midjourney")


class Counted(Answer):
    """An answer that counts how often its body is decoded."""

    decoded: ClassVar[int] = 0

    def json(self) -> Any:
        """As `Answer.json`."""
        Counted.decoded += 1
        return super().json()


@pytest.mark.parametrize(
    ("provider", "operation"), [("bfl", "flux-dev"), ("dreambooth", "text2img"), ("replicate", "predict")]
)
def test_a_good_answer_is_decoded_once(provider: str, operation: str) -> None:
    """Its body may hold pictures, and only a refusal says in it when to come back."""
    adapter, account = find(provider), Account("https://provider.example", "k")
    answer = Counted(200, {}, b'{"id": "7", "status": "processing"}')
    for ask in (
        lambda: adapter.poll_outcome(answer, Ticket(operation, "7"), account),
        lambda: adapter.submit_outcome(answer, Submission("job", operation, {}), account),
    ):
        Counted.decoded = 0
        ask()
        assert Counted.decoded == 1
