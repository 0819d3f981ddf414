"""The servers that `bide up` brings along: those that are not named, and those that BIDE_UP__SERVERS lists."""

from __future__ import annotations

import os
from collections.abc import Mapping
from urllib.parse import urlsplit

from bide.settings.reader import merge, read_env_file
from bide.settings.sections import UpSettings
from config.settings import ENV_FILE
from workers.embedded.environment import unproxied
from workers.embedded.replicated import start_replicated
from workers.embedded.servers import HOST, SANDBOX_PATHS, start_broker, start_objects, start_sandbox
from workers.embedded.stack import Stack, StackError
from workers.embedded.terminal import say

#: How long the simulated providers take for a job, about [seconds].
LATENCY_SECONDS = 4.0

#: The names by which an address means this machine.
_HERE = (HOST, "localhost")


def start_servers(stack: Stack, *, replicated: bool = False) -> dict[str, str]:
    """Start the servers; returns the variables that name those which .env does not name.

    `replicated`: the broker is a leader with replicas and sentinels.
    """
    values = {name: variable.value for name, variable in merge(os.environ, read_env_file(ENV_FILE)).items()}
    listed = UpSettings.model_validate({"servers": values.get("BIDE_UP__SERVERS", "")}).servers
    broker = _replicated(stack, values) if replicated else _broker(stack, values, listed="broker" in listed)
    found = broker | _objects(stack, values, listed="objects" in listed)
    if "sandbox" in listed:
        port = _sandbox_port(values)
        say("sandbox", f"{start_sandbox(stack, os.environ, latency_seconds=LATENCY_SECONDS, port=port)}  simulated")
    return found


def _broker(stack: Stack, values: Mapping[str, str], *, listed: bool) -> dict[str, str]:
    address = values.get("BIDE_BROKER_URL")
    if address and not listed:
        return {}
    url = start_broker(stack, os.environ, port=_port_of("BIDE_BROKER_URL", address) if address else 0)
    say("broker", url)
    return {} if address else {"BIDE_BROKER_URL": url}


def _replicated(stack: Stack, values: Mapping[str, str]) -> dict[str, str]:
    if values.get("BIDE_BROKER_URL") or values.get("BIDE_LEDGER_URL"):
        raise StackError(
            "--replicated brings its own servers along: take BIDE_BROKER_URL and BIDE_LEDGER_URL out of .env, and "
            "broker out of BIDE_UP__SERVERS"
        )
    found = start_replicated(stack, os.environ)
    say("broker", f"{found['BIDE_BROKER_URL']}  a leader, two replicas, three sentinels")
    return found


def _objects(stack: Stack, values: Mapping[str, str], *, listed: bool) -> dict[str, str]:
    address, bucket = values.get("BIDE_S3__ENDPOINT_URL"), values.get("BIDE_S3__BUCKET")
    if not (address or bucket):
        objects = start_objects(stack, os.environ)
        say("objects", f"{objects.endpoint_url}  as files in {objects.folder}")
        return objects.environment | unproxied(os.environ)
    if listed:
        keys = values.get("AWS_ACCESS_KEY_ID", ""), values.get("AWS_SECRET_ACCESS_KEY", "")
        if not (bucket and all(keys)):
            wanted = "BIDE_S3__BUCKET, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
            raise StackError(f"objects stands in BIDE_UP__SERVERS: set {wanted}, the store is made with them")
        port = _port_of("BIDE_S3__ENDPOINT_URL", address or "")
        objects = start_objects(stack, os.environ, port=port, bucket=bucket, keys=keys)
        say("objects", f"{objects.endpoint_url}  as files in {objects.folder}")
    return {}


def _sandbox_port(values: Mapping[str, str]) -> int:
    """The one port on this machine at which providers are named under the sandbox's paths."""
    addresses = {name: urlsplit(values.get(f"BIDE_PROVIDERS__{name.upper()}__BASE_URL", "")) for name in SANDBOX_PATHS}
    ports = {url.port for name, url in addresses.items() if url.hostname in _HERE and url.path == SANDBOX_PATHS[name]}
    if len(ports) != 1 or None in ports:
        raise StackError(
            "sandbox stands in BIDE_UP__SERVERS: have BIDE_PROVIDERS__<NAME>__BASE_URL name it at one port, such as "
            f"http://{HOST}:8900{SANDBOX_PATHS['photogpt']}, or take sandbox out"
        )
    return int(ports.pop() or 0)


def _port_of(variable: str, address: str) -> int:
    url = urlsplit(address)
    if url.hostname not in _HERE or url.port is None or url.password:
        raise StackError(
            f"{variable}: `bide up` brings servers along at addresses of this machine, with a port and no password; "
            "change it, or take the server out of BIDE_UP__SERVERS"
        )
    return url.port
