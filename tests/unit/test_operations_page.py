"""docs/operations.md: what it tells operators to type exists, and every alert leads to its place there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest
import yaml

from bide.cli.main import main
from bide.settings.model import KNOWN
from bide.settings.reader import PREFIX
from bide.settings.variables import find, variable_path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "operations.md").read_text()
RULES = [
    rule
    for path in sorted((ROOT / "deploy" / "prometheus").glob("*.yml"))
    for group in yaml.safe_load(path.read_text())["groups"]
    for rule in group["rules"]
    if "alert" in rule
]

#: `bide ...` in backticks, or in a block of code behind anything.
COMMANDS = sorted(
    {
        line.strip()
        for line in re.findall(r"`(bide [a-z][^`\n]*)`|(?<=\W)(bide [a-z]+)$", PAGE, re.MULTILINE)
        for line in line
        if line
    }
)


@pytest.mark.parametrize("line", COMMANDS)
def test_command_exists(line: str) -> None:
    """Command, sub-command and options are the program's, and arguments, where there are any, are as it takes them."""
    words = shlex.split(line)[1:]
    command: click.Command = main
    while isinstance(command, click.Group):
        assert words, line
        name = words.pop(0)
        assert name in command.commands, line
        command = command.commands[name]

    known = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= known
    if words:
        command.make_context("bide", words)


def test_commands_are_found() -> None:
    """The page is read as it is written: these are surely there."""
    assert {"bide doctor", "bide explain JOB", "bide failed replay JOB", "bide unconfirmed list"} <= set(COMMANDS)


def test_links_lead_somewhere() -> None:
    """Each link within the page has its heading or anchor, and each file that is linked is there."""
    headings = re.findall(r"(?m)^#+ (.+)$", PAGE)
    places = {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in headings}
    places |= set(re.findall(r'<a id="([^"]+)">', PAGE))
    targets = re.findall(r"\]\(([^)]+)\)", PAGE)

    assert len(targets) > 20
    assert {target for target in targets if target.startswith("#") and target[1:] not in places} == set()
    assert [
        t for t in targets if not t.startswith(("#", "http")) and not (ROOT / "docs" / t.partition("#")[0]).exists()
    ] == []


def test_every_alert_has_its_place() -> None:
    """The runbook of each rule is an anchor of this page; and no anchor is left of an alert that is gone."""
    wanted = {rule["annotations"]["runbook_url"].partition("docs/operations.md#")[2] for rule in RULES}
    anchors = {place for place in re.findall(r'<a id="([^"]+)">', PAGE) if place.startswith("alert-")}

    assert wanted
    assert anchors == wanted
    assert {rule["alert"] for rule in RULES} == set(re.findall(r"(?m)^### (Bide\w+)$", PAGE))


def test_variables_and_files_exist() -> None:
    """Settings that the page names are settings, and files of the repository are there."""
    variables = set(re.findall(rf"\b{PREFIX}[A-Z0-9_]*[A-Z0-9]\b", PAGE.replace("<NAME>", "PHOTOGPT")))
    files = re.findall(r"`((?:deploy|config|docs)/[\w./-]+)`", PAGE)

    assert len(variables) >= 8
    assert [n for n in sorted(variables - {"BIDE_FLOWER_PORT"}) if not find(KNOWN, variable_path(n))] == []
    assert len(files) >= 4
    assert [name for name in files if not (ROOT / name).exists()] == []
