"""Flower's options, for `celery -A workers.app flower --conf=config/flowerconfig.py`.

Flower executes this file: each global name that is one of its options sets it. Its own environment variables and
command line (`FLOWER_ADDRESS`, `--address`) go before this file.
"""

from __future__ import annotations

import os

from celery import current_app
from tornado.options import options as flower_options

from bide.settings.addresses import is_loopback
from bide.settings.model import Settings
from bide.settings.problems import ConfigurationProblems
from bide.settings.sections import FlowerSettings
from config.flower_log import filter_repeats
from config.flower_tasks import format_task  # noqa: F401 - one of its options
from config.logging import register_secrets
from config.settings import settings
from workers.flower.install import install


def _read_settings() -> Settings:
    try:
        return settings()
    except ConfigurationProblems as problems:
        raise SystemExit(str(problems)) from None


def _credentials(flower: FlowerSettings) -> list[str]:
    if credentials := list(filter(None, flower_options.basic_auth or ())):
        return credentials
    return [f"{flower.user}:{flower.password.get_secret_value()}"] if flower.password else []


def _require_authentication() -> None:
    """Flower shows every request and can stop every worker: without a password it stays on this machine."""
    if not (basic_auth or flower_options.auth or flower_options.unix_socket or is_loopback(address)):
        raise SystemExit(
            f"Flower would listen on {address} without authentication: set BIDE_FLOWER__USER and BIDE_FLOWER__PASSWORD "
            "(or FLOWER_BASIC_AUTH), or let it listen on 127.0.0.1"
        )


def _port(flower: FlowerSettings) -> int:
    """The port: Flower's own variable, bide's, or `PORT`, by which platforms and honcho give each process one."""
    if own := os.environ.get("FLOWER_PORT"):
        return int(own)
    if "port" in flower.model_fields_set:
        return flower.port
    return int(os.environ.get("PORT") or flower.port)


_settings = _read_settings()
_flower = _settings.flower
address = flower_options.address or _flower.address
port = _port(_flower)
basic_auth = _credentials(_flower)
_require_authentication()
filter_repeats()
register_secrets(_settings.secrets())
install(_settings)

# Flower's page of queues knows a broker by kombu's own name for the transport. Only workers need bide's.
current_app.conf.broker_transport = None

#: Defaults where Flower's own environment variable is missing: Flower lets this file overrule its environment.
_DEFAULTS = {
    # a row per job: polling rounds send no events
    "tasks_columns": "uuid,state,runtime,kwargs,result,received,worker",
    # 10,000 take 170 MB, and a request for all of them at its API 80 MB more
    "max_tasks": 10_000,
    "natural_time": False,
    "persistent": False,
    "purge_offline_workers": 3600,
}
globals().update({name: value for name, value in _DEFAULTS.items() if not os.environ.get(f"FLOWER_{name.upper()}")})
