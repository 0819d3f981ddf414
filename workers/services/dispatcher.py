"""Sends what a transition asks for: hints that resume jobs, polling rounds, callbacks. A lost one does no harm."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import structlog
from celery import Celery
from kombu.exceptions import OperationalError

from bide.contract import BULK_TASK, CONTROL_QUEUE, GENERATE_TASK, NOTIFY_TASK, POLL_QUEUE, POLL_TASK
from bide.crashpoints import reached
from bide.ledger import AccountName, Hint, Messages, Round
from config.celery import FAIL_FAST

log = structlog.get_logger()

#: The longest a look at a bulk run waits as a message [seconds].
FURTHEST_SECONDS = 55.0

#: Message header of a hint: the account whose ledger entry it is about.
ACCOUNT_HEADER = "bide_account"

#: Message headers by which a trace goes on (W3C Trace Context and Baggage).
TRACE_HEADERS = ("traceparent", "tracestate", "baggage")

#: The longest of them that is carried on [characters]: as much as W3C Baggage has a sender keep.
LONGEST_HEADER = 8192


class Dispatcher:
    """Publishes through one Celery app."""

    def __init__(self, app: Celery) -> None:
        self._app = app

    def send(self, messages: Messages) -> None:
        """Send them all; what can't be sent is logged and left to the sweeper."""
        if not messages.hints and messages.round is None and messages.callbacks is None:
            return
        try:
            with self._app.producer_or_acquire() as producer:
                if messages.round is not None:
                    self._schedule(producer, messages.round)
                if messages.hints:
                    self._resume_all(producer, messages.hints)
                    reached("job_resumed")
                if messages.callbacks is not None:
                    self._notify(producer, messages.callbacks)
        except (OperationalError, OSError) as error:
            log.warning("dispatch.failed", reason=type(error).__name__, hints=len(messages.hints))
        except Exception:  # kombu breaks where its connection is closed under it; no caller is to hear of that
            log.exception("dispatch.broke", hints=len(messages.hints))

    def look_at_run(self, run_id: str, *, countdown_seconds: float = 0.0) -> None:
        """Have a bulk run looked at; what is further off than a message may wait is left to the sweeper."""
        if countdown_seconds > FURTHEST_SECONDS:
            return
        message = self._app.amqp.as_task_v2(
            f"bulk-{run_id}-{uuid.uuid4().hex[:8]}",
            BULK_TASK,
            args=(),
            kwargs={"run": run_id},
            countdown=countdown_seconds or None,
            ignore_result=True,
        )
        try:
            with self._app.producer_or_acquire() as producer:
                self._app.amqp.send_task_message(
                    producer, BULK_TASK, message, queue=CONTROL_QUEUE, retry_policy=FAIL_FAST
                )
        except (OperationalError, OSError) as error:
            log.warning("dispatch.failed", reason=type(error).__name__, run=run_id)
        except Exception:  # kombu breaks where its connection is closed under it; the sweeper asks again
            log.exception("dispatch.broke", run=run_id)

    def _resume_all(self, producer: Any, hints: Sequence[Hint]) -> None:
        # Many go out together; a queue is declared for the first of them only: that is a fifth of what one costs.
        declared: set[str] = set()
        with producer.batch() if len(hints) > 1 else nullcontext():
            for hint in hints:
                self._resume(producer, hint, () if hint.queue in declared else None)
                declared.add(hint.queue)

    def _resume(self, producer: Any, hint: Hint, declare: tuple[()] | None) -> None:
        # Not `send_task`: that subscribes this process to the result of every job it resumes.
        signature = json.loads(hint.signature) if hint.signature else {}
        headers = {**_carried(signature.pop("headers", {})), ACCOUNT_HEADER: str(hint.account)}
        message = self._app.amqp.as_task_v2(
            hint.job_id,
            GENERATE_TASK,
            args=(),
            kwargs={},
            countdown=hint.countdown_seconds or None,
            argsrepr="",
            kwargsrepr=signature.pop("kwargsrepr", hint.account.provider),
            ignore_result=signature.pop("ignore_result", False),  # nobody waits for a row of a bulk run
            **signature,
        )
        self._app.amqp.send_task_message(
            producer,
            GENERATE_TASK,
            message,
            queue=hint.queue,
            headers=headers,
            retry_policy=FAIL_FAST,
            declare=declare,
        )

    def _schedule(self, producer: Any, round_: Round) -> None:
        arguments = {"provider": round_.account.provider, "account": round_.account.account, "seq": round_.seq}
        message = self._app.amqp.as_task_v2(
            f"poll-{round_.account.provider}-{round_.account.account}-{round_.seq}",
            POLL_TASK,
            args=(),
            kwargs=arguments,
            countdown=round_.countdown_seconds or None,
            ignore_result=True,
        )
        self._app.amqp.send_task_message(producer, POLL_TASK, message, queue=POLL_QUEUE, retry_policy=FAIL_FAST)

    def _notify(self, producer: Any, account: AccountName) -> None:
        message = self._app.amqp.as_task_v2(
            str(uuid.uuid4()), NOTIFY_TASK, args=(), kwargs=account._asdict(), ignore_result=True
        )
        self._app.amqp.send_task_message(producer, NOTIFY_TASK, message, queue=CONTROL_QUEUE, retry_policy=FAIL_FAST)


def signature_of(request: Any, description: str, *, ignore_result: bool) -> str:
    """What to keep of a caller's message, as JSON: a celery request context, without its arguments.

    `ignore_result` is what the message says; the request context has it no more.
    """
    kept = {
        "root_id": request.root_id,
        "parent_id": request.parent_id,
        "group_id": request.group,
        "group_index": request.group_index,
        "shadow": request.shadow,
        "chord": request.chord,
        "chain": request.chain,
        "callbacks": request.callbacks,
        "errbacks": request.errbacks,
        "reply_to": request.reply_to,
        "replaced_task_nesting": request.replaced_task_nesting,
        "ignore_result": ignore_result or None,
        "kwargsrepr": description,
        "headers": _carried(request.headers or {}),
    }
    fields = {name: value for name, value in kept.items() if value or value == 0}  # a group begins at index 0
    return json.dumps(fields, separators=(",", ":"))


def restore_caller(request: Any, signature: str) -> None:
    """Give a running request what the ledger keeps of its caller's message, in place of what came with this one.

    Any client of the broker can send a message for a job: its links, its chord and its wish for no result are not the
    caller's.
    """
    kept = json.loads(signature) if signature else {}
    request.update(
        root_id=kept.get("root_id", request.id),
        parent_id=kept.get("parent_id"),
        group=kept.get("group_id"),
        group_index=kept.get("group_index"),
        shadow=kept.get("shadow"),
        chord=kept.get("chord"),
        chain=kept.get("chain"),
        callbacks=kept.get("callbacks"),
        errbacks=kept.get("errbacks"),
        reply_to=kept.get("reply_to"),
        replaced_task_nesting=kept.get("replaced_task_nesting", 0),
        ignore_result=kept.get("ignore_result", False),
    )


def _carried(headers: Mapping[str, Any]) -> dict[str, str]:
    """The headers of a caller's message that the messages of its job carry on.

    Any other name could replace a fact of the message (`id`, `task`), or say how its body is packed or routed.
    """
    found = {name: headers.get(name) for name in TRACE_HEADERS}
    return {name: text for name, text in found.items() if isinstance(text, str) and len(text) <= LONGEST_HEADER}
