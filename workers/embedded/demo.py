"""`bide demo`: a stack whose providers are simulated, one job of each kind, a bulk run, and what came of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from bide.client import Client
from bide.errors import JobFailed
from bide.printable import printable
from workers.embedded.callbacks import calling_here, secret_file, signing
from workers.embedded.demo_bulk import DemoBulk, demo_bulk
from workers.embedded.demo_jobs import demo_jobs
from workers.embedded.demo_status import JobStatus, files_of
from workers.embedded.environment import (
    DEMO_MONEY,
    NO_BUDGETS,
    broker_environment,
    demo_environment,
    sandbox_environment,
)
from workers.embedded.processes import generate_access, start_processes, wait_ready
from workers.embedded.runs import until_stopped
from workers.embedded.servers import ObjectStore, start_broker, start_objects, start_sandbox
from workers.embedded.show import showing
from workers.embedded.stack import Stack
from workers.embedded.terminal import err, out, say

#: Between two reads of the jobs' states [seconds].
READ_SECONDS = 0.25

#: How long the jobs may take in all, and the bulk run after them [seconds]; each takes about fifteen.
LONGEST_SECONDS = 180.0

#: How long the simulated providers take for a job, about [seconds].
LATENCY_SECONDS = 4.0


#: What a person does next, while the stack runs.
NEXT_STEPS = """
in a second terminal, in this folder:
  .venv/bin/bide submit photogpt images.generation -p modelID=m1 -p prompt="a red fox" --wait
  .venv/bin/bide jobs --state all     what there is; `bide open JOB` shows it, `bide explain JOB` tells its story
  kill -9 {worker:<27} kills the worker: it starts again, and a job under way goes on"""


def demo(stack: Stack, *, keep: bool) -> int:
    """Start the stack, run the jobs and a bulk run, report; 0 if all succeeded."""
    shell, access = demo_environment(), generate_access(stack)
    broker_url, objects, servers = _start_servers(stack, shell)
    budgets = stack.folder / "budgets.toml"
    budgets.write_text(NO_BUDGETS, encoding="utf-8")
    servers |= DEMO_MONEY | {"BIDE_BUDGETS": str(budgets)}
    own = {**access.environment, **signing(stack), **calling_here(), "BIDE_FLOWER__PORT": "0", "BIDE_PAGES__PORT": "0"}
    processes = start_processes(stack, {**shell, **servers, **own})
    with Client(broker_url, uploads=objects.open()) as client, demo_bulk(broker_url, objects) as bulk:
        jobs = _submit(stack, client)
        say("starting", ", ".join(child.name for child in processes))
        opened = wait_ready(stack, processes)
        if keep:
            stack.supervise()
        stack.publish({"environment": {**servers, "BIDE_PAGES__URL": opened["pages"]}, **opened})
        for name, address in opened.items():
            say(name, address)
        say("log in", f"user {access.user}, password {access.password}")
        _watch(stack, client, jobs, bulk)
        succeeded = _report(client, jobs, objects.folder) & _report_bulk(bulk)
    if keep:
        out.print(f"\nlook at {opened['pages']} (user {access.user}, password {access.password}); Ctrl-C ends it all")
        worker = next(child.process.pid for child in processes if child.name == "worker")
        out.print(NEXT_STEPS.format(worker=worker), markup=False)
        return until_stopped(stack, 0 if succeeded else 1)
    out.print("\n`bide demo --keep` leaves the pages, Flower and the rest running.")
    return 0 if succeeded else 1


def _start_servers(stack: Stack, env: Mapping[str, str]) -> tuple[str, ObjectStore, dict[str, str]]:
    broker_url = start_broker(stack, env)
    say("broker", broker_url)
    objects = start_objects(stack, env)
    say("objects", f"{objects.endpoint_url}  as files in {_near(objects.folder)}")
    sandbox = start_sandbox(stack, env, latency_seconds=LATENCY_SECONDS)
    say("sandbox", f"{sandbox}  plays all providers")
    say("callbacks", f"signed with the secret in {_near(secret_file(stack))}")
    say("logs", _near(stack.folder / "logs"))
    return (
        broker_url,
        objects,
        {**broker_environment(broker_url), **objects.environment, **sandbox_environment(sandbox)},
    )


def _submit(stack: Stack, client: Client) -> list[JobStatus]:
    jobs = []
    for job in demo_jobs():
        stack.check()
        jobs.append(JobStatus(job, client.submit(job.request)))
    return jobs


def _watch(stack: Stack, client: Client, jobs: Sequence[JobStatus], bulk: DemoBulk) -> None:
    """Show the jobs until all are over, then the bulk run; give up when it takes too long."""
    with showing(out) as show:
        for _ in _reads(stack, lambda: all(job.over for job in jobs)):
            show.update(jobs, bulk, [job for job in jobs if job.read(client)])
        bulk.begin(stack.folder / "rows.jsonl")
        for _ in _reads(stack, lambda: bulk.over):
            show.update(jobs, bulk, [bulk] if bulk.read() else [])


def _reads(stack: Stack, over: Callable[[], bool]) -> Iterator[None]:
    """A turn for every read, until it is over or too late."""
    until = time.monotonic() + LONGEST_SECONDS
    while not over() and time.monotonic() < until:
        stack.check()
        yield
        stack.attention.sleep(READ_SECONDS)


def _report(client: Client, jobs: Sequence[JobStatus], folder: Path) -> bool:
    """Print where the objects lie, and why jobs did not succeed; whether all did."""
    out.print(f"\nstored; buckets are folders, objects are files in {_near(folder)}:", markup=False)
    reasons = {job.job_id: _why_not(client, job, folder) for job in jobs}
    failed = [job for job in jobs if reasons[job.job_id]]
    for job in failed:
        err.print(printable(f"{job.job.label} ({job.job_id}): {reasons[job.job_id]}"), markup=False)
    out.print(f"\n{len(jobs) - len(failed)} of {len(jobs)} jobs succeeded")
    return not failed


def _report_bulk(bulk: DemoBulk) -> bool:
    """Print where its contact sheet lies, and why rows did not succeed; whether all did."""
    progress = bulk.progress
    out.print(f"{progress['succeeded']} of {progress['rows']} rows of the bulk run {bulk.run_id} succeeded")
    if not bulk.succeeded:
        why = [f"it is {progress['state']}", progress["trouble"], progress["note"], *bulk.reasons()]
        err.print("\n".join(map(printable, filter(None, why))), markup=False)
    if not bulk.sheet.is_file():
        err.print(f"its contact sheet is not there: {bulk.sheet}", markup=False)
        return False
    out.print(f"its contact sheet, for a browser: [link={bulk.sheet.as_uri()}]{_near(bulk.sheet)}[/]")
    return bulk.succeeded


def _why_not(client: Client, job: JobStatus, folder: Path) -> str:
    """Why a job did not succeed; "" where it did, and its files are printed."""
    if not job.succeeded:
        return job.why()
    try:
        files = files_of(client, job, folder)
    except (JobFailed, TimeoutError) as error:
        return str(error)
    if missing := [file for file in files if not file.is_file()]:
        return f"its object is not there: {missing[0]}"
    for place in map(_near, files) if files else ["done; it leaves no file"]:
        out.print(f"  {job.job.label:28}  {place}", markup=False)
    return ""


def _near(file: Path) -> str:
    """The path relative to the current folder, where the file is inside of it."""
    return str(file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file)
