"""The figures of tenants in Prometheus's terms: so many of an account by name, the others together as `other`."""

from __future__ import annotations

from collections import Counter as Counts
from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from bide.contract import FINAL_STATES
from bide.ledger.tenants import OTHER, TenantCount
from workers.metrics.reading import Account

_LABELS = ("provider", "account", "tenant")


def tenant_families(accounts: tuple[Account, ...]) -> Iterator[Metric]:
    """The metrics of all accounts; jobs without a tenant have the tenant ''."""
    in_line = GaugeMetricFamily("bide_tenant_jobs_in_line", "Jobs of a tenant that wait in line.", labels=_LABELS)
    in_flight = GaugeMetricFamily(
        "bide_tenant_in_flight", "Places that a tenant takes at the provider.", labels=_LABELS
    )
    submitted = CounterMetricFamily(
        "bide_tenant_submitted_jobs", "Submits of a tenant's jobs that were accepted.", labels=_LABELS
    )
    ended = CounterMetricFamily(
        "bide_tenant_ended_jobs", "Jobs of a tenant that ended, by how.", labels=[*_LABELS, "state"]
    )
    over_budget = CounterMetricFamily(
        "bide_tenant_over_budget_jobs", "Jobs of a tenant that a budget had no room for, each time.", labels=_LABELS
    )
    for account in accounts:
        lines, places, counted = Counts[str](), Counts[str](), dict[str, TenantCount]()
        for each in account.tenants:
            name = each.tenant if each.counted or not each.tenant else OTHER
            lines[name] += each.in_line
            places[name] += each.in_flight
            if each.counted:
                counted[name] = each
        for name in lines:
            in_line.add_metric([*account.name, name], lines[name])
            in_flight.add_metric([*account.name, name], places[name])
        for name, each in counted.items():
            submitted.add_metric([*account.name, name], each.counted["submitted"])
            over_budget.add_metric([*account.name, name], each.counted["over_budget"])
            for state in sorted(FINAL_STATES):
                ended.add_metric([*account.name, name, state], each.counted[state])
    yield from (in_line, in_flight, submitted, ended, over_budget)
