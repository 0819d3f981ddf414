"""The secrets of accounts stand in no message: not as they are, not encoded, and no token made of them."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote

import pytest

from bide.errors import PollFailedError, SubmissionUnknownError
from bide.providers.base import Account, Answer, Refused, Submission, Ticket
from bide.providers.masking import hidden
from config.logging import Redaction
from tests.unit.keyed import ACCESS, SECRET, KilnAdapter, keyed

NOW = 1_700_000_000.0

__all__ = ["keyed"]

pytestmark = pytest.mark.usefixtures("keyed")


ACCOUNT = Account("https://api.kiln.example", "", secrets={"access_key": ACCESS, "secret_key": SECRET}, now=NOW)


def quoted() -> dict[str, str]:
    """Forms in which a provider may quote the secrets of a call."""
    basic = base64.b64encode(f"{ACCESS}:{SECRET}".encode()).decode()
    token = KilnAdapter().headers(ACCOUNT)["Authorization"].removeprefix("Bearer ")
    return {
        "as they are": f"{ACCESS} {SECRET}",
        "in an address": f"?access={quote(ACCESS)}&secret={quote(SECRET, safe='')}",
        "in JSON inside a text": json.dumps({"key": SECRET}).replace("/", "\\/"),
        "basic": f"Basic {basic}",
        "basic, of a fixed name": base64.b64encode(f"api:{SECRET}".encode()).decode(),
        "basic, without a name": base64.b64encode(f":{SECRET}".encode()).decode(),
        "basic, URL-safe and bare": base64.urlsafe_b64encode(f"x:{SECRET}".encode()).decode().rstrip("="),
        "a token": f"Bearer {token}",
        "a token in a text": f"invalid token '{token}', expired",
        "a token cut off": token[:-20],
        "the claims of a token": token.split(".")[1],
    }


@pytest.mark.parametrize("form", quoted())
def test_what_a_provider_quotes_is_masked(form: str) -> None:
    """In a refusal, a failure and an error; what it says besides stays."""
    text = quoted()[form]
    pieces = [piece for piece in text.replace("'", " ").replace("&", " ").replace("=", " ").split() if len(piece) > 20]
    body = json.dumps({"message": f"bad key {text} given"}).encode()
    adapter, submission = KilnAdapter(), Submission("a", "fire", {"glaze": "blue"})
    refused = adapter.submit_outcome(Answer(401, {}, body), submission, ACCOUNT)
    assert isinstance(refused, Refused)
    messages = [refused.message]
    for answer in (Answer(500, {}, body), Answer(502, {"content-type": text}, b"<html>")):
        with pytest.raises(SubmissionUnknownError) as unknown:
            adapter.submit_outcome(answer, submission, ACCOUNT)
        with pytest.raises(PollFailedError) as failed:
            adapter.poll_outcome(answer, Ticket("fire", "7"), ACCOUNT)
        messages += [str(unknown.value), str(failed.value)]
    assert pieces
    for message in messages:
        assert not [piece for piece in pieces if piece in message], message
    assert refused.message.startswith("HTTP 401: bad key ")
    assert refused.message.endswith(" given")


@pytest.mark.parametrize(
    "text",
    [
        "job 65f1c0ffee65f1c0ffee65f1 not found",
        "no model flux-pro-1.1-ultra-finetuned",
        "d3b07384d113edec49eaa6238ad5ff00d3b07384d113edec49eaa6238ad5ff00",
        base64.b64encode(b"nothing of any key in it at all").decode(),
        "fehlgeschlagen: Übertragungsgeschwindigkeit",
    ],
)
def test_other_words_stay(text: str) -> None:
    """Ids, names and digests are what an operator needs."""
    assert hidden(text, ACCOUNT) == text


def test_an_account_without_secrets_hides_nothing_but_tokens() -> None:
    """An empty key is in every text."""
    assert hidden("all is well", Account("http://127.0.0.1:8188", "")) == "all is well"


def test_logs_mask_a_token() -> None:
    """Also one that no setting holds as it stands."""
    token = KilnAdapter().headers(ACCOUNT)["Authorization"].removeprefix("Bearer ")
    assert Redaction().clean(f"refused: {token}!") == "refused: ***!"
    assert Redaction().clean("eye.jam eyJam and 12.eyJ") == "eye.jam eyJam and 12.eyJ"
