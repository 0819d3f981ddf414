"""bide: submit a generation job, bide, collect the result.

This package is what other services and plug-ins import; the application that
serves it (`config`, `tasks`, `workers`) is deployed from the repository.

`Client` and `AsyncClient` are imported at their first use, since they bring
Celery and Redis with them.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bide.client import AsyncClient, Client

__all__ = ["AsyncClient", "Client", "__version__"]

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    if name not in ("AsyncClient", "Client"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import bide.client  # noqa: PLC0415 - it brings Celery and Redis

    found: object = getattr(bide.client, name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
