"""The settings by which a Celery worker loses no message and runs as fast as it can, for peers that want both."""

from __future__ import annotations

from typing import Any

RELIABLE: dict[str, Any] = {
    "task_acks_late": True,
    "task_reject_on_worker_lost": True,
    "worker_pool": "threads",
    "worker_prefetch_multiplier": 1,
    "worker_disable_rate_limits": True,
    "worker_enable_remote_control": False,
    "broker_connection_retry_on_startup": True,
    # longer than a job, a countdown or a late poll takes, since a message that outlasts it is delivered again
    "broker_transport_options": {"visibility_timeout": 60, "unacked_mutex_expire": 10},
    "result_expires": 7 * 24 * 3600,
}
