"""Revoking a job, in Flower or by `app.control.revoke`, cancels it: Celery's own list of ids dies with its worker."""

from __future__ import annotations

from typing import Any

from celery.utils.functional import maybe_list
from celery.worker import control
from celery.worker.control import control_command

from workers.cancel import cancel_job

_celery_revoke = control.revoke  # type: ignore[attr-defined]  # celery-types leaves it out


@control_command(name="revoke", variadic="task_id", signature="[id1 [id2 [... [idN]]]]")
def revoke(state: Any, task_id: Any, terminate: bool = False, signal: Any = None, **more: Any) -> Any:
    """Cancel the ids that are jobs; any other goes to Celery. Every worker gets this, cancelling twice does nothing."""
    ids = set(maybe_list(task_id) or [])
    jobs = {one for one in ids if cancel_job(one, known_only=True)}
    if rest := sorted(ids - jobs):
        _celery_revoke(state, rest, terminate=terminate, signal=signal, **more)
    return {"ok": f"canceled {sorted(jobs)}, revoked {rest}"}
