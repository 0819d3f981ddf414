"""The Celery app of the processes with short times for beat, so that a test outlives its lock: `celery -A ... beat`."""

from __future__ import annotations

from workers.app import app

app.conf.update(
    redbeat_lock_timeout=3,
    beat_max_loop_interval=1,
    redbeat_redis_options={**app.conf.redbeat_redis_options, "socket_timeout": 1.0},
)
