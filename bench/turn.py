"""`python -m bench.turn SCENARIOS CONTENDER`: one contender in a process and on servers of its own."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterator, Sequence

import click

from bench import burst, held, in_flight, killed, paced, start, waiting
from bench.figures import Values
from bench.film import show
from bench.sizes import SIZES, Sizes
from bench.stage import bide, stage
from bench.waves import await_all, names_of

#: What a process of the bench says before its figures.
SAYS = "values "


#: Scenarios that may be taken one after the other of the same contender, as it runs: they begin with a warm-up.
TIMED = ("burst", "paced")


def take(scenarios: Sequence[str], contender: str, sizes: Sizes) -> Iterator[tuple[str, Values]]:
    """The figures of each scenario; `contender` is the variant where a scenario is bide's alone."""
    if not set(scenarios) <= set(TIMED):
        [scenario] = scenarios
        yield scenario, _take_one(scenario, contender, sizes)
        return
    with stage(contender, latency_seconds=sizes.latency_seconds) as one:
        warm = names_of(one, "warm", sizes.warm_jobs)
        one.submit(warm)
        await_all(one, warm)
        if "burst" in scenarios:
            yield "burst", burst.measure(one, jobs=sizes.burst_jobs)
        if "paced" in scenarios:
            yield "paced", paced.measure(one, per_second=sizes.paced_per_second, seconds=sizes.paced_seconds)


def _take_one(scenario: str, contender: str, sizes: Sizes) -> Values:
    match scenario:
        case "held":
            with stage(contender, latency_seconds=sizes.held_latency_seconds) as one:
                return held.measure(one, jobs=sizes.held_jobs)
        case "kill":
            with stage(contender, latency_seconds=sizes.kill_latency_seconds) as one:
                patience, quiet = sizes.kill_patience_seconds, sizes.quiet_seconds
                return killed.measure(one, jobs=sizes.kill_jobs, quiet_seconds=quiet, patience_seconds=patience)
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
@click.argument("scenarios")
@click.argument("contender")
@click.option("--size", type=click.Choice(list(SIZES)), default="full")
def main(scenarios: str, contender: str, size: str) -> None:
    """Measure one scenario, or "burst,paced", and say the figures of each in one line of JSON."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # all that was started ends with us
    for scenario, values in take(scenarios.split(","), contender, SIZES[size]):
        click.echo(SAYS + json.dumps([scenario, values]))


if __name__ == "__main__":
    main()
