"""What of a provider's words may be logged: the reason, and not the prompt that it quotes."""

from __future__ import annotations

from typing import Any

import pytest

from workers.quotes import SAID_CHARACTERS, without_quotes

PROMPT = "A portrait of Jane Roe, in oil"


@pytest.mark.parametrize(
    ("said", "shown"),
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
def test_words_end_where_they_begin_to_quote(said: str, shown: str) -> None:
    """In whatever case, whole or cut off; names and sizes are no quotations, and queries of addresses are left out."""
    assert without_quotes(said, {"prompt": PROMPT, "modelID": "m1", "size": "512x512"}) == shown


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
    assert without_quotes("no fox in snow please, fox-fox-fox-fox", params) in ("no …", "no fox in snow please, …")


def test_long_words_are_cut() -> None:
    """A provider's page of HTML is no reason."""
    assert len(without_quotes("x" * 5000, {})) == SAID_CHARACTERS


def test_odd_params_are_no_trouble() -> None:
    """Params are whatever the caller sent: none of it may break a step."""
    odd: dict[str, Any] = {"prompt": " ", "n": 1, "deep": [None, {"prompt": ""}, 1.5, True]}
    assert without_quotes("as it is", odd) == "as it is"
