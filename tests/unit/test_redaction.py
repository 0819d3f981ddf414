"""Redaction of a provider's text: the reason may be logged, the quoted prompt may not."""

from __future__ import annotations

import time
from typing import Any

import pytest

from workers.telemetry.redaction import MAX_CHARACTERS, redact

PROMPT = "A portrait of Jane Roe, in oil"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("HTTP 400: bad prompt: A portrait of Jane Roe, in oil", "HTTP 400: bad prompt: …"),
        ("rejected 'a PORTRAIT of jane roe, in oil' as unsafe", "rejected '…"),
        ("rejected: A portr", "rejected: …"),
        ("the model m1 is busy", "the model m1 is busy"),
        ("size 512x512 is not among 256x256", "size 512x512 is not among 256x256"),
        (
            "see https://api.example.com/v1/jobs/7?key=abc&x=1 for more",
            "see https://api.example.com/v1/jobs/7?… for more",
        ),
        ("", ""),
    ],
)
def test_a_text_ends_where_it_begins_to_quote(text: str, shown: str) -> None:
    """In whatever case, whole or cut off; names and sizes are no quotations, and queries of addresses are left out."""
    assert redact(text, {"prompt": PROMPT, "modelID": "m1", "size": "512x512"}) == shown


@pytest.mark.parametrize(
    "params",
    [
        {"params": {"Prompt": "fox"}},
        {"negative_prompt": "fox"},
        {"texts": ["fox in snow"]},
        {"caption": "fox-fox-fox-fox-fox-fox-fox"},
    ],
)
def test_prompts_are_found_wherever_they_stand(params: Any) -> None:
    """By name, at any depth, and anything long or in several words."""
    assert redact("no fox in snow please, fox-fox-fox-fox", params) in ("no …", "no fox in snow please, …")


SECRETIVE = 'élégante "Jane Doe", it\'s\n\tin the Königstraße 🦊'


@pytest.mark.parametrize(
    "text",
    [
        '{"prompt":"\\u00e9l\\u00e9gante Jane Doe"}',
        '{"prompt":"\\\\u00e9l\\\\u00e9gante \\\\"Jane Doe',
        "bad: e\u0301le\u0301gante &quot;Jane Doe&quot;",
        "bad: Doe&quot;, it&amp;#39;s",
        "rejected words: Jane Doe",
        "rejected words: JANE\u00a0\r\n DOE",
        "rejected words: Jane%20Doe",
        "rejected words: jane+doe",
        "Maßstäbe ßßß: JANE DOE",
        "near the KÖNIGSTRASSE",
        "near K\\u00d6nigstra\\u00dfe \\ud83e\\udd8a",
        "rejected: jane do",
        "rejected: Jane Doe " + "x" * 5000,
    ],
)
def test_quotations_are_found_however_they_are_written(text: str) -> None:
    """Escaped for JSON or HTML, otherwise spaced or cased, from the middle, behind letters that casing lengthens."""
    shown = redact(text, {"prompt": SECRETIVE})
    assert shown.endswith("…")
    for word in ("jane", "gante", "doe", "nigs", "🦊"):
        assert word not in shown.casefold()


@pytest.mark.parametrize("text", ["拒否: 赤い傘の", "no: 傘の下", "no: \\u8d64\\u3044\\u5098"])
def test_scripts_without_spaces_are_found(text: str) -> None:
    """From the middle as well."""
    assert "傘" not in redact(text, {"text": "赤い傘の下の猫"})


@pytest.mark.parametrize(
    "text",
    [
        "HTTP 400: samples must be in the range of 1 to 4",
        "the key is not valid for this model",
        "HTTP 402: no credit is left: is it paid?",
        "Jane is no size",
    ],
)
def test_words_that_all_sentences_have_are_no_quotations(text: str) -> None:
    """Nor is a single short word: what is wrong stays readable."""
    params = {"prompt": "it is not in the range of a Jane, for this and that, to be, a must"}
    assert redact(text.replace("in the range of", "in the limits of"), params).count("…") == 0


@pytest.mark.parametrize(
    "address",
    [
        "https://h.example/a?key=sesame",
        "HTTP://h/a?sesame",
        "//h.example/a?key=sesame",
        "h.example/a?x=1&amp;key=sesame",
        "/v1/a?key=sesame",
        "https:\\/\\/h\\/a?key=sesame",
        "https%3A%2F%2Fh%2Fa%3Fkey%3Dsesame",
        '\\"https://h/a\\u003fkey=sesame\\"',
    ],
)
def test_addresses_lose_their_queries(address: str) -> None:
    """With a scheme or without, and however escaped."""
    shown = redact(f"can't fetch {address} now", {})
    assert "sesame" not in shown
    assert shown.endswith(" now")


def test_nothing_moves_a_terminal() -> None:
    """What was escaped is one line afterwards, without control characters, and can be written as UTF-8."""
    shown = redact("a\\u001b[2J\\nb\x07\\ud800", {})
    assert shown.replace("\ufffd", "").isprintable()
    assert shown.encode()


def test_large_requests_cost_little() -> None:
    """Only the beginning of a text is compared: a picture among the params is not walked through."""
    params = {"image": "QUJD" * 2_000_000, "prompt": "word " * 200_000}
    began = time.perf_counter()
    assert redact("bad word word", params) == "bad …"
    assert time.perf_counter() - began < 1.0


def test_long_words_are_cut() -> None:
    """A provider's page of HTML is no reason."""
    assert len(redact("x" * 5000, {})) == MAX_CHARACTERS


def test_odd_params_are_no_trouble() -> None:
    """Params are whatever the caller sent: none of it may break a step."""
    odd: dict[str, Any] = {"prompt": " ", "n": 1, "deep": [None, {"prompt": ""}, 1.5, True]}
    assert redact("as it is", odd) == "as it is"
