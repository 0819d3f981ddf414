"""deploy/: each metric and label that the dashboard and the alert rules ask for is one that `bide metrics` exports."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import fakeredis
import promql_parser as promql
import pytest
import redis
import yaml
from prometheus_client.samples import Sample

from bide.bulk.names import RUNS_KEY, run_prefix
from bide.contract import QUEUES
from bide.money.budgets import Budget
from bide.money.quote import Quote
from tests.contract.ledger_stage import Clock, Stage
from workers.metrics.families import families
from workers.metrics.reading import read

DEPLOY = Path(__file__).parents[2] / "deploy"
RULES_FILE = DEPLOY / "prometheus" / "bide.rules.yml"
RULES: list[dict[str, Any]] = [
    rule for group in yaml.safe_load(RULES_FILE.read_text())["groups"] for rule in group["rules"]
]
RUNBOOKS = (DEPLOY.parent / "docs" / "operations.md").read_text()
DASHBOARD: dict[str, Any] = json.loads((DEPLOY / "grafana" / "bide.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]

#: The dashboard of several deployments; the label that is not exported is that of their targets.
LEDGERS: dict[str, Any] = json.loads((DEPLOY / "grafana" / "ledgers.json").read_text())
OF_TARGETS = {"ledger"}

#: What Grafana fills in, by what it may fill in.
GRAFANA = {"$__rate_interval": "2m", "$provider": ".*", "$account": ".*"}


@pytest.fixture(scope="module")
def samples() -> list[Sample]:
    """What is exported of a ledger that has something of everything."""
    server: redis.Redis = fakeredis.FakeRedis(decode_responses=True, version=(7,))
    stage = Stage(server, Clock())
    stage.open("a")
    stage.clock.now = time.time()  # the exporter shows what is spent today by the server's clock
    stage.submitting("b", quote=Quote(40_000, "USD"), tenant="acme")
    stage.ledger.budgets.publish([Budget("all", 80_000, "USD")])
    server.hset(f"{run_prefix('r')}record", mapping={"state": "running", "rows": 5})
    server.zadd(RUNS_KEY, {"r": 0})
    for account in stage.ledger.accounts.names():
        stage.ledger.accounts.sweep(account)
    found = families(read(server, lambda: dict.fromkeys(QUEUES, 0)))
    return [one for metric in found for one in metric.samples]


@pytest.fixture(scope="module")
def exported(samples: list[Sample]) -> dict[str, set[str]]:
    """The names of all samples, with their labels."""
    return {one.name: set(one.labels) for one in samples}


def expressions() -> Iterator[tuple[str, str]]:
    """Every expression, with where it stands."""
    for rule in RULES:
        yield rule["alert"], rule["expr"]
    for panel in [*PANELS, *LEDGERS["panels"]]:
        for target in panel["targets"]:
            text = target["expr"]
            for name, value in GRAFANA.items():
                text = text.replace(name, value)
            yield panel["title"], text


def nodes(expression: Any) -> Iterator[Any]:
    """A parsed expression and all its parts."""
    yield expression
    parts = [getattr(expression, name, None) for name in ("expr", "lhs", "rhs", "vector_selector", "param")]
    for part in (*parts, *getattr(expression, "args", ())):
        if part is not None:
            yield from nodes(part)


EXPRESSIONS = list(expressions())
every_expression = pytest.mark.parametrize(
    ("place", "expression"), EXPRESSIONS, ids=[place for place, _ in EXPRESSIONS]
)


@every_expression
def test_metrics_and_labels_exist(place: str, expression: str, exported: dict[str, set[str]]) -> None:
    """It parses as PromQL, and selects and groups by what there is."""
    parsed = list(nodes(promql.parse(expression)))
    selectors = [node for node in parsed if isinstance(node, promql.VectorSelector)]
    assert {node.name for node in selectors} == set(re.findall(r"bide_\w+", expression)), "none was overlooked"
    labels = set[str]()
    for selector in selectors:
        assert selector.name in exported, f"{place}: {selector.name}"
        assert {matcher.name for matcher in selector.matchers.matchers} <= exported[selector.name], place
        labels |= exported[selector.name]
    for node in parsed:
        if isinstance(node, promql.AggregateExpr) and node.modifier:
            assert set(node.modifier.labels) <= labels | OF_TARGETS, place


@every_expression
def test_words_in_matchers_exist(place: str, expression: str, samples: list[Sample]) -> None:
    """A state, outcome or queue that is asked for is one that is exported, not a misspelt one that never fires."""
    known = {label for one in samples for label in one.labels.items()}
    for name, wanted in re.findall(r'(\w+)=~?"([^"]*)"', expression):
        assert {(name, word) for word in wanted.split("|") if word != ".*"} <= known, place


# Alert rules


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule["alert"]))
def test_alert_says_what_and_where_to_read_on(rule: dict[str, Any]) -> None:
    """A severity, a summary, and the runbook's section that is named after the alert."""
    kebab = re.sub(r"(?<!^)(?=[A-Z])", "-", rule["alert"]).lower()
    assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
    assert rule["labels"]["severity"] in ("critical", "warning", "info")
    assert rule["annotations"]["summary"].endswith(".")
    assert rule["annotations"]["runbook_url"].endswith(f"/docs/operations.md#alert-{kebab}")
    assert f'<a id="alert-{kebab}"></a>' in RUNBOOKS


