"""The Celery app of all processes."""

from __future__ import annotations

import sys
from typing import Any

from celery import Celery
from celery.signals import setup_logging

from bide.errors import ConfigurationError
from bide.settings.model import Settings
from bide.settings.problems import ConfigurationProblems
from config import logging as bide_logging
from config.celery import Amqp, celery_settings
from config.settings import settings
from workers.accounts import check_providers
from workers.celery_patches.events import BatchEvents


def _checked_settings() -> Settings:
    """The settings, or an end with all that is wrong with them and no traceback."""
    try:
        checked = settings()
        check_providers(checked)
    except (ConfigurationProblems, ConfigurationError) as problems:
        sys.exit(str(problems))
    return checked


app = Celery("bide", set_as_current=True, amqp=Amqp, events=BatchEvents)
app.config_from_object(celery_settings(_checked_settings()))
app.conf.include = ["tasks.generate", "tasks.poll", "tasks.cancel", "tasks.notify", "tasks.bulk"]


@setup_logging.connect
def _log(**_: Any) -> None:
    checked = settings()
    bide_logging.register_secrets(checked.secrets())
    bide_logging.configure(checked.log.level, checked.log.format)


@app.on_after_finalize.connect
def _keep_results_of_maps(**_: Any) -> None:
    """Have a caller's `map` behind a job keep its result: Celery sends it with the options of this app's own."""
    for name in ("celery.map", "celery.starmap"):
        app.tasks[name].ignore_result = False
