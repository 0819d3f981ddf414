"""Flower's options, for `celery -A workers.app flower --conf=config/flowerconfig.py`.

Flower executes this file: each global name that is one of its options sets it. Its own environment variables and
command line (`FLOWER_ADDRESS`, `--address`) were read before and go before what is said here.
"""

from __future__ import annotations

import ipaddress
import os
from typing import Any

from tornado.options import options as given

from config.problems import ConfigurationProblems
from config.sections import FlowerSettings
from config.settings import settings

#: Longest argument or result shown in a table [characters]; the API and the messages keep the whole.
SHOWN_CHARACTERS = 400


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
    if given.basic_auth:
        return list(given.basic_auth)
    return [f"{flower.user}:{flower.password.get_secret_value()}"] if flower.password else []


def _refuse_to_stand_open() -> None:
    """Flower shows every request and can stop every worker: without a password it stays on this machine."""
    if not (basic_auth or given.auth or given.unix_socket or _is_loopback(address)):
        raise SystemExit(
            f"Flower would listen on {address} without authentication: set BIDE_FLOWER__USER and BIDE_FLOWER__PASSWORD "
            "(or FLOWER_BASIC_AUTH), or let it listen on 127.0.0.1"
        )


def format_task(task: Any) -> Any:
    """Shorten what is long, so that a row stays a row."""
    for name in ("args", "kwargs", "result"):
        text = getattr(task, name, None)
        if isinstance(text, str) and len(text) > SHOWN_CHARACTERS:
            setattr(task, name, f"{text[:SHOWN_CHARACTERS]}… ({len(text)} characters)")
    return task


_flower = _settings()
address = given.address or _flower.address
port = int(os.environ.get("FLOWER_PORT") or os.environ.get("PORT") or _flower.port)
basic_auth = _credentials(_flower)
_refuse_to_stand_open()

# A row per job: polling rounds send no events, and so do not show.
tasks_columns = "name,uuid,state,kwargs,result,received,started,runtime,worker"
max_tasks = 10_000
natural_time = False
persistent = False
purge_offline_workers = 3600
