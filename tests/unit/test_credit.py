"""Used-up credit in whatever words, from any provider: the account pauses; nothing else pauses it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bide.contract import FailureCode
from bide.ledger import AccountName
from bide.providers import find, installed
from bide.providers.base import Account, Answer, Refused, Submission
from bide.providers.credit import FOR_LONG, PHRASES, is_used_up
from bide.providers.refusal import concerns_account, is_rate_limit
from bide.settings.problems import ConfigurationProblems
from config.settings import load
from tests.contract.usual import OPERATIONS
from workers.accounts import Accounts

USED_UP = (
    "You don't have enough credits",
    "You don\u2019t have enough credits",
    "You do not currently have enough image credits for this request",
    "not enough balance",
    "Account balance not enough",
    "exceeded your current quota",
    "Monthly limit",
    "You have reached your monthly limit of 1000 images",
    "daily generation limit reached",
    "Your subscription has expired",
    "Subscription expired, please renew your subscription",
    "Your free trial is over",
    "insufficient_quota",
    "INSUFFICIENT_FUNDS",
    "InsufficientCredits",
    "credits.exhausted: credits exhausted",
    "You have run out of credits",
    "Exhausted balance. Top up your balance",
    "Resource pack depleted",
    "Your wallet is empty",
    "You have 0 credits left",
    "no credits left",
    "Too many requests this month",
    "spending limit exceeded",
    "Please recharge your account",
    "Payment required",
    "Недостаточно кредитов",
)

NOT_USED_UP = (
    "Rate limit exceeded",
    "Quota exceeded: 10 requests per minute",
    "You exceeded your current quota of concurrent jobs",
    "Too many concurrent jobs for your plan",
    "The queue is full",
    "Server is busy, please try again",
    "model_id is unknown",
    "This model requires a Pro plan",
    "Your plan does not include this model",
    "no such plan",
    "Maximum image limit of 4 exceeded",
    "samples exceeds the limit of your plan: 4",
    "Image exceeds the limit of 10 MB",
    "white balance must be between 0 and 1",
    "balance must be 0 or more",
    "prompt rejected by moderation",
)

PARAMS: dict[str, dict[str, Any]] = {
    "cyberphotobooth": {"mode": "text", "style": "custom", "params": {"Prompt": "PROMPT", "ratio": "no"}},
    "dreambooth": {"model_id": "m", "prompt": "PROMPT", "safety_checker": "no", "tomesd": "yes"},
    "fal": {"model": "a/b", "input": {"prompt": "PROMPT", "notes": ["PROMPT"]}},
    "nextry": {"tool": "fabric", "note": "PROMPT"},
    "photogpt": {"modelID": "m", "prompt": "PROMPT", "options": {"notes": ["PROMPT"]}},
    "replicate": {"model": "a/b", "input": {"prompt": "PROMPT"}},
    "bfl": {"prompt": "PROMPT", "raw": "no"},
    "comfyui": {"prompt": {"3": {"class_type": "KSampler", "inputs": {"text": "PROMPT"}}}},
    "openai_videos": {"prompt": "PROMPT", "audio": "no"},
}

#: Those that refuse under a good code, too; with any other such an answer is a doubt.
UNDER_200 = ("cyberphotobooth", "dreambooth", "nextry", "photogpt")
#: Those whose 503 is a doubt.
OPEN_503 = ("fal", "replicate")
CODES = [
    (name, status)
    for name in sorted(PARAMS)
    for status in (200, 400, 402, 403, 422, 429, 503)
    if (status != 200 or name in UNDER_200) and (status != 503 or name not in OPEN_503)
]


def refusal(name: str, words: str, *, status: int = 0, prompt: str = "a red fox", **about: Any) -> Refused:
    """What an adapter makes of a refusal with these words, by default under the code that it refuses with."""
    status = status or (200 if name in UNDER_200 else 400)
    params = json.loads(json.dumps(PARAMS[name]).replace("PROMPT", prompt))
    submission = Submission("j", OPERATIONS[name], params)
    word = "NOK" if name == "photogpt" else "error"
    body = json.dumps({"status": word, "message": words, "result": None}).encode()
    account = Account("https://provider.example", "key", credit_words=about.pop("more", ()))
    outcome = find(name).submit_outcome(Answer(status, about.pop("headers", {}), body), submission, account)
    assert isinstance(outcome, Refused)
    return outcome


def test_every_row_finds_its_words() -> None:
    """The table is the vocabulary: what was seen is found, and has its place."""
    for phrase in (*PHRASES, FOR_LONG):
        for words, source in phrase.seen:
            assert source
            assert is_used_up(words), words
            assert is_used_up(words.upper()), words


@pytest.mark.parametrize("words", USED_UP)
def test_used_up_credit_concerns_the_account(words: str) -> None:
    """In any spelling, and it is nothing that passes by itself."""
    assert is_used_up(words)
    assert concerns_account(words)
    assert not is_rate_limit(words)


@pytest.mark.parametrize("words", NOT_USED_UP)
def test_other_refusals_do_not(words: str) -> None:
    """A wrong pause stops every caller of the account."""
    assert not is_used_up(words)
    assert not concerns_account(words)


@pytest.mark.parametrize(("name", "status"), CODES)
def test_every_provider_pauses_its_account(name: str, status: int) -> None:
    """Under whatever code; a flag of the request that reads "no" takes nothing from the words."""
    assert set(PARAMS) == set(installed())
    for words in USED_UP:
        refused = refusal(name, words, status=status)
        assert (refused.whole_account, refused.again) == (True, False), words


@pytest.mark.parametrize("name", sorted(PARAMS))
def test_a_refusal_that_names_a_time_is_tried_again_then(name: str) -> None:
    """A quota that is free again in 20 s is a rate, whatever it is called."""
    refused = refusal(name, "Quota exceeded", status=429, headers={"retry-after": "20"})
    assert (refused.whole_account, refused.again, refused.after_seconds) == (False, True, 20.0)


@pytest.mark.parametrize("name", sorted(PARAMS))
@pytest.mark.parametrize(
    "prompt", ["a sign: not enough credits", "x" * 900 + " the server is busy, not enough credits"]
)
def test_a_quoted_prompt_is_nobody_s_word(name: str, prompt: str) -> None:
    """Not nested ones, not long ones of which the words are cut: no account pauses, no refused job comes back."""
    for status in (0, 400):
        refused = refusal(name, f"rejected: {prompt}"[-300:], status=status, prompt=prompt)
        assert (refused.whole_account, refused.again) == (False, False)
        assert refused.code is FailureCode.REJECTED
    assert refusal(name, f"insufficient funds: {prompt}", prompt=prompt).whole_account


@pytest.mark.parametrize("name", sorted(PARAMS))
def test_the_settings_extend_the_vocabulary(name: str) -> None:
    """A provider's own words, in any spelling; again not where the request has them."""
    own = ("Out of pixie dust",)
    assert not refusal(name, "Error 7: OUT_OF_PIXIE_DUST").whole_account
    for status in (0, 400, 403):
        assert refusal(name, "Error 7: OUT_OF_PIXIE_DUST", status=status, more=own).whole_account
    assert not refusal(name, "no: out of pixie dust", prompt="a mage out of pixie dust", more=own).whole_account


def test_phrases_come_from_the_environment() -> None:
    """For a provider, or for one account of it; a short one would pause the account at any refusal."""
    base = "BIDE_PROVIDERS__PHOTOGPT__"
    settings = {"BIDE_S3__BUCKET": "results", f"{base}API_KEY": "k", f"{base}ACCOUNTS__B__API_KEY": "b"}
    settings |= {
        f"{base}CREDIT_WORDS": '["out of pixie dust", " no, none "]',
        f"{base}ACCOUNTS__B__CREDIT_WORDS": "broke",
    }
    accounts = Accounts(load(settings, env_file=None))
    phrases = {name: accounts.get(AccountName("photogpt", name)).credentials.credit_words for name in ("default", "b")}
    assert phrases == {"default": ("out of pixie dust", "no, none"), "b": ("broke",)}
    with pytest.raises(ConfigurationProblems, match="CREDIT_WORDS"):
        load(settings | {f"{base}CREDIT_WORDS": '["no"]'}, env_file=None)
