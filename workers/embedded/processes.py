"""The Procfile's processes, started with the environment of a stack."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from honcho.environ import parse_procfile

from workers.embedded.child import Child
from workers.embedded.stack import Stack, StackError, write_private

#: What each process writes once it serves.
READY = {
    "worker": r"worker-\d+@\S+ ready",
    "poller": r"poller-\d+@\S+ ready",
    "beat": r"beat: Starting",
    "flower": r"Visit me at (https?://[^\s\"]+)",
    "pages": r"pages at (https?://\S+)",
}


#: Lines of the Procfile for which there is no use on one's own machine, where Prometheus is not.
NOT_HERE = ("metrics",)


@dataclass(frozen=True)
class FlowerAccess:
    """User and password for Flower, generated where the settings have none."""

    user: str
    password: str = field(repr=False)

    @property
    def environment(self) -> dict[str, str]:
        return {"BIDE_FLOWER__USER": self.user, "BIDE_FLOWER__PASSWORD": self.password}


def generate_access(stack: Stack) -> FlowerAccess:
    """A new password, kept for this user only."""
    access = FlowerAccess("bide", secrets.token_urlsafe(12))
    write_private(stack.folder / "flower.txt", f"{access.user}:{access.password}\n")
    return access


def start_processes(stack: Stack, env: Mapping[str, str]) -> list[Child]:
    """Start all that the Procfile names. Flower comes last: it links to the pages, at the port that they have got."""
    here = {**env, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{env.get('PATH', os.defpath)}"}
    commands = {name: ["/bin/sh", "-c", f"exec {command}"] for name, command in _procfile(stack.root).items()}
    flower = commands.pop("flower")
    children = {name: stack.start(name, command, here, serves=False) for name, command in commands.items()}
    pages = stack.wait_for(children["pages"], READY["pages"])[1]
    links = {"BIDE_PAGES__URL": here.get("BIDE_PAGES__URL") or pages}
    return [*children.values(), stack.start("flower", flower, {**here, **links}, serves=False)]


def wait_ready(stack: Stack, processes: list[Child]) -> dict[str, str]:
    """Wait until all serve; returns the addresses of those that a browser opens, by name, which stay their own."""
    found = {child.name: stack.wait_for(child, READY[child.name]) for child in processes}
    opened = {name: match[1] for name, match in found.items() if match.re.groups}
    for name, address in opened.items():
        stack.pin(name, env={f"BIDE_{name.upper()}__PORT": str(urlsplit(address).port)})
    return opened


def _procfile(root: Path) -> dict[str, str]:
    named: dict[str, str] = dict(parse_procfile((root / "Procfile").read_text()).processes)
    processes = {name: command for name, command in named.items() if name not in NOT_HERE}
    if unknown := processes.keys() ^ READY.keys():
        raise StackError(
            f"Procfile: {', '.join(sorted(unknown))}: the stack starts {', '.join(READY)}, no more, no less"
        )
    return processes
