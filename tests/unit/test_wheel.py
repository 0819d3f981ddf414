"""What other services install: the package `bide` alone, usable with its base dependencies alone."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]

#: What comes by extras only.
NOT_IN_BASE = (
    "httpx",
    "httpx_aiohttp",
    "aiohttp",
    "boto3",
    "flower",
    "structlog",
    "pydantic_settings",
    "redbeat",
    "standardwebhooks",
)


def build(folder: Path) -> Path:
    """The wheel, built into `folder` from the library alone."""
    source = folder / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE", "bide"):
        (source / name).symlink_to(ROOT / name)
    code = "import sys; from setuptools.build_meta import build_wheel; build_wheel(sys.argv[1])"
    subprocess.run([sys.executable, "-c", code, str(folder)], cwd=source, check=True, capture_output=True)
    [wheel] = folder.glob("*.whl")
    return wheel


def test_wheel_holds_the_library_alone(tmp_path: Path) -> None:
    """The wheel has `bide` with its Lua scripts and its type marker, and nothing of the application."""
    wheel = build(tmp_path)
    names = [name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name]
    assert all(name.startswith("bide/") for name in names)
    assert {"bide/py.typed", "bide/ledger/scripts/job/step.lua", "bide/bulk/scripts/open.lua"} <= set(names)


def test_client_needs_no_extra() -> None:
    """A caller's process imports the client, the contract and the command without anything an extra brings."""
    missing = "\n".join(f"sys.modules[{name!r}] = None" for name in NOT_IN_BASE)
    imports = (
        "import bide.client, bide.contract, bide.cli.main, bide.providers, bide.schema; bide.providers.installed()"
    )
    code = f"import sys\n{missing}\n{imports}"
    subprocess.run([sys.executable, "-W", "error", "-c", code], cwd=ROOT, check=True)


def test_the_clients_are_names_of_the_package() -> None:
    """`from bide import Client` is what a user types first; `import bide` alone brings neither Celery nor Redis."""
    light = "import bide, sys; assert not {'celery', 'redis', 'pydantic'} & set(sys.modules), 'import bide is heavy'"
    found = "from bide import AsyncClient, Client; import bide.client; assert Client is bide.client.Client"
    known = "assert {'Client', 'AsyncClient'} <= set(dir(bide)) and not hasattr(bide, 'Clint')"
    subprocess.run([sys.executable, "-W", "error", "-c", "\n".join((light, found, known))], cwd=ROOT, check=True)
