"""`python -m bench.turn SCENARIO CONTENDER`: one scenario, one contender, in a process and on servers of its own."""

from __future__ import annotations

import json
import signal
import sys

import click

from bench import burst, in_flight, killed, paced, start, waiting
from bench.figures import Values
from bench.film import show
from bench.sizes import SIZES, Sizes
from bench.stage import bide, stage

#: What a process of the bench says before its figures.
SAYS = "values "


def take(scenario: str, contender: str, sizes: Sizes) -> Values:
    """The figures of one turn; `contender` is the variant where a scenario is bide's alone."""
    match scenario:
        case "burst":
            with stage(contender, latency_seconds=sizes.latency_seconds) as one:
                return burst.measure(one, jobs=sizes.burst_jobs, warm_jobs=sizes.warm_jobs)
        case "kill":
            with stage(contender, latency_seconds=sizes.kill_latency_seconds) as one:
                patience, quiet = sizes.kill_patience_seconds, sizes.quiet_seconds
                return killed.measure(one, jobs=sizes.kill_jobs, quiet_seconds=quiet, patience_seconds=patience)
        case "paced":
            with stage(contender, latency_seconds=sizes.latency_seconds) as one:
                per_second, seconds = sizes.paced_per_second, sizes.paced_seconds
                return paced.measure(one, per_second=per_second, seconds=seconds, warm_jobs=sizes.warm_jobs)
    return _of_bide(scenario, contender, sizes)


def _of_bide(scenario: str, variant: str, sizes: Sizes) -> Values:
    match scenario:
        case "in flight":
            flight = dict(sizes.flights)[variant]
            with bide(latency_seconds=flight.latency_seconds, environment=in_flight.environment_of(flight)) as one:
                return in_flight.measure(one, flight=flight)
        case "waiting":
            with bide(latency_seconds=waiting.LATENCY_SECONDS) as one:
                return waiting.measure(one, jobs=sizes.waiting_jobs)
        case "start":
            with bide(latency_seconds=start.LATENCY_SECONDS, environment=start.ENVIRONMENT) as one:
                return start.measure(one, jobs=sizes.start_jobs)
        case "film":
            with bide(latency_seconds=sizes.kill_latency_seconds) as one:
                film = show(one, sizes.film_bytes)
                return {"bytes": film.film_bytes, "peak_bytes": film.peak_bytes, "arrived": int(film.arrived)}
    raise click.BadParameter(f"{scenario}: there is no such scenario")


@click.command()
@click.argument("scenario")
@click.argument("contender")
@click.option("--size", type=click.Choice(list(SIZES)), default="full")
def main(scenario: str, contender: str, size: str) -> None:
    """Measure, and say the figures in one line of JSON."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # all that was started ends with us
    values = take(scenario, contender, SIZES[size])
    click.echo(SAYS + json.dumps(values))


if __name__ == "__main__":
    main()
