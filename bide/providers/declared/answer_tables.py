"""The tables of a provider's file that say how answers are read."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from bide.contract import FailureCause
from bide.providers.declared.request_tables import CallTable, Table
from bide.providers.declared.types import ChargedWord, Codes, OnePath, OnePaths, Path, Paths, Seconds, Text, Words


class CostTable(Table):
    """What a job cost, as an answer says it."""

    at: OnePaths | None = Field(None, description="where the body has the amount")
    header: Text | None = Field(None, description="the header that has the amount")
    unit: Text = Field("credits", description="a currency such as USD, or the provider's own unit")
    factor: Annotated[float, Field(gt=0)] = Field(1.0, description="what the amount is multiplied by")


class RefusedTable(Table):
    """Words under a good code by which a submit is refused."""

    at: OnePath = Field(description="where the word stands")
    words: Words = Field(frozenset(), description="words of a refusal; the reason decides what becomes of it")
    failed: Words = Field(frozenset(), description="words of a job that has failed at once")
    unless: OnePath | None = Field(None, description="where something stands here, it is no refusal")
    with_id: Literal["unknown", "accepted"] = Field(
        "unknown", description="what a refusal is that has a job's id all the same: unknown, or accepted"
    )
    again_after_seconds: Seconds | None = Field(None, description="when to come back from a rate limit [seconds]")


class AcceptedTable(Table):
    """`accepted`: how the answer to the submit is read."""

    status: Codes | None = Field(None, description="the good codes; any 2xx where it is left out")
    id: OnePaths = Field(description="where the job's id stands, the best first")
    estimate_seconds: OnePaths | None = Field(None, description="the provider's estimate of the whole job [seconds]")
    handle: dict[Annotated[str, Field(pattern=r"^[A-Za-z_][\w-]*$")], Path] = Field(
        {}, description='what later calls need besides the id, such as { status = "$.status_url" }'
    )
    state: OnePath | None = Field(None, description="where the answer has the job's state; that of [state] if left out")
    finishes: bool = Field(False, description="whether an answer with an id may hold the result, too")
    refused: RefusedTable | None = Field(None, description="words by which it is refused")
    cost: CostTable | None = Field(None, description="what it costs")


class AskedTable(Table):
    """Words of an envelope: the poll was refused, which says little of the job."""

    at: OnePath = Field(description="where the word stands")
    words: Words = Field(description="words by which the poll is refused")


class CauseTable(Table):
    """Words that say why a job failed."""

    at: OnePaths | None = Field(
        None,
        description="where the word stands, the first that is listed; that of the state if left out",
    )
    moderated: Words = Field(frozenset(), description="the provider's moderation refused it")
    bad_input: Words = Field(frozenset(), description="the request was wrong")
    capacity: Words = Field(frozenset(), description="the provider had no room")
    provider: Words = Field(frozenset(), description="the provider broke")
    expired: Words = Field(frozenset(), description="it came too late")

    def cause(self, word: str) -> FailureCause | None:
        """The cause that a word, in small letters, is listed under."""
        return next((cause for cause in FailureCause if word in getattr(self, cause.name.lower())), None)


class StateTable(Table):
    """`state`: how the answer to a poll is read. Words that most providers use are known; these come first."""

    at: OnePath = Field(description="where the job's state stands")
    running: Words = Field(frozenset(), description="words of a job at work; every unknown word is one, too")
    done: Words = Field(frozenset(), description="words of a job that has its result, even where that is empty")
    failed: Words = Field(frozenset(), description="words of a job that has failed")
    gone: Words = Field(frozenset(), description="words for a job that the provider does not know")
    by_reason: Words = Field(
        frozenset(), description="words that may be about the asking, the account or the job: the reason tells"
    )
    gone_status: Codes = Field([404], description="codes for a job that the provider does not know")
    gone_unless: OnePath | None = Field(None, description="where a text stands here, the body is read all the same")
    codes: Codes = Field([], description="codes besides 2xx under which the body speaks of the job, such as 400")
    refused: AskedTable | None = Field(None, description="words by which the poll itself is refused")
    inside: OnePath | None = Field(None, description="where an object must stand for the answer to be one")
    reason: OnePaths | None = Field(None, description="where the reason of a failure stands; `errors` if left out")
    left_over: Paths | None = Field(None, description="ids of what a failed job made all the same, for people")
    cause: CauseTable | None = Field(None, description="words that say why it failed")
    charged: ChargedWord | None = Field(None, description="whether a failed job costs: yes, no")
    fraction: OnePath | None = Field(None, description="how much is done, from 0 to 1")
    percent: OnePath | None = Field(None, description="how much is done, from 0 to 100")
    position: OnePath | None = Field(None, description="how many jobs stand before it")
    left_seconds: OnePaths | None = Field(None, description="the estimate of the rest [seconds]")
    message: Path | None = Field(None, description="the provider's last message about the work")
    ask_again_seconds: OnePath | None = Field(None, description="when to ask again, at the earliest [seconds]")
    cost: CostTable | None = Field(None, description="what it costs")


class MediaTable(Table):
    """A place of outputs: an address or base64, a list of them, or of records with `url`."""

    at: Path = Field(description="where they stand")
    role: Text = Field("image", description="what they are called in the result: image, video, audio, preview ...")
    by_suffix: bool = Field(False, description="whether an address that ends as a video's does has the role video")
    addresses: bool = Field(False, description="whether they are addresses of files and nothing else")


def _media(value: object) -> object:
    """A path alone is a place of pictures."""
    return [
        {"at": entry} if isinstance(entry, str) else entry for entry in (value if isinstance(value, list) else [value])
    ]


Media = Annotated[list[MediaTable], BeforeValidator(_media)]


class FailedTable(Table):
    """A result's request that answers with the job's failure."""

    status: Codes = Field(min_length=1, description="the codes of a failed job, such as 422")
    reason: OnePaths | None = Field(None, description="where the reason stands; `errors` if left out")
    moderated: Path | None = Field(None, description="where something stands here, the moderation refused it")
    charged: ChargedWord | None = Field(None, description="whether it costs all the same")


class ResultTable(CallTable):
    """`result`: where the outputs stand. With `path` or `url` another request has them, which is made at once."""

    media: Media = Field([], description="the places of the outputs; a path alone is one")
    otherwise: Media = Field([], description="likewise, tried in turn where `media` has nothing")
    copies: OnePaths | None = Field(None, description="lists with further addresses of the outputs, in their order")
    partial: Path | None = Field(None, description="what the provider says of outputs that are missing")
    failed: FailedTable | None = Field(None, description="how its request answers for a failed job")
    cost: CostTable | None = Field(None, description="what it cost")