def test_alerts_name_labels_that_their_expression_keeps(exported: dict[str, set[str]]) -> None:
    """An alert's summary names no label that its expression drops."""
    for rule in RULES:
        used = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))
        names = re.findall(r"bide_\w+", rule["expr"])
        assert used <= set.union(*(exported[name] for name in names)), rule["alert"]


def test_alert_names_differ() -> None:
    """Each has one runbook."""
    names = [rule["alert"] for rule in RULES]
    assert len(names) == len(set(names)) >= 15


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed (Debian: prometheus)")
def test_promtool_accepts_the_rules() -> None:
    """Prometheus's own judgement, templates included."""
    checked = subprocess.run(["promtool", "check", "rules", RULES_FILE], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


#: Series by the minute, and the alerts that they are to raise at a time.
COURSES: dict[str, tuple[dict[str, str], str, set[str]]] = {
    "an unconfirmed job": (
        {'bide_jobs{provider="p",account="a",state="unconfirmed"}': "0x5 1x10"},
        "10m",
        {"BideUnconfirmed"},
    ),
    "a budget is nearly used up": (
        {
            'bide_budget_reserved{budget="b",currency="USD"}': "0x5 1x10",
            'bide_budget_spent{budget="b",currency="USD"}': "7x15",
            'bide_budget_limit{budget="b",currency="USD"}': "10x15",
        },
        "10m",
        {"BideBudgetNearlySpent"},
    ),
    "a budget is used up": (
        {
            'bide_budget_reserved{budget="b",currency="USD"}': "2x15",
            'bide_budget_spent{budget="b",currency="USD"}': "7x5 8x10",
            'bide_budget_limit{budget="b",currency="USD"}': "10x15",
        },
        "10m",
        {"BideBudgetNearlySpent", "BideBudgetSpent"},
    ),
    "jobs wait for a budget": (
        {
            'bide_budget_reserved{budget="b",currency="USD"}': "0x15",
            'bide_budget_spent{budget="b",currency="USD"}': "7x15",
            'bide_budget_limit{budget="b",currency="USD"}': "10x15",
            'bide_budget_waiting_jobs{budget="b",currency="USD"}': "0x5 2x10",
        },
        "10m",
        {"BideBudgetSpent"},
    ),
    "a doubt grows old": (
        {'bide_oldest_unconfirmed_seconds{provider="p",account="a"}': "0+60x90"},
        "80m",
        {"BideDoubtOld"},
    ),
    "a doubt is young": (
        {'bide_oldest_unconfirmed_seconds{provider="p",account="a"}': "0+60x50 0x40"},
        "55m",
        set(),
    ),
    "all is well": (
        {
            'bide_queue_messages{queue="bide.submit"}': "5x60",
            'bide_submits_total{provider="p",account="a",outcome="submitted"}': "0+10x60",
            'bide_poll_lateness_seconds_bucket{provider="p",account="a",le="0.5"}': "0+10x60",
            'bide_poll_lateness_seconds_bucket{provider="p",account="a",le="+Inf"}': "0+10x60",
            'bide_run_rows{run="r"}': "100x60",
            'bide_run_done_rows{run="r"}': "0+1x60",
        },
        "60m",
        set(),
    ),
    "nobody submits": (
        {
            'bide_queue_messages{queue="bide.submit"}': "5x60",
            'bide_submits_total{provider="p",account="a",outcome="submitted"}': "0+10x10 100x50",
        },
        "60m",
        {"BideQueueNotConsumed"},
    ),
    "nobody submits in one ledger of two": (
        {
            'bide_queue_messages{queue="bide.submit",ledger="eu"}': "5x60",
            'bide_submits_total{provider="p",account="a",outcome="submitted",ledger="eu"}': "0+10x10 100x50",
            'bide_queue_messages{queue="bide.submit",ledger="us"}': "5x60",
            'bide_submits_total{provider="p",account="b",outcome="submitted",ledger="us"}': "0+10x60",
        },
        "60m",
        {"BideQueueNotConsumed"},
    ),
    "polls are late": (
        {
            'bide_poll_lateness_seconds_bucket{provider="p",account="a",le="10.0"}': "0+1x60",
            'bide_poll_lateness_seconds_bucket{provider="p",account="a",le="30.0"}': "0+10x60",
            'bide_poll_lateness_seconds_bucket{provider="p",account="a",le="+Inf"}': "0+10x60",
        },
        "60m",
        {"BidePollsLate"},
    ),
    "a run stands still": (
        {'bide_run_rows{run="r"}': "100x90", 'bide_run_done_rows{run="r"}': "0+1x10 10x80"},
        "90m",
        {"BideRunStuck"},
    ),
    "jobs fail": (
        {
            'bide_failed_jobs_total{provider="p",account="a",code="rejected"}': "0+5x60",
            'bide_stores_total{provider="p",account="a",outcome="stored"}': "0+5x60",
        },
        "60m",
        {"BideJobsFailing"},
    ),
}


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed (Debian: prometheus)")
@pytest.mark.parametrize("course", COURSES)
def test_alerts_fire_when_they_should(course: str, tmp_path: Path) -> None:
    """Prometheus's own evaluation of a made-up course of things: these alerts are raised, and no others."""
    series, at, raised = COURSES[course]
    up = {"bide_up": "1x200", "bide_broker_up": "1x200"}
    inputs = [{"series": name, "values": values} for name, values in (up | series).items()]
    query = 'count by (alertname) (ALERTS{alertstate="firing"})'
    samples = [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in sorted(raised)]
    asked = {
        "interval": "1m",
        "input_series": inputs,
        "promql_expr_test": [{"expr": query, "eval_time": at, "exp_samples": samples}],
    }
    file = tmp_path / "course.yml"
    file.write_text(yaml.safe_dump({"rule_files": [str(RULES_FILE)], "evaluation_interval": "1m", "tests": [asked]}))
    checked = subprocess.run(["promtool", "test", "rules", file], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


# Dashboard


def test_dashboard_is_one_that_grafana_imports() -> None:
    """The fields that it needs; ids differ, and each panel asks the chosen Prometheus something."""
    assert DASHBOARD["uid"] == "bide"
    assert DASHBOARD["schemaVersion"] >= 36
    assert [one["name"] for one in DASHBOARD["templating"]["list"]] == ["datasource", "provider", "account"]
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))
    for panel in PANELS:
        assert panel["type"] in ("stat", "timeseries")
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert [target["refId"] for target in panel["targets"]] == list("ABC")[: len(panel["targets"])]
        assert panel["fieldConfig"]["defaults"]["unit"]


