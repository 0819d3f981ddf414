"""What a process asks its Redis servers before it takes any work: whether one of them is in cluster mode."""

from __future__ import annotations

import sys

import redis

from bide.errors import ClusterError
from bide.redis_client import close, connect
from bide.settings.addresses import REDIS_SCHEMES
from bide.settings.model import Settings
from bide.settings.variables import variable_name

#: How long a server may take to answer [seconds]; one that is away is waited for later, as ever.
ANSWER_SECONDS = 3.0

USES = ("ledger_url", "broker_url", "result_url")


def end_on_a_cluster(settings: Settings) -> None:
    """End the process where a Redis of the settings is in cluster mode, with what to take instead."""
    named = {getattr(settings, use): variable_name((use,)) for use in reversed(USES)}
    for url, variable in named.items():
        if url.scheme in REDIS_SCHEMES and (problem := _problem(url, settings.sentinel_master)):
            sys.exit(f"{variable}: {problem}")


def _problem(url: str, sentinel_master: str) -> str:
    server = connect(
        url,
        sentinel_master=sentinel_master,
        socket_timeout=ANSWER_SECONDS,
        socket_connect_timeout=ANSWER_SECONDS,
        retry=None,
    )
    try:
        server.ping()
    except ClusterError as error:
        return str(error)
    except redis.RedisError:
        return ""
    finally:
        close(server)
    return ""
