"""One poll of one job: its calls, and the adapter's reading of their answers."""

from __future__ import annotations

import structlog

from bide.errors import AccountRefusedError, BideError, ForeignAddressError, PollFailedError
from bide.ledger import Claimed
from bide.providers.base import Account, Provider
from tasks.steps.decision import PollAnswer
from workers.io.destination import confined
from workers.toolbox import Toolbox

log = structlog.get_logger()


async def ask(tools: Toolbox, adapter: Provider, account: Account | None, job: Claimed) -> tuple[Claimed, PollAnswer]:
    """One poll. Never raises: a poll that fails is not a job that fails."""
    if account is None:
        return job, PollFailedError("this process has no usable settings for the account")
    ticket, account = job.ticket, account.at(job.bought_with.base_url)
    try:
        call = confined(adapter.poll_call(ticket, account), adapter, account)
        answer = await tools.http.call(call, buys=False)
        return job, adapter.poll_outcome(answer, ticket, account)
    except (PollFailedError, AccountRefusedError, ForeignAddressError) as error:
        return job, error
    except Exception as error:
        log.exception("poll.broke", job_id=job.job_id, account=str(account))
        return job, PollFailedError(str(error) if isinstance(error, BideError) else type(error).__name__)
