"""Whether a caller's answer outlives a failover: the result that Celery has stored is there, and replicas have it."""

from __future__ import annotations

from typing import Any

import redis
from celery.states import READY_STATES

from bide.errors import NotReplicatedError
from bide.ledger.safety import Safety, add_wait, check_acknowledged
from bide.redis_errors import words_of

#: What begins the key whose write is waited for.
PREFIX = "bide:results:"


class AnswerCheck:
    """`backend` is Celery's, on the Redis of the ledger; the safety of the disk asks for nothing."""

    def __init__(self, backend: Any, safety: Safety) -> None:
        self._backend, self._safety = backend, safety

    def why_unsafe(self, job_id: str) -> str:
        """Why a failover may lose the answer of a job, '' where it does not.

        After a failover an answer may have gone to the old leader, and the ledger be on the new one. So one connection
        reads the answer, and waits for the replicas of the server that it has read.
        """
        if not self._safety.replicas:
            return ""
        try:
            with self._backend.client.pipeline(transaction=False) as pipeline:
                pipeline.get(self._backend.get_key_for_task(job_id))
                add_wait(pipeline, PREFIX, self._safety)
                content, _, acknowledged = pipeline.execute(raise_on_error=False)
            if isinstance(content, redis.RedisError):
                raise content
            check_acknowledged(acknowledged, self._safety, ())
        except NotReplicatedError as error:
            return str(error)
        except redis.RedisError as error:
            return f"the result backend does not answer: {words_of(error)}"
        if content is None or self._backend.decode_result(content)["status"] not in READY_STATES:
            return "the leader of now does not have it"
        return ""