def test_dashboard_of_ledgers_has_a_line_for_each() -> None:
    """It is one of its own, and every panel tells the ledgers apart."""
    assert LEDGERS["uid"] == "bide-ledgers"
    for panel in LEDGERS["panels"]:
        [target] = panel["targets"]
        assert "by (ledger)" in target["expr"]
        assert target["legendFormat"] == "{{ledger}}"


@pytest.mark.parametrize("dashboard", [DASHBOARD, LEDGERS], ids=lambda it: str(it["uid"]))
def test_panels_do_not_overlap(dashboard: dict[str, Any]) -> None:
    """Each has its place within the 24 columns, under the title of its row."""
    places = [(panel["title"], panel["gridPos"]) for panel in dashboard["panels"]]
    for title, at in places:
        assert at["x"] >= 0, title
        assert at["x"] + at["w"] <= 24, title
    for (one, a), (other, b) in combinations(places, 2):
        beside = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
        assert beside or a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"], f"{one} lies on {other}"


def test_dashboard_has_its_rows() -> None:
    """In the order in which an operator asks."""
    rows = [panel["title"] for panel in DASHBOARD["panels"] if panel["type"] == "row"]
    assert rows == ["Now", "Flow", "Money", "Tenants", "Polls", "Queues and repairs", "Bulk"]
