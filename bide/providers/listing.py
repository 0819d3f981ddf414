"""Which jobs on a provider's list of recent jobs a doubtful submit may have become."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar

from bide.describe import prompt_of
from bide.errors import InvalidRequestError, UnreadableAnswerError
from bide.providers.exchange import Account, Answer, Call
from bide.providers.outcomes import Listed, Listing


@dataclass(frozen=True)
class Asked:
    """What a submit asked for, and between which moments the provider may have taken it, clock skew included."""

    operation: str
    params: Mapping[str, Any] = field(repr=False)
    #: Names of its input pictures, which an adapter may have put among the params.
    input_names: frozenset[str]
    begins: datetime
    ends: datetime

    def in_time(self, listed: Listed) -> bool:
        """Whether a listed job may have been made by the submit; also one of which the list does not say when."""
        return listed.created_at is None or self.begins <= listed.created_at <= self.ends


class ListsJobs:
    """What an adapter says of its provider's list of recent jobs; each that has none leaves it as it is."""

    name: ClassVar[str]
    #: Operations whose recent jobs the provider can list: unconfirmed submits are looked for there.
    listed_operations: ClassVar[frozenset[str]] = frozenset()
    #: Other operations whose jobs may stand on that list, too, and not under the ids that their submits give.
    listed_nameless: ClassVar[frozenset[str]] = frozenset()
    #: How long after a submit its job may be missing from that list, as documented or safely assumed [seconds].
    lists_after_seconds: ClassVar[float] = 60.0
    #: For how long a submit is looked for on that list, from then on [seconds].
    looked_for_seconds: ClassVar[float] = 600.0

    def list_call(self, since: datetime, until: datetime, account: Account, *, page: str = "") -> Call:
        """The request for a page of the jobs bought between two moments, of any of `listed_operations`."""
        raise InvalidRequestError(f"{self.name} can't list jobs")

    def read_list(self, answer: Answer) -> Listing:
        """A page of jobs, perhaps of other times too; raises `UnreadableAnswerError`."""
        raise UnreadableAnswerError(f"{self.name} lists no jobs")

    def may_be(self, listed: Listed, asked: Asked) -> bool:
        """Whether nothing that the list says of a job contradicts a request; override where its terms are others."""
        return agrees(listed, asked)


def agrees(listed: Listed, asked: Asked) -> bool:
    """Whether nothing that the list says of a job contradicts a request: its operation, prompt and params."""
    if listed.operation and listed.operation != asked.operation:
        return False
    if listed.prompt and _words(listed.prompt) != prompt_of(asked.params):
        return False
    return all(is_alike(value, asked.params.get(name)) for name, value in listed.params.items() if value is not None)


def is_alike(listed: Any, asked: Any) -> bool:
    """Whether a listed value may be the one that was asked for; a form has numbers and switches as texts."""
    return listed == asked or (
        not isinstance(listed, dict | list) and not isinstance(asked, dict | list) and _text(listed) == _text(asked)
    )


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else _words(str(value))


def _words(text: str) -> str:
    return " ".join(text.split())
