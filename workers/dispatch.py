"""Sends what a ledger move asks for: hints that resume jobs, and polling rounds. Losing one does no harm."""

from __future__ import annotations

import json
from typing import Any

import structlog
from celery import Celery
from kombu.exceptions import OperationalError

from bide.contract import GENERATE_TASK, POLL_QUEUE, POLL_TASK
from bide.ledger import Hint, Messages, Round
from config.celery import FAIL_FAST

log = structlog.get_logger()

#: Message header of a hint: the account whose ledger entry it is about.
ACCOUNT_HEADER = "bide_account"


class Dispatcher:
    """Publishes through one Celery app."""

    def __init__(self, app: Celery) -> None:
        self._app = app

    def send(self, messages: Messages) -> None:
        """Send them all; what can't be sent is logged and left to the sweeper."""
        if not messages.hints and messages.round is None:
            return
        try:
            with self._app.producer_or_acquire() as producer:
                if messages.round is not None:
                    self._schedule(producer, messages.round)
                for hint in messages.hints:
                    self._resume(producer, hint)
        except (OperationalError, OSError) as error:
            log.warning("dispatch.failed", reason=type(error).__name__, hints=len(messages.hints))
        except Exception:  # kombu breaks where its connection is closed under it; no caller is to be told that
            log.exception("dispatch.broke", hints=len(messages.hints))

    def _resume(self, producer: Any, hint: Hint) -> None:
        # Not `send_task`: that subscribes this process to the result of every job it resumes.
        signature = json.loads(hint.signature) if hint.signature else {}
        headers = {**signature.pop("headers", {}), ACCOUNT_HEADER: str(hint.account)}
        message = self._app.amqp.as_task_v2(
            hint.job_id,
            GENERATE_TASK,
            args=(),
            kwargs={},
            countdown=hint.countdown_seconds or None,
            argsrepr="",
            kwargsrepr=signature.pop("kwargsrepr", hint.account.provider),
            ignore_result=False,
            **signature,
        )
        self._app.amqp.send_task_message(
            producer, GENERATE_TASK, message, queue=hint.queue, headers=headers, retry_policy=FAIL_FAST
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


def signature_of(request: Any, description: str) -> str:
    """What to keep of a caller's message, as JSON: a celery request context, without its arguments."""
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
        "kwargsrepr": description,
        "headers": {name: value for name, value in (request.headers or {}).items() if name != ACCOUNT_HEADER},
    }
    told = {name: value for name, value in kept.items() if value or value == 0}  # the first of a group has the index 0
    return json.dumps(told, separators=(",", ":"))
