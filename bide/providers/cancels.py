"""What a provider can say that has a call which stops a job; most have none."""

from __future__ import annotations

from abc import ABC, abstractmethod
from http import HTTPStatus

from bide.errors import UnreadableAnswerError
from bide.providers.exchange import Account, Answer, Call, Ticket
from bide.providers.outcomes import Canceled


class Cancels(ABC):
    """Inherit it beside `Provider`: canceled and overdue jobs are then canceled at the provider, too."""

    @abstractmethod
    def cancel_call(self, ticket: Ticket, account: Account) -> Call | None:
        """The request that stops a job, which may be sent twice; None for a job that the provider can't stop."""

    @abstractmethod
    def read_cancel(self, answer: Answer, ticket: Ticket, account: Account) -> Canceled:
        """What the answer to a cancel says, whatever its code but 429 and 5xx.

        Raises `UnreadableAnswerError` where it does not say.
        """

    def cancel_outcome(self, answer: Answer, ticket: Ticket, account: Account) -> Canceled:
        """What the provider made of a cancel: nothing is known where it is too busy, or its answer can't be read."""
        if answer.status == HTTPStatus.TOO_MANY_REQUESTS or answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return Canceled.UNKNOWN
        try:
            return self.read_cancel(answer, ticket, account)
        except UnreadableAnswerError:
            return Canceled.UNKNOWN
