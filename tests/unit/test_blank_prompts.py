"""A prompt that shows nothing is refused before anything is bought, with every provider."""

from __future__ import annotations

from typing import Any

import pytest

from bide.errors import InvalidRequestError
from bide.providers import find

IMAGES = {"modelID": "m1", "prompt": "a fox"}
VIDEOS = {"modelID": "m1", "prompt": "a fox runs"}
TEXT = {"model_id": "m", "prompt": "a fox"}
BOOTH = {"mode": "m", "style": "s"}

BLANKS = [
    " ",
    "  \t\r\n ",
    "\u00a0",
    "\u2003\u3000",
    "\u200b\u200b",
    "\u200d\ufeff\u2060",
    "\u2800",
    "\u3164\uffa0\u115f",
    "\u202e \u202c",
    "\u0301\ufe0f",
    "\x00\x1f\x7f",
    "\u00ad",
    "\U000e0001\U000e0020",
]


@pytest.mark.parametrize("blank", BLANKS, ids=ascii)
@pytest.mark.parametrize(
    ("provider", "operation", "params", "place"),
    [
        ("photogpt", "images.generation", {"modelID": "m1"}, "prompt"),
        ("photogpt", "images.generation", {"modelID": "m1", "preset": "editorial"}, "prompt"),
        ("photogpt", "videos.generation", {"modelID": "m1"}, "prompt"),
        ("dreambooth", "text2img", {"model_id": "m"}, "prompt"),
        ("dreambooth", "img2img", {"model_id": "m", "init_image": "https://a.example/a.png"}, "prompt"),
        ("nextry", "generate_image", {"tool": "fabric"}, "prompt"),
        ("cyberphotobooth", "generate", {"mode": "edit2_text", "style": "custom"}, "params.Prompt"),
        ("cyberphotobooth", "generate", {"mode": "edit2_text", "style": "custom"}, "params.prompt"),
    ],
)
def test_a_prompt_that_shows_nothing_is_refused(
    provider: str, operation: str, params: dict[str, Any], place: str, blank: str
) -> None:
    """By every provider, before it is bought; with a letter among the blanks it passes."""

    def with_prompt(text: str) -> dict[str, Any]:
        return (
            {**params, "params": {"Sex": "man", place.removeprefix("params."): text}}
            if "." in place
            else {**params, place: text}
        )

    check = find(provider).check
    with pytest.raises(InvalidRequestError, match=rf"params\.{place}: holds nothing but blanks"):
        check(operation, with_prompt(blank), set())
    check(operation, with_prompt(f"{blank}a{blank}"), set())


@pytest.mark.parametrize("prompt", ["a", "狐", "🦊", "👨\u200d👩\u200d👧", "!", "…", "e\u0301", "\U0001faea", "\ue000"])
def test_a_prompt_that_shows_something_passes(prompt: str) -> None:
    """Of one character of any script, an emoji, a mark with its letter, or one that Unicode has added since."""
    find("photogpt").check("images.generation", {"modelID": "m1", "prompt": prompt}, set())
