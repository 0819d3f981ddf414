"""`python -m sandbox`: start the simulated providers."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from sandbox.server import Address, base_urls, serve
from sandbox.world import Options


@click.command(context_settings={"show_default": True})
@click.option("--host", default="127.0.0.1", help="Address to listen on.")
@click.option("--port", default=0, help="Port to listen on; 0: the system chooses.")
@click.option("--latency", default=4.0, help="Mean time of a job [seconds]; each lies within 30 % of it.")
@click.option("--seed", default=0, help="Another seed gives other latencies, pictures and chances.")
@click.option("--result-bytes", type=int, help="Pad results to about so many bytes; one picture serves all of a kind.")
@click.option("--journal", type=click.Path(dir_okay=False, path_type=Path), help="File that keeps the purchases.")
@click.option("--port-file", type=click.Path(dir_okay=False, path_type=Path), help="File to write the port to.")
@click.option(
    "--certificate",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Key and certificate (PEM), for a second port that speaks TLS.",
)
@click.option("--key", default="", show_default=False, help="The only key to take; without it any but bad-key.")
def main(  # noqa: PLR0913 - one for each option
    *,
    host: str,
    port: int,
    latency: float,
    seed: int,
    result_bytes: int | None,
    journal: Path | None,
    port_file: Path | None,
    certificate: Path | None,
    key: str,
) -> None:
    """Simulate the APIs of all providers on one address."""

    def ready(bound: int, with_tls: int) -> None:
        if port_file is not None:
            _write_whole(port_file, f"{bound}\n")
        urls = base_urls(f"http://{host}:{bound}")
        tls = {"tls": f"https://{host}:{with_tls}"} if with_tls else {}
        click.echo("sandbox ready: " + " ".join(f"{name}={url}" for name, url in (urls | tls).items()))

    options = Options(latency_seconds=latency, seed=seed, result_bytes=result_bytes, journal=journal, key=key)
    try:
        asyncio.run(serve(options, Address(host, port, certificate), ready))
    except OSError as error:
        raise click.ClickException(str(error)) from error


def _write_whole(path: Path, text: str) -> None:
    """Write so that a reader finds all of it or no file."""
    draft = path.with_name(path.name + ".part")
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)


if __name__ == "__main__":
    main()
