"""The words by which providers say that their moderation refused what was asked for, or what came of it.

A job that failed so fails again: it is never retried, and is bought again only where a person names the code.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from bide.providers.credit import Phrase, own_words

_THING = r"(content|material|prompt|image|picture|video|input|output|request|text|words?)s?"

PHRASES = (
    Phrase(
        r"\bnsfw\b|\bnot safe for work\b",
        (("nsfw_content_detected, NSFW", "answers of dreambooth, https://docs.modelslab.com"),),
    ),
    Phrase(
        r"\b(content|usage|acceptable use|community|safety|moderation) (policy|policies|guidelines|rules)\b",
        (
            ("content policy", "answers of photogpt; tests/contract/samples/photogpt has one"),
            ("content_policy_violation", "error types of fal, https://docs.fal.ai"),
        ),
    ),
    Phrase(
        rf"\b{_THING} (was |were |is |are |has been |have been )?(moderated|flagged)\b|\bflagged (as|by|for)\b",
        (("Content Moderated, Request Moderated", "states of BFL, https://docs.bfl.ai"),),
    ),
    Phrase(
        r"\b(rejected|blocked|refused|denied|stopped|filtered)( [\w']+){0,2} (moderation|safety)\b|"
        r"\bmoderation (has |was )?(blocked|rejected|refused|flagged|failed|violation)\b|"
        r"\b(content|safety) (filter(s|ed)?|checker|system)\b",
        (
            ("Your request was rejected by our safety system", "https://github.com/openai/openai-node/issues/1405"),
            ("CONTENT_FILTERED", "finish reasons of Stability, https://platform.stability.ai"),
        ),
    ),
    Phrase(
        rf"\b(inappropriate|prohibited|sensitive|disallowed|forbidden|explicit|sexual|offensive|harmful) {_THING}\b",
        (("sensitive content, flagged", "the usual words in the one error text of Replicate's models"),),
    ),
)

_MODERATED = re.compile("|".join(f"(?:{phrase.pattern})" for phrase in PHRASES))


def is_moderated(text: str, *, quoted: Collection[str] = ()) -> bool:
    """Whether the words are those of a moderation; what they quote of a request's texts (`quoted`) does not count."""
    return own_words(_MODERATED, text, quoted)
