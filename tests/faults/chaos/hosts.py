"""Hosts of their own for workers: network namespaces on a bridge, whose cable can be pulled."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

#: The network of the hosts: one of 256 for tests of benchmarks (RFC 2544), chosen by the process id.
_NETWORK = "198.18.{}"


@dataclass(frozen=True)
class Host:
    """One namespace; `cable` is its end on the bridge."""

    name: str
    cable: str

    @property
    def enter(self) -> list[str]:
        """What a command begins with that runs on this host."""
        return ["ip", "netns", "exec", self.name]

    def unplug(self) -> None:
        """Nothing gets through any more, and no error comes: packets vanish."""
        _ip("link", "set", self.cable, "down")

    def plug(self) -> None:
        _ip("link", "set", self.cable, "up")


def why_not() -> str:
    """Why no hosts can be made here; '' where they can."""
    if shutil.which("ip") is None:
        return "the command ip (Debian: iproute2) is not installed"
    name = f"bide-try-{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, check=False)
    if made.returncode:
        return f"no network namespace can be made: {made.stderr.strip()}"
    _ip("netns", "delete", name)
    return ""


@contextmanager
def hosts(number: int) -> Iterator[tuple[str, list[Host]]]:
    """The address under which the hosts reach this machine, and the hosts; gone with the block."""
    own, network = f"{os.getpid() % 100000}", _NETWORK.format(os.getpid() % 256)
    bridge, address = f"bb{own}", f"{network}.1"
    with ExitStack() as stack:
        _ip("link", "add", bridge, "type", "bridge")
        stack.callback(_ip, "link", "delete", bridge)
        _ip("address", "add", f"{address}/24", "dev", bridge)
        _ip("link", "set", bridge, "up")
        yield (
            address,
            [_host(stack, f"bide{own}-{n}", f"bc{own}{n}", bridge, f"{network}.{n + 2}") for n in range(number)],
        )


def _host(stack: ExitStack, name: str, cable: str, bridge: str, address: str) -> Host:
    _ip("netns", "add", name)
    stack.callback(_ip, "netns", "delete", name)
    _ip("link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", name)
    _ip("link", "set", cable, "master", bridge, "up")
    _ip("-n", name, "address", "add", f"{address}/24", "dev", "eth0")
    _ip("-n", name, "link", "set", "eth0", "up")
    _ip("-n", name, "link", "set", "lo", "up")
    return Host(name, cable)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)
