"""What a job waits for that is not there: a worker, a poller, an object store that takes results."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from bide.contract import CONTROL_QUEUE, POLL_QUEUE, STORE_QUEUE, SUBMIT_QUEUE, JobState

if TYPE_CHECKING:
    from bide.ledger.processes import RunningProcess
    from bide.ledger.snapshot import JobSnapshot

#: The queues on the rest of a live job's way. The record of an ended job names the one that leads to its answer.
WAY = {
    JobState.QUEUED: (SUBMIT_QUEUE, POLL_QUEUE, STORE_QUEUE),
    JobState.SUBMITTING: (SUBMIT_QUEUE, POLL_QUEUE, STORE_QUEUE),
    JobState.RUNNING: (POLL_QUEUE, STORE_QUEUE),
    JobState.STORING: (STORE_QUEUE,),
}


def obstacles(snapshot: JobSnapshot, processes: Sequence[RunningProcess]) -> list[str]:
    """What to do about processes and stores so that the job goes on, the weightiest first."""
    return [*_missing(snapshot, processes), *_refusing(snapshot, processes)]


def _missing(snapshot: JobSnapshot, processes: Sequence[RunningProcess]) -> Iterator[str]:
    served = {queue for process in processes for queue in process.queues}
    kinds = {"poller" if queue == POLL_QUEUE else "worker" for queue in _needed(snapshot) if queue not in served}
    if len(kinds) > 1:
        yield "start a worker and a poller (these lines of the Procfile): none runs"
    elif kinds:
        [kind] = kinds
        yield f"start a {kind} (the line {kind} of the Procfile): none runs"


def _needed(snapshot: JobSnapshot) -> Iterator[str]:
    record = snapshot.record
    if snapshot.clock:
        yield from WAY.get(record.state, (record.text("queue") or STORE_QUEUE,))
    if snapshot.callback_at:
        yield CONTROL_QUEUE


def _refusing(snapshot: JobSnapshot, processes: Sequence[RunningProcess]) -> Iterator[str]:
    refusing = [process for process in processes if process.store_refusal]
    if refusing and snapshot.clock and snapshot.record.state in WAY:
        nodes = ", ".join(process.node for process in refusing)
        yield f"mend the object store, as `bide doctor` says: {refusing[0].store_refusal} ({nodes})"
    unknown = [process for process in processes if process.ledger_refusal]
    if unknown and snapshot.clock and snapshot.record.state in WAY:
        nodes = ", ".join(process.node for process in unknown)
        yield f"look after the ledger, as `bide doctor` says: {unknown[0].ledger_refusal} ({nodes})"
