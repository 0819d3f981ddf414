"""The words by which providers say that an account's credit is used up, each with the place where they were read.

A refusal in such words would meet every other submit of the account, so it pauses the account.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import NamedTuple

#: What an account has of a provider's: the nouns of all rows.
_CREDIT = (
    r"(credits?|(?<!white )(?<!color )(?<!colour )balance|quotas?|funds?|wallet|allowance|kudos|coins|buzz|money|"
    r"budget|api (tokens|calls)|resource packs?|prepayments?|generations (left|remaining))"
)
_PLAN = r"(subscription|plan|trial|membership|licen[cs]e|package|free tier|free period)"
_LONG = r"(daily|weekly|monthly|yearly|annual)"
_LIMIT = r"(limits?|caps?|quotas?|allowances?)"
_GONE = (
    r"(exceeded|exhausted|insufficient|used up|too low|reached|hit|depleted|consumed|empty|negative|expired|finished|"
    r"not enough|not sufficient|(ran|run|running) out|is over)"
)
_ENDED = r"(expired|ended|lapsed|is over|inactive|not active|suspended|past due|unpaid|overdue|cancell?ed)"


def _some(most: int) -> str:
    """Up to so many words between two others."""
    return rf"(?: [\w'$.,]+){{0,{most}}}?"


class Phrase(NamedTuple):
    """One way to say it: `pattern` finds it in words as `spelled` gives them, `seen` are words and where they stand."""

    pattern: str
    seen: tuple[tuple[str, str], ...]


PHRASES = (
    Phrase(
        rf"\b(insufficient|not enough|not sufficient|no|no more|lack of|requires more){_some(2)} {_CREDIT}\b",
        (
            ("Insufficient credits. Please top up.", "https://github.com/Tongyi-MAI/Z-Image/issues/44"),
            ("Not enough credits", "https://enrichlayer.com/docs/knowledge-base/billing/not-enough-credits-error"),
            ("This request requires more credits", "https://github.com/anomalyco/opencode/issues/12219"),
        ),
    ),
    Phrase(
        rf"(n't|\bnot|\bdont|\bdoesnt){_some(1)} have{_some(4)} {_CREDIT}\b",
        (
            ("You do not have enough credits to run this task.", "https://github.com/runwayml/sdk-node/issues/28"),
            ("Your organization does not have enough balance", "https://github.com/gladiaio/gladia/issues/865"),
            ("you don't have enough credits", "https://github.com/Comfy-Org/ComfyUI/issues/8142"),
        ),
    ),
    Phrase(
        rf"\b(exceed(ed|s|ing)?|reached|exhausted|depleted|hit|out of|used (up|all)|spent all){_some(4)} {_CREDIT}\b",
        (
            (
                "You exceeded your current quota, please check your plan and billing details",
                "https://docs.wandb.ai/support/inference/articles/api-error-code-402-you-exceeded-your-cur",
            ),
            ("You have used all your credits for this month.", "https://github.com/xtekky/gpt4free/issues/3020"),
            ("You've run out of usage credits", "https://github.com/anthropics/claude-code/issues/67412"),
        ),
    ),
    Phrase(
        rf"\b{_CREDIT}{_some(4)} {_GONE}\b",
        (
            ("Your prepayment credits are depleted.", "https://discuss.ai.google.dev/t/183654"),
            ("Your credit balance is too low", "https://github.com/anthropics/anthropic-sdk-typescript/issues/618"),
            ("Quota exceeded.", "https://github.com/openai/codex/discussions/16414"),
            (
                "The free quota has been used up.",
                "https://support.huaweicloud.com/intl/en-us/usermanual-maas-modelarts/maas-modelarts-0080.html",
            ),
        ),
    ),
    Phrase(
        rf"\b(have|has|only) (0|zero) (\w+ )?{_CREDIT}\b|\b{_CREDIT}:?( is| are)? (0|zero)\b",
        (("You have 0 credits", "the usual words where a count is given"),),
    ),
    Phrase(
        rf"\b(billing|spend|spending|usage|{_PLAN}){_some(2)} {_LIMIT}{_some(3)} (exceeded|reached|hit)\b",
        (("Billing hard limit has been reached", "https://github.com/photopea/photopea/issues/5128"),),
    ),
    Phrase(
        rf"\b(exceeded|reached|hit){_some(4)} (billing|spend|spending|usage|{_PLAN}){_some(1)} {_LIMIT}\b|"
        rf"\b(exceeded|reached|hit){_some(1)} {_LIMIT} (of|for|on){_some(2)} {_PLAN}\b|"
        rf"\b{_LIMIT} (of|for|on){_some(2)} {_PLAN}{_some(2)} (exceeded|reached|hit)\b",
        (
            (
                "You have reached your specified API usage limits.",
                "https://github.com/continuedev/continue/issues/11676",
            ),
            ("You've reached the limit of your current plan", "https://github.com/eigent-ai/eigent/issues/1249"),
        ),
    ),
    Phrase(
        rf"\b{_PLAN}{_some(4)} {_ENDED}|"
        rf"\b(expired|inactive|lapsed|unpaid|no active|no valid|not{_some(2)} (active|valid)){_some(1)} {_PLAN}\b",
        (
            ("Your subscription has expired.", "the usual words; plans of dreambooth run for a month"),
            ("No active subscription", "the usual words"),
        ),
    ),
    Phrase(
        rf"\b(add|buy|purchase|recharge|refill|replenish|top up|renew){_some(3)} ({_CREDIT}|{_PLAN}|account)\b",
        (
            ("Top up your balance", "https://github.com/Gitlawb/openclaude/issues/1491"),
            (
                "Please go to Plans & Billing to purchase credits.",
                "https://github.com/anthropics/claude-code/issues/4207",
            ),
        ),
    ),
    Phrase(
        r"\bpayment( is)? required\b|\bcheck your plan and billing\b|\b(unpaid|outstanding|overdue) (invoice|payment)|"
        r"\b(in arrears|account arrears|payment( is)? overdue|account( is)? overdue|non payment)\b",
        (
            ("Account overdue", "https://docs.zenmux.ai/guide/advanced/error-codes.html"),
            (
                "Account arrears",
                "https://help.aliyun.com/en/ocr/developer-reference/api-documentautoml-2022-12-29-errorcodes",
            ),
        ),
    ),
    Phrase(  # the usual words: no refusal by CyberPhotoBooth or Nextry, both Russian, was recorded
        r"\b(недостаточно|не ?хватает) (средств|кредитов|баланса|генераций|денег)|"
        r"\b(баланс|кредиты|лимит|генерации|квота|средства)( [\w]+){0,2} (исчерпан|закончил|израсходован)|"
        r"\bподписка( [\w]+){0,2} (истекла|закончилась|неактивна|не активна)|\bпополните (баланс|сч[её]т)",  # noqa: RUF001 - Russian
        (
            (
                "Недостаточно средств",
                "the usual words of Russian services, as CyberPhotoBooth and Nextry are",
            ),
        ),
    ),
    Phrase(
        "余额不足|额度不足|配额不足|积分不足|欠费",
        (("余额不足", "the usual words; https://stablediffusionapi.apifox.cn mirrors dreambooth's pages in Chinese"),),
    ),
)

#: Used up for a day or longer, whatever else the words say of a rate.
FOR_LONG = Phrase(
    rf"\b{_LONG}{_some(3)} {_LIMIT}\b|\b{_LIMIT} (for|of) (the|this) (day|week|month|year)\b|"
    r"\btoo many \w+ (this|per) (day|week|month|year)\b",
    (
        ("Monthly limit exceeded", "answers of dreambooth; tests/contract/samples/dreambooth has one"),
        ("You have exceeded your daily quota", "the usual words"),
    ),
)

#: A limit on how fast or how many at once: it passes by itself.
_PACE = re.compile(
    r"\bper (second|minute|hour)\b|/ ?(s|sec|min|minute|hour)\b|\brate limit|\bconcurren|\bsimultaneous|"
    r"\bin parallel\b|\bat (once|a time|the same time)\b|\bqueued?\b|\bretry in \d"
)

_USED_UP = re.compile("|".join(f"(?:{phrase.pattern})" for phrase in PHRASES))
_USED_UP_FOR_LONG = re.compile(FOR_LONG.pattern)

_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_GAPS = re.compile(r"[\s_-]+")


def spelled(text: str) -> str:
    """`text` in one spelling: small letters, single blanks, also where it is a code such as `insufficient_quota`."""
    return _GAPS.sub(" ", _CAMEL.sub(" ", text.replace("\u2019", "'"))).lower()


def own_words(pattern: re.Pattern[str], text: str, quoted: Collection[str] = ()) -> bool:
    """Whether the provider's own words match: what it quotes of a request's texts (`quoted`) does not count."""
    matches = {match[0] for match in pattern.finditer(spelled(text))}
    request = [spelled(each) for each in quoted] if matches else []
    return any(not any(match in each for each in request) for match in matches)


def is_used_up(text: str, *, more: Collection[str] = (), quoted: Collection[str] = ()) -> bool:
    """Whether the words say that the account's credit is used up. `more`: phrases from the settings."""
    if own_words(_USED_UP_FOR_LONG, text, quoted) or own_words(_phrases(more), text, quoted):
        return True
    return own_words(_USED_UP, text, quoted) and not own_words(_PACE, text, quoted)


def _phrases(more: Collection[str]) -> re.Pattern[str]:
    """Finds any of the phrases; nothing where there are none."""
    return re.compile("|".join(re.escape(spelled(phrase).strip()) for phrase in more) or r"(?!)")
