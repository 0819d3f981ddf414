"""All receipts of one job: its stories, and the submit by which it was bought, or may have been."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from bide.contract import JobResult
from bide.receipts import Accepted, Attempt, Ended, Intent, NotAccepted, Receipt

Key = tuple[str, str, int]


def key_of(attempt: Attempt) -> Key:
    """What names one submit of a job."""
    return attempt.ledger, attempt.account, attempt.attempt


def intended(intent: Intent) -> float:
    """When a submit was begun, by the clock of its ledger [seconds since the epoch]."""
    return float(intent.record.get("intended") or intent.at)


def fallback(intent: Intent) -> int:
    """The fallback at which a submit was made, 0 for the request's own account."""
    return int(intent.record.get("fallback") or 0)


@dataclass(frozen=True)
class Story:
    """What receipts say of one record: a job that is sent anew to an empty ledger has another record, and story."""

    #: The intent of its last submit, and of the submit by which it was bought, or may have been.
    newest: Intent
    intent: Intent
    #: How the provider accepted that, or an earlier submit at the same account; None where it surely did not, or that
    #: is not known.
    accepted: Accepted | None
    in_doubt: bool

    @property
    def created(self) -> str:
        """When its record was created, as that says it: what names the story."""
        return self.newest.record["created"]

    @property
    def bought(self) -> bool:
        """Whether a submit of it was accepted, or may have been."""
        return self.accepted is not None or self.in_doubt


@dataclass(frozen=True)
class Left:
    """An account that had accepted the job, and that it left, since nothing came of it."""

    intent: Intent
    provider_job_id: str
    code: str
    #: Whether the account has charged for it, or may have; and what, as a record has it, '' where it does not say.
    charged: bool
    cost: str
    #: When the job left it [seconds since the epoch].
    at: float


@dataclass
class Receipted:
    """All receipts of one job."""

    intents: list[Intent] = field(default_factory=list)
    acceptances: list[Accepted] = field(default_factory=list)
    not_accepted: dict[Key, NotAccepted] = field(default_factory=dict)
    ends: list[Ended] = field(default_factory=list)

    def add(self, receipt: Receipt) -> None:
        """Take one in, in any order."""
        match receipt:
            case Intent():
                self.intents.append(receipt)
            case Accepted():
                self.acceptances.append(receipt)
            case NotAccepted():
                self.not_accepted[key_of(receipt)] = receipt
            case Ended():
                self.ends.append(receipt)

    @property
    def accepted(self) -> dict[Key, Accepted]:
        """The latest acceptance of each submit."""
        return {key_of(each): each for each in sorted(self.acceptances, key=lambda each: each.at)}

    @property
    def story(self) -> Story:
        """The story that goes on: one that is not over, then what was surely bought, what is in doubt, the latest."""
        return max(
            self._stories(),
            key=lambda story: (
                story.bought and self._end_of(story) is None,
                story.accepted is not None,
                story.in_doubt,
                intended(story.newest),
            ),
        )

    @property
    def ended(self) -> Ended | None:
        """How the story that goes on has ended, as its caller knows it; None where nothing says so."""
        return self._end_of(self.story)

    def is_of_another(self, result: JobResult) -> bool:
        """Whether a stored result is that of another story than this one: their objects may have one key."""
        story, others = self.story, [each for each in self._stories() if each.created != self.story.created]
        made_by = [self._intent_of(each) for each in self.acceptances if each.provider_job_id == result.provider_job_id]
        stories = {intent.record["created"] for intent in made_by if intent is not None}
        if stories:
            return story.created not in stories
        return bool(others) and result.finished_at.timestamp() < float(story.created)

    def further(self) -> Iterator[Accepted]:
        """Purchases of the job besides the one by which it goes on, but for those whose end is known."""
        story = self.story
        over = {each.created for each in self._stories() if self._end_of(each) is not None}
        failed = _ids_tried(story.newest) | ({story.accepted.provider_job_id} if story.accepted else set())
        for each in sorted(self.acceptances, key=lambda each: each.at):
            intent = self._intent_of(each)
            of_another = intent is not None and intent.record["created"] != story.created
            if each.provider_job_id in failed or (of_another and intent and intent.record["created"] in over):
                continue
            yield each

    def further_doubts(self) -> Iterator[Intent]:
        """The last submits of other stories that may have been accepted: nothing says so, nor how these have ended."""
        going_on = self.story.created
        for each in self._stories():
            if each.created != going_on and each.in_doubt and self._end_of(each) is None:
                yield each.newest

    def left(self) -> Iterator[Left]:
        """The accounts that the story that goes on has left, of those that had accepted the job."""
        newest = self.story.newest
        for each in _tried(newest):
            name = f"{each['provider']}/{each['account']}"
            there = [one for one in self.intents if one.account == name and _created(one) == _created(newest)]
            if "provider_job_id" not in each or not there:
                continue
            last = max(there, key=lambda one: (intended(one), one.at))
            charged, cost = bool(each.get("charged")), each.get("cost") or ""
            yield Left(last, each["provider_job_id"], each["code"], charged, cost, float(each["at"]))

    def _stories(self) -> list[Story]:
        return [self._story(each) for each in sorted({intent.record["created"] for intent in self.intents})]

    def _end_of(self, story: Story) -> Ended | None:
        ends = [each for each in self.ends if each.created in ("", story.created) and each.at >= story.newest.at]
        return max(ends, key=lambda each: each.at, default=None)

    def _story(self, created: str) -> Story:
        intents = [each for each in self.intents if each.record["created"] == created]
        newest = max(intents, key=lambda each: (fallback(each), intended(each), each.at))
        accepted = [each for each in self.acceptances if self._intent_of(each) in intents]
        here = [each for each in accepted if each.account == newest.account]
        own = self.accepted.get(key_of(newest))
        if own not in here:
            own = max(here, key=lambda each: each.at, default=None)
        doubtful = any(newest.record.get(name) for name in ("again", "resubmitted", "doubted"))
        in_doubt = own is None and (doubtful or key_of(newest) not in self.not_accepted)
        intent = newest
        if own is None and not in_doubt and accepted:  # at an account that it had left
            own = max(accepted, key=lambda each: each.at)
            intent = self._intent_of(own) or newest
        return Story(newest, intent, own, in_doubt)

    def _intent_of(self, accepted: Accepted) -> Intent | None:
        """The intent of the submit that was accepted; one of another submit at that account where it is missing."""
        there = [each for each in self.intents if each.account == accepted.account]
        named = [each for each in there if key_of(each) == key_of(accepted)] or there
        before = [each for each in named if each.at <= accepted.at] or named
        return max(before, key=lambda each: each.at, default=None)


def by_job(receipts: Iterable[Receipt]) -> dict[str, Receipted]:
    """The receipts of each job, also of one without an intent."""
    jobs: dict[str, Receipted] = {}
    for receipt in receipts:
        jobs.setdefault(receipt.job_id, Receipted()).add(receipt)
    return jobs


def _ids_tried(intent: Intent) -> set[str]:
    """The ids of purchases that the job had left behind by then, since nothing came of them."""
    return {str(each.get("provider_job_id")) for each in _tried(intent)}


def _tried(intent: Intent) -> list[dict[str, Any]]:
    """The accounts that the job had left by then, as `include/fallback.lua` writes them."""
    tried: list[dict[str, Any]] = json.loads(intent.record.get("tried") or "[]")
    return tried


def _created(intent: Intent) -> str:
    return intent.record["created"]
