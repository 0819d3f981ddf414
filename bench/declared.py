"""`python -m bench.declared`: what a provider of a file costs beside the adapter in Python of the same API.

Both build a job's calls and read its answers, those of the tests: submit, a poll at work, a poll that has the result.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib import import_module

import click

from bide.providers import find
from bide.providers.base import Provider, Ticket
from tests.contract.declared_twins import twin
from tests.contract.provider_contract import ProviderContract

#: How often a job is done, and how often that is measured; the least counts: all that a busy machine does is to add.
TIMES, ROUNDS = 1000, 9

#: The CPU of a whole job, all processes: `docs/performance.md` [microseconds].
WHOLE_JOB = 20_000.0

#: Provider, the class of its contract test, operation.
TWINS = (
    ("cyberphotobooth", "TestCyberPhotoBooth", "generate"),
    ("dreambooth", "TestDreambooth", "text2img"),
    ("photogpt", "TestPhotoGPT", "images.generation"),
)


def job(adapter: Provider, own: ProviderContract, operation: str) -> Callable[[], None]:
    """All that an adapter does for one job, but for the check of its request."""
    answers = {sample.name: sample.answer for sample in own.samples()}
    accepted, running, done = (answers[f"{operation}--{kind}"] for kind in ("submit", "poll-running", "poll-success"))
    submission, account, ticket = own.submissions[operation], own.account, Ticket(operation, "job-1", seen=True)

    def work() -> None:
        adapter.submit_call(submission, account)
        adapter.submit_outcome(accepted, submission, account)
        for answer in (running, done):
            adapter.poll_call(ticket, account)
            adapter.poll_outcome(answer, ticket, account)

    return work


def microseconds(work: Callable[[], None]) -> float:
    """The CPU of one job."""
    spent = []
    for _ in range(ROUNDS):
        began = time.process_time()
        for _ in range(TIMES):
            work()
        spent.append((time.process_time() - began) / TIMES)
    return min(spent) * 1e6


@click.command()
def main() -> None:
    """Measure all three, and print a table."""
    print(
        "| provider | in Python [µs] | of a file [µs] | more, of a whole job |", "| --- | --- | --- | --- |", sep="\n"
    )
    for name, contract, operation in TWINS:
        own = getattr(import_module(f"tests.contract.test_{name}"), contract)()
        python, file = (microseconds(job(it, own, operation)) for it in (find(name), twin(name)))
        print(f"| {name} {operation} | {python:.0f} | {file:.0f} | {(file - python) / WHOLE_JOB:.2%} |")


if __name__ == "__main__":
    main()
