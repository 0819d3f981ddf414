"""The providers that are installed: every module beside this one, the entry points `bide.providers`, and files."""

from __future__ import annotations

import functools
import importlib
import inspect
import pkgutil
from importlib.metadata import entry_points

from bide.errors import ConfigurationError, InvalidRequestError
from bide.providers import declared
from bide.providers.base import Provider

ENTRY_POINTS = "bide.providers"


@functools.cache
def installed() -> dict[str, Provider]:
    """One adapter per provider name; raises `ConfigurationError` for two of one name, and for mistakes in files."""
    adapters = in_python()
    return adapters | {name: cls() for name, cls in declared.adapters(adapters).items()}


def in_python() -> dict[str, Provider]:
    """The adapters that are not of files; raises `ConfigurationError` for two of one name."""
    classes = [*_beside_this_file(), *(entry.load() for entry in entry_points(group=ENTRY_POINTS))]
    adapters: dict[str, Provider] = {}
    for adapter in (cls() for cls in classes):
        if adapter.name in adapters:
            raise ConfigurationError(f"two adapters are named {adapter.name!r}; uninstall one of them")
        adapters[adapter.name] = adapter
    return adapters


def find(name: str) -> Provider:
    """The adapter of that name; raises `InvalidRequestError`."""
    try:
        return installed()[name]
    except KeyError:
        known = f"installed are {', '.join(sorted(installed()))}"
        raise InvalidRequestError(
            f"provider: there is no {name!r}; {known}", redacted=f"provider: there is none of that name; {known}"
        ) from None


def _beside_this_file() -> list[type[Provider]]:
    modules = [
        importlib.import_module(f"{__name__}.{found.name}")
        for found in pkgutil.iter_modules(__path__)
        if found.name != "base" and not found.ispkg
    ]
    return [cls for module in modules for cls in vars(module).values() if _is_adapter(cls, module.__name__)]


def _is_adapter(value: object, module: str) -> bool:
    return (
        isinstance(value, type)
        and issubclass(value, Provider)
        and value.__module__ == module
        and not inspect.isabstract(value)
    )
