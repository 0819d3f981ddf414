"""The Celery app of all processes, and what happens when one starts and stops."""

from __future__ import annotations

import gc
import sys
from typing import Any

from celery import Celery
from celery.signals import celeryd_init, setup_logging, worker_ready, worker_shutdown

from bide.errors import ConfigurationError
from bide.settings.model import Settings
from bide.settings.problems import ConfigurationProblems
from config import logging as bide_logging
from config.celery import Amqp, celery_settings
from config.settings import settings
from workers.celery_patches.events import BatchEvents
from workers.toolbox import check_providers, close_toolbox, toolbox

#: Python's own are for small programs: a step makes some thousand objects, nearly all freed without a collection.
#: With `gc.freeze` a twentieth of a busy worker's CPU (docs/performance.md).
GARBAGE_THRESHOLDS = (20_000, 50, 50)


def _told() -> Settings:
    """The settings, or an end with all that is wrong with them and no traceback."""
    try:
        told = settings()
        check_providers(told)
    except (ConfigurationProblems, ConfigurationError) as problems:
        sys.exit(str(problems))
    return told


app = Celery("bide", set_as_current=True, amqp=Amqp, events=BatchEvents)
app.config_from_object(celery_settings(_told()))
app.conf.include = ["tasks.generate", "tasks.poll", "tasks.cancel", "tasks.notify", "tasks.bulk"]


@setup_logging.connect
def _log(**_: Any) -> None:
    told = settings()
    bide_logging.register_secrets(told.secrets())
    bide_logging.configure(told.log.level, told.log.format)


@celeryd_init.connect
def _equip_worker(**_: Any) -> None:
    import workers.celery_patches.remote_control  # noqa: F401, PLC0415 - registers itself over Celery's command; only workers need it
    from workers.celery_patches.retry_cost import cache_code  # noqa: PLC0415 - as above
    from workers.health.heartbeat_step import HeartbeatStep  # noqa: PLC0415 - as above

    cache_code()
    app.steps["consumer"].add(HeartbeatStep)


@worker_ready.connect
def _start(**_: Any) -> None:
    from workers.services.sweeper import start  # noqa: PLC0415 - only worker processes sweep

    gc.freeze()  # what is there now stays: no collection need look through it
    gc.set_threshold(*GARBAGE_THRESHOLDS)
    start(app, toolbox())


@worker_shutdown.connect
def _stop(**_: Any) -> None:
    from workers.services.sweeper import stop  # noqa: PLC0415 - only worker processes sweep

    stop()
    close_toolbox()
