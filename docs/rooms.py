"""Prints the rooms of the code, the arrows between them, and every circle of imports: `make rooms`.

A room is a package or module one level below `bide`, `config`, `tasks`, `workers` or `sandbox`. An arrow is an import.
A circle is looked for at every level: between rooms, and between the modules of each room. Ends with 1 if there is one.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import grimp

ROOT = Path(__file__).parents[1]

ROOTS = ("bide", "config", "tasks", "workers", "sandbox")


def room_of(module: str) -> str:
    """The room in which a module lies: its first two names."""
    return ".".join(module.split(".")[:2])


def arrows(graph: grimp.ImportGraph) -> dict[str, set[str]]:
    """Each room, with the rooms that it imports."""
    found: dict[str, set[str]] = {room_of(module): set() for module in graph.modules if "." in module}
    for module in graph.modules:
        imported = {room_of(name) for name in graph.find_modules_directly_imported_by(module) if "." in name}
        if "." in module:
            found[room_of(module)] |= imported - {room_of(module)}
    return found


def circles(graph: grimp.ImportGraph) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Each package whose children import each other in a circle, with imports whose end would open it."""
    for package in sorted(graph.modules):
        if graph.find_children(package) and (breakers := graph.nominate_cycle_breakers(package)):
            yield package, sorted((each[0], each[1]) for each in breakers)


def report(graph: grimp.ImportGraph) -> tuple[list[str], bool]:
    """The lines to print, and whether there is a circle."""
    rooms = arrows(graph)
    lines = [f"{room} -> {', '.join(sorted(imported)) or 'nothing'}" for room, imported in sorted(rooms.items())]
    found = list(circles(graph))
    lines += [f"circle in {package}: opened without {breakers}" for package, breakers in found]
    count = sum(map(len, rooms.values()))
    return [*lines, f"{len(rooms)} rooms, {count} arrows, {len(found)} circles"], bool(found)


def main() -> int:
    """Print them."""
    sys.path.insert(0, str(ROOT))
    lines, circular = report(grimp.build_graph(*ROOTS, cache_dir=None))
    sys.stdout.writelines(f"{line}\n" for line in lines)
    return int(circular)


if __name__ == "__main__":
    sys.exit(main())
