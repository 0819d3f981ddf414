"""A polling round of one provider account: it asks about every job that is due, all at once."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import partial

import structlog

from bide.crashpoints import reached
from bide.errors import AccountRefusedError, InvalidRequestError, LedgerAwayError
from bide.ledger import AccountName, Claim, Claimed, Messages, Polled
from bide.providers import find
from bide.providers.base import Provider
from tasks.steps.ask import ask
from tasks.steps.decision import PollAnswer, ended, judge
from tasks.steps.missing_adapter import keep_waiting
from workers.metrics.counted import FAILED_JOBS, POLL_LATENESS, POLLS, POLLS_PER_JOB
from workers.metrics.tally import tally
from workers.services.polls_in_hand import Share
from workers.telemetry.step_log import StepLog
from workers.toolbox import Toolbox

log = structlog.get_logger()

#: Answers that come in within this time are recorded together [seconds].
TOGETHER_SECONDS = 0.2

#: How long an account whose key is refused makes no submits [seconds]; an accepted one ends it.
REFUSED_HOLD_SECONDS = 60.0


def run_round(tools: Toolbox, name: AccountName, seq: int, line: StepLog) -> None:
    """Poll, and note on `line` what came of it; a round without due jobs leaves no line."""
    try:
        with tools.polls_in_hand.share(tools.settings.timing.poll_batch) as share:
            claim = tools.ledger.polls.claim(name, seq, batch=share.polls)
            line.silent = not claim.jobs
            if not claim.current:
                return
            share.give_back(share.polls - len(claim.jobs))
            tools.dispatcher.send(Messages(round=claim.round))
            if claim.jobs:
                late_seconds = max(job.late_seconds for job in claim.jobs)
                line.note(outcome="polled", jobs=len(claim.jobs), late_seconds=round(late_seconds, 3))
                line.note(**_ask_about(tools, name, claim, share))
        tools.dispatcher.send(tools.ledger.accounts.admit(name))
    except LedgerAwayError as error:
        line.silent = False
        line.note("warning", outcome="ledger_away", reason=str(error))


def _ask_about(tools: Toolbox, name: AccountName, claim: Claim, share: Share) -> Counter[str]:
    """Ask and record; how many polls had each outcome."""
    reached("poll_claimed")
    now = claim.now
    tally.observe(name, POLL_LATENESS, [job.late_seconds for job in claim.jobs])
    jobs = keep_waiting(tools, name, claim.jobs)
    if not jobs:
        return Counter()
    adapter = find(name.provider)
    try:
        account = tools.accounts.get(name).anywhere
    except InvalidRequestError as error:
        log.error("account.unusable", account=str(name), reason=str(error))
        account = None
    about = partial(ask, tools, adapter, account, now)
    waiting, over, kinds = {job.job_id for job in jobs}, list[Claimed](), Counter[str]()
    with tools.leases.claiming(name, waiting):
        for answers in tools.event_loop.gather(jobs, about, every_seconds=TOGETHER_SECONDS):
            reached("poll_answered")
            share.give_back(len(answers))
            waiting.difference_update(job.job_id for job, _ in answers)
            polled = [_judge(tools, name, adapter, pair, now) for pair in answers]
            messages = tools.ledger.polls.record(name, polled)
            reached("poll_recorded")
            _count(name, [job for job, _ in answers], polled)
            tools.dispatcher.send(messages)
            _watch_account(tools, name, [answer for _, answer in answers])
            over += [job for job, answer in answers if ended(answer) and not job.cancel and not job.fetching]
            kinds.update(outcome.counted_as for outcome in polled)
    tools.poll_timings.learn(name, over, now)
    return kinds


def _judge(
    tools: Toolbox, name: AccountName, adapter: Provider, pair: tuple[Claimed, PollAnswer], now: float
) -> Polled:
    job, answer = pair
    try:
        timing = tools.poll_timings.get(name, job.operation, job.lane)
        polled = judge(job, answer, adapter=adapter, poll_timing=timing, now=now)
        return replace(polled, late_seconds=job.late_seconds)
    except Exception:  # one job's trouble is not that of the others in its round
        log.exception("poll.not_judged", job_id=job.job_id, account=str(name))
        return Polled(job.job_id, "waiting", REFUSED_HOLD_SECONDS, note="its answer could not be judged, see the logs")


def _count(name: AccountName, jobs: list[Claimed], polled: list[Polled]) -> None:
    """For the metrics: what the polls came to, and how many it took."""
    over = []
    for job, outcome in zip(jobs, polled, strict=True):
        tally.count(name, POLLS, outcome.counted_as)
        if outcome.kind == "failed":
            tally.count(name, FAILED_JOBS, outcome.note)
        if outcome.kind in ("ended", "failed", "canceled"):
            over.append(job.polls + 1)
    tally.observe(name, POLLS_PER_JOB, over)


def _watch_account(tools: Toolbox, name: AccountName, answers: list[PollAnswer]) -> None:
    """A refused key stops the account's submits; polls go on slowly, so that a mended key is noticed."""
    refused = next((answer for answer in answers if isinstance(answer, AccountRefusedError)), None)
    if refused and tools.ledger.accounts.block_submits(name, seconds=REFUSED_HOLD_SECONDS, reason=str(refused)[:200]):
        # without the provider's words, which may quote any of the round's requests
        log.error("account.refused", account=str(name), reason="the provider refuses the key for polls")
