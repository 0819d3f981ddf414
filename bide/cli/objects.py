"""`bide open` and `bide get`: a job's stored objects, by signed addresses."""

from __future__ import annotations

import hashlib
import urllib.error
import urllib.request
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import click

from bide.cli.completion import complete_job
from bide.cli.connection import broker_option, connected
from bide.cli.jobs import unknown
from bide.cli.ledgers import choose_job
from bide.cli.output import echo

if TYPE_CHECKING:
    from bide.client import Client
    from bide.client.outputs import PresignedOutput

#: For how long an address is good that `bide open` prints [seconds].
LINK_SECONDS = 3600

#: How much of an object is held in memory at once [bytes].
CHUNK_BYTES = 1 << 20


@click.command("open")
@click.argument("job_id", metavar="JOB", shell_complete=complete_job)
@click.option("--print", "only_print", is_flag=True, help="Print the addresses and open nothing.")
@broker_option
def open_(job_id: str, only_print: bool, broker: str | None) -> None:
    """Open a job's objects in the browser, at addresses that are good for an hour."""
    choose_job(broker, job_id, aloud=True)
    with connected(broker) as client:
        found = _signed(client, job_id)
    for output in found:
        echo(output.url)
        if not only_print:
            click.launch(output.url)


@click.command()
@click.argument("job_id", metavar="JOB", shell_complete=complete_job)
@click.option("-o", "--output", "folder", type=click.Path(path_type=Path), help="Where to; default: ./JOB.")
@broker_option
def get(job_id: str, folder: Path | None, broker: str | None) -> None:
    """Download a job's objects; each is checked against the digest of what was stored."""
    choose_job(broker, job_id, aloud=True)
    with connected(broker) as client:
        found = _signed(client, job_id)
    target = folder or Path(job_id)
    target.mkdir(parents=True, exist_ok=True)
    for output in found:
        echo(str(_download(output, target / PurePosixPath(output.key).name)))


def _signed(client: Client, job_id: str) -> tuple[PresignedOutput, ...]:
    """The objects of a job that has succeeded; raises `ClickException` for any other, and `JobFailed`."""
    result = client.result(job_id, presign_seconds=LINK_SECONDS)
    if result is None:
        status = client.status(job_id)
        if status is None:
            raise unknown(job_id)
        raise click.ClickException(f"job {job_id} is {status.state}: it has no objects yet; `bide wait {job_id}`")
    if not result.outputs:
        raise click.ClickException(f"job {job_id} has succeeded and leaves no object")
    return result.outputs


def _download(output: PresignedOutput, path: Path) -> Path:
    """Write an object to `path`, whole or not at all."""
    if path.exists():
        raise click.ClickException(f"{path} is there already: take another folder by -o")
    part, digest = path.with_name(f".{path.name}.part"), hashlib.sha256()
    try:
        with urllib.request.urlopen(output.url) as answer, part.open("wb") as file:  # noqa: S310 - the store signed it
            while chunk := answer.read(CHUNK_BYTES):
                digest.update(chunk)
                file.write(chunk)
        if digest.hexdigest() != output.sha256:
            raise click.ClickException(f"{output.uri} is not what was stored: its SHA-256 is another")
        part.replace(path)
    except urllib.error.HTTPError as error:
        raise click.ClickException(
            f"{output.uri}: the store answers HTTP {error.code}; are its keys set here?"
        ) from None
    except OSError as error:
        raise click.ClickException(f"{output.uri}: {error.strerror or getattr(error, 'reason', error)}") from None
    finally:
        part.unlink(missing_ok=True)
    return path
