"""`bide up --replicated`: a leader, two replicas and three sentinels on this machine, to try failovers.

Their configuration files stay in the stack's folder, since the servers write into them who leads.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from workers.embedded.servers import DURABLE, HOST, broker_program, check_free, free_port
from workers.embedded.stack import Stack

#: The name by which the sentinels know the leader.
MASTER = "bide"

SERVERS, SENTINELS = 3, 3

#: After how long a leader that does not answer is replaced, and how long a failover may take [milliseconds].
DOWN_MS, FAILOVER_MS = 3000, 10_000


def start_replicated(stack: Stack, env: Mapping[str, str]) -> dict[str, str]:
    """Start all of them; returns the variables that lead to the leader, and have bide wait for replicas."""
    program, folder = broker_program(), stack.data("replicated")
    if not (folder / "sentinel-0.conf").exists():
        _configure(folder)
    ports = {path.stem: _port_of(path) for path in sorted(folder.glob("*.conf"))}
    for name, port in ports.items():
        check_free(port, name)
    started = [
        stack.start(name, [program, str(folder / f"{name}.conf"), *_mode(name)], env, serves=True) for name in ports
    ]
    for child in started:
        stack.wait_for(child, "Sentinel ID is" if child.name.startswith("sentinel") else "Ready to accept connections")
    sentinels = (f"sentinel://{HOST}:{port}/0" for name, port in ports.items() if name.startswith("sentinel"))
    return {"BIDE_BROKER_URL": ";".join(sentinels), "BIDE_SENTINEL_MASTER": MASTER, "BIDE_LEDGER__SAFE": "replica"}


def _mode(name: str) -> list[str]:
    return ["--sentinel"] if name.startswith("sentinel") else []


def _configure(folder: Path) -> None:
    """Write the files of a new set; those of the sentinels last, so that a set is whole where they are."""
    leads = 0
    for number in range(SERVERS):
        (data := folder / f"redis-{number}").mkdir(exist_ok=True)
        port = free_port()
        leads = leads or port
        follows = [f"replicaof {HOST} {leads}"] if port != leads else []
        _write(folder / f"redis-{number}.conf", port, data, [*DURABLE, "repl-diskless-sync-delay 0", *follows])
    for number in reversed(range(SENTINELS)):
        (data := folder / f"sentinel-{number}").mkdir(exist_ok=True)
        watch = [
            f"sentinel monitor {MASTER} {HOST} {leads} 2",
            f"sentinel down-after-milliseconds {MASTER} {DOWN_MS}",
            f"sentinel failover-timeout {MASTER} {FAILOVER_MS}",
        ]
        _write(folder / f"sentinel-{number}.conf", free_port(), data, watch)


def _write(path: Path, port: int, data: Path, lines: list[str]) -> None:
    path.write_text("\n".join([f"bind {HOST}", f"port {port}", f'dir "{data}"', *lines]) + "\n")


def _port_of(path: Path) -> int:
    return next(int(line.split()[1]) for line in path.read_text().splitlines() if line.startswith("port "))
