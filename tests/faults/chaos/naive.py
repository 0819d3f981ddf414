"""Plain Celery for the same jobs: one task that submits, polls by `self.retry(countdown=...)`, and stores.

The environment says which settings it runs with: Celery's own, or those that are usually recommended. It shares bide's
adapters, which only build requests and read answers, and nothing else.
"""

from __future__ import annotations

import base64
import json
import os
from typing import Any

import boto3
import httpx
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from celery import Celery

from bide.errors import BideError
from bide.polling.backoff import PollPlan
from bide.providers import find
from bide.providers.base import Account, Answer, Call, Finished, Media, Submission, Submitted, Succeeded, Ticket, Upload

TASK, QUEUE = "plain.generate", "plain"
SETTINGS_VARIABLE = "PLAIN_SETTINGS"

#: The same schedule as bide's in this rig.
PLAN = PollPlan(first_seconds=1.0, factor=1.5, cap_seconds=4.0)

#: What Celery's documentation and most answers to "Celery loses tasks" recommend. The visibility timeout is as short as
#: the longest step allows, which is kind to it: by default the messages of a killed worker come back after an hour.
RECOMMENDED: dict[str, Any] = {
    "task_acks_late": True,
    "task_reject_on_worker_lost": True,
    "worker_prefetch_multiplier": 1,
    "broker_transport_options": {"visibility_timeout": 60},
    "result_backend_always_retry": True,
}

#: Errors after which the task is tried again, as `autoretry_for` in Celery's documentation has it.
AGAIN = (httpx.HTTPError, BotoCoreError, ClientError, BideError)

url = os.environ["BIDE_BROKER_URL"]
app = Celery("plain", broker=url, backend=os.environ["BIDE_RESULT_URL"])
app.conf.update(task_default_queue=QUEUE, broker_connection_retry_on_startup=True, result_expires=7 * 24 * 3600)
if os.environ.get(SETTINGS_VARIABLE) == "recommended":
    app.conf.update(RECOMMENDED)
if master := os.environ.get("BIDE_SENTINEL_MASTER"):
    app.conf.broker_transport_options = {**app.conf.broker_transport_options, "master_name": master}
    app.conf.result_backend_transport_options = {"master_name": master}

client = httpx.Client(timeout=30.0, follow_redirects=True)


@app.task(bind=True, name=TASK, max_retries=None, autoretry_for=AGAIN, retry_backoff=1, retry_backoff_max=10)
def generate(self: Any, request: dict[str, Any], name: str, submitted: str = "", polls: int = 0) -> dict[str, Any]:
    """Submit, or poll and store."""
    adapter, account = find(request["provider"]), _account(request["provider"])
    if not submitted:
        pictures = {key: Upload(key, base64.b64decode(text), "image/png") for key, text in request["inputs"].items()}
        submission = Submission(name, request["operation"], request["params"], pictures)
        outcome = adapter.submit_outcome(_send(adapter.submit_call(submission, account)), submission, account)
        if isinstance(outcome, Finished):
            return _stored(name, outcome.outputs)
        if not isinstance(outcome, Submitted):
            raise RuntimeError(f"refused: {outcome}")
        raise self.retry(args=(request, name, outcome.provider_job_id), kwargs={}, countdown=PLAN.first())
    ticket = Ticket(request["operation"], submitted)
    found = adapter.poll_outcome(_send(adapter.poll_call(ticket, account)), ticket, account)
    if isinstance(found, Succeeded):
        return _stored(name, found.outputs)
    polls += 1
    raise self.retry(args=(request, name, submitted, polls), kwargs={}, countdown=PLAN.after(polls))


def _send(call: Call) -> Answer:
    files = call.form and [(key, (None, part) if isinstance(part, str) else part) for key, part in call.form.items()]
    answer = client.request(
        call.method, call.url, params=call.query or None, headers=dict(call.headers), json=call.json, files=files
    )
    return Answer(answer.status_code, {key.lower(): value for key, value in answer.headers.items()}, answer.content)


def _stored(name: str, outputs: tuple[Media, ...]) -> dict[str, Any]:
    keys = []
    for number, media in enumerate(outputs):
        content = media.content or client.get(media.url).raise_for_status().content
        keys.append(f"{name}/{number}")
        _storage().put_object(Bucket=os.environ["BIDE_S3__BUCKET"], Key=keys[-1], Body=content)
    record = json.dumps({"job_id": name, "outputs": keys}).encode()
    _storage().put_object(Bucket=os.environ["BIDE_S3__BUCKET"], Key=f"{name}/job.json", Body=record)
    return {"state": "succeeded", "outputs": keys}


def _storage() -> Any:
    if not _opened:
        env = os.environ
        _opened.append(
            boto3.client(
                "s3",
                endpoint_url=env["BIDE_S3__ENDPOINT_URL"],
                region_name=env["BIDE_S3__REGION"],
                config=Config(s3={"addressing_style": "path"}),
            )
        )
    return _opened[0]


_opened: list[Any] = []


def _account(provider: str) -> Account:
    variable = f"BIDE_PROVIDERS__{provider.upper()}__"
    return Account(os.environ[f"{variable}BASE_URL"], os.environ[f"{variable}API_KEY"])
