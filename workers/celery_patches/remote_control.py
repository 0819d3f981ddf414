"""Celery's remote commands that bide replaces: revoking a job cancels it, and no reply shows a password.

Celery's own list of revoked ids dies with its worker. Its mask for secrets misses some settings that are addresses.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from celery.utils.functional import maybe_list
from celery.utils.serialization import strtobool
from celery.worker import control
from celery.worker.control import control_command, inspect_command

from config.logging import without_secrets
from workers.celery_patches.message_check import MAX_ID_CHARACTERS

_celery_revoke = control.revoke  # type: ignore[attr-defined]  # celery-types leaves it out
_celery_conf = control.conf  # type: ignore[attr-defined]  # celery-types leaves it out
_celery_stats = control.stats  # type: ignore[attr-defined]  # celery-types leaves it out


def register_revoke(cancel: Callable[[str], bool]) -> None:
    """Put bide's `revoke` over Celery's. `cancel` cancels a job, and says whether an id is one."""

    @control_command(name="revoke", variadic="task_id", signature="[id1 [id2 [... [idN]]]]")
    def revoke(state: Any, task_id: Any, terminate: bool = False, signal: Any = None, **more: Any) -> Any:
        """Cancel the ids that are jobs; any other goes to Celery. Every worker gets this: a second one does nothing."""
        ids = {one for one in maybe_list(task_id) or [] if isinstance(one, str) and len(one) <= MAX_ID_CHARACTERS}
        jobs = {one for one in ids if cancel(one)}
        if rest := sorted(ids - jobs):
            _celery_revoke(state, rest, terminate=terminate, signal=signal, **more)
        return {"ok": f"canceled {sorted(jobs)}, revoked {rest}"}


@inspect_command(name="conf", signature="[include_defaults=False]", args=[("with_defaults", strtobool)])
def conf(state: Any, with_defaults: bool = False, **more: Any) -> Any:
    """The settings without secrets, for `inspect conf` and Flower's pages of workers."""
    return without_secrets(_celery_conf(state, with_defaults=with_defaults, **more))


@inspect_command(name="stats", default_timeout=1.0)
def stats(state: Any, **more: Any) -> Any:
    """Counts and connections of the worker without secrets, for `inspect stats`."""
    return without_secrets(_celery_stats(state, **more))
