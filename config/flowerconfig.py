"""Flower's options, for `celery -A workers.app flower --conf=config/flowerconfig.py`.

Flower executes this file: each global name that is one of its options sets it. Its own environment variables and
command line (`FLOWER_ADDRESS`, `--address`) go before what is said here.
"""

from __future__ import annotations

import ipaddress
import os

from celery import current_app
from tornado.options import options as given

from bide.settings.problems import ConfigurationProblems
from bide.settings.sections import FlowerSettings
from config.flower_log import calm
from config.flower_tasks import format_task  # noqa: F401 - one of its options
from config.settings import settings


def _settings() -> FlowerSettings:
    try:
        return settings().flower
    except ConfigurationProblems as problems:
        raise SystemExit(str(problems)) from None


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _credentials(flower: FlowerSettings) -> list[str]:
    if told := list(filter(None, given.basic_auth or ())):
        return told
    return [f"{flower.user}:{flower.password.get_secret_value()}"] if flower.password else []


def _refuse_to_stand_open() -> None:
    """Flower shows every request and can stop every worker: without a password it stays on this machine."""
    if not (basic_auth or given.auth or given.unix_socket or _is_loopback(address)):
        raise SystemExit(
            f"Flower would listen on {address} without authentication: set BIDE_FLOWER__USER and BIDE_FLOWER__PASSWORD "
            "(or FLOWER_BASIC_AUTH), or let it listen on 127.0.0.1"
        )


_flower = _settings()
address = given.address or _flower.address
port = int(os.environ.get("FLOWER_PORT") or os.environ.get("PORT") or _flower.port)
basic_auth = _credentials(_flower)
_refuse_to_stand_open()
calm()

# Its page of queues knows a broker by kombu's own name for the transport; ours is quicker for workers only.
current_app.conf.broker_transport = None

#: What is left to Flower's environment, which it would let this file overrule.
_DEFAULTS = {
    # a row per job: polling rounds send no events, and so do not show
    "tasks_columns": "uuid,state,runtime,kwargs,result,received,worker",
    # 10,000 take 170 MB, and a caller of its API that wants them all 80 MB more
    "max_tasks": 10_000,
    "natural_time": False,
    "persistent": False,
    "purge_offline_workers": 3600,
}
globals().update({name: value for name, value in _DEFAULTS.items() if not os.environ.get(f"FLOWER_{name.upper()}")})
