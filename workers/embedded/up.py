"""`bide up`: the stack for one's own providers; only what the environment and `.env` do not name is brought along."""

from __future__ import annotations

import os
from collections.abc import Set

import click

from bide.cli.connection import check_answers
from bide.settings.environment import EnvironmentReader
from bide.settings.model import KNOWN, Settings
from bide.settings.reader import export_store_variables, read_env_file
from config.settings import ENV_FILE, load
from workers.embedded.callbacks import calling_here, secret_file, signing
from workers.embedded.missing import say_what_is_missing
from workers.embedded.named_servers import start_servers
from workers.embedded.processes import generate_access, start_processes, wait_ready
from workers.embedded.runs import until_stopped
from workers.embedded.stack import Stack, StackError, write_private
from workers.embedded.terminal import out, say

#: Variables whose values stay in the file that only this user can read.
_SECRET = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")

#: Other variables by which Flower learns its port.
_FLOWER_PORTS = ("FLOWER_PORT", "PORT")

#: Other variables by which Flower learns who may log in.
_FLOWER_AUTHENTICATION = ("FLOWER_BASIC_AUTH", "FLOWER_AUTH", "FLOWER_UNIX_SOCKET")


def up(stack: Stack, *, servers_only: bool = False, replicated: bool = False) -> int:
    """Run until a signal ends it; raises `ConfigurationProblems` before the processes are started."""
    variables = set(EnvironmentReader(KNOWN, os.environ, ENV_FILE).variables)
    servers = start_servers(stack, replicated=replicated)
    if servers_only:
        stack.supervise()
        _tell_clients(stack, servers)
        return until_stopped(stack, 0)
    os.environ.update(servers)
    settings = load()
    export_store_variables(read_env_file(ENV_FILE))
    _check_ledger(settings)
    say_what_is_missing(settings)
    env = {**os.environ, **_process_environment(stack, variables, settings)}
    opened = wait_ready(stack, start_processes(stack, env))
    stack.supervise()
    for name, address in opened.items():
        say(name, address)
    say("logs", str(stack.folder / "logs"))
    pages = settings.pages.url or opened["pages"]
    stack.publish({"environment": {**servers, "BIDE_PAGES__URL": pages}, **opened})
    _tell_clients(stack, servers)
    return until_stopped(stack, 0)


def _check_ledger(settings: Settings) -> None:
    """Raise `StackError` where Redis does not answer: the processes would wait for it without a word."""
    try:
        check_answers(settings.ledger_url, settings.sentinel_master)
    except click.ClickException as error:
        remedy = "start it, mend BIDE_BROKER_URL, or take that line out of .env: `bide up` then brings a broker along"
        raise StackError(f"{error.message}; {remedy}") from None


def _process_environment(stack: Stack, variables: Set[str], settings: Settings) -> dict[str, str]:
    """What the processes need besides: ports and a password for browsers, and what the Procfile asks the shell for."""
    env = {"BIDE_POLLER__CONCURRENCY": str(settings.poller.concurrency)}
    if "BIDE_FLOWER__PORT" not in variables and not any(os.environ.get(name) for name in _FLOWER_PORTS):
        env["BIDE_FLOWER__PORT"] = "0"
    if "BIDE_PAGES__PORT" not in variables:
        env["BIDE_PAGES__PORT"] = "0"
    if settings.pages.url:
        env["BIDE_PAGES__URL"] = settings.pages.url
    if settings.flower.password is None and not any(os.environ.get(name) for name in _FLOWER_AUTHENTICATION):
        access = generate_access(stack)
        say("log in", f"user {access.user}, password {access.password}")
        env |= access.environment
    return env | _callbacks(stack, variables, settings)


def _callbacks(stack: Stack, variables: Set[str], settings: Settings) -> dict[str, str]:
    """What callbacks need beyond the settings; where others can submit, none goes to this machine unasked."""
    env: dict[str, str] = {}
    if settings.callbacks.secret is None:
        env |= signing(stack)
        say("callbacks", f"signed with the secret in {secret_file(stack)}")
    if not variables & {"BIDE_BROKER_URL", "BIDE_CALLBACKS__ALLOWED_HOSTS"}:
        env |= calling_here()
    return env


def _tell_clients(stack: Stack, servers: dict[str, str]) -> None:
    lines = {name: f"export {name}={value!r}" for name, value in servers.items() if not name.lower().endswith("_proxy")}
    file = stack.folder / "client.env"
    write_private(file, "\n".join(lines.values()) + "\n")
    out.print(f"\nfor clients (with the keys: `. {file}`):" if servers else "\nready; Ctrl-C ends it", markup=False)
    for name, line in lines.items():
        if name not in _SECRET:
            out.print(f"  {line}", markup=False)
