"""A session with Replicate's own client, unmodified, which the environment points at the sandbox; prints JSON."""

from __future__ import annotations

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import replicate
from replicate.exceptions import ModelError, ReplicateError
from replicate.helpers import FileOutput
from replicate.prediction import Prediction

MODEL, HEX = "owner/flux", "5c7d5dc6dd8bf75c1acaa8565735e7986bc5b66206b55cca93cb72c9bf15ccaa"

#: What may befall a prediction, by the faults of the sandbox.
FAULTS = ("fail:out_of_memory", "moderated", "aborted", "result_expired", "expired")


def ran(ref: str, **given: Any) -> dict[str, Any]:
    """`replicate.run`: what it gave, files by their first bytes, or what it raised."""
    try:
        output = replicate.run(ref, input={"prompt": "a red fox", **given})
    except (ModelError, ReplicateError) as error:
        return {"raised": type(error).__name__, "status": getattr(error, "status", None)}
    return {"output": [_shown(each) for each in (output if isinstance(output, list) else [output])]}


def _shown(value: Any) -> Any:
    return value.read()[:4].decode("latin-1") if isinstance(value, FileOutput) else value


def created(**where: Any) -> dict[str, Any]:
    """A prediction that is waited for by `wait`: how it ended, and how far it was meanwhile."""
    prediction = replicate.predictions.create(input={"prompt": "a red fox"}, **where)
    shares = set()
    while prediction.status in ("starting", "processing"):
        time.sleep(0.02)
        prediction.reload()
        if prediction.progress is not None:
            shares.add(prediction.progress.percentage)
    prediction.wait()
    return {"status": prediction.status, "files": len(prediction.output or ()), "moved": len(shares) > 1}


def failed(fault: str) -> dict[str, Any]:
    """A prediction that meets a fault: the client knows no `aborted`, and refuses a record with that word."""
    prediction = replicate.predictions.create(model=MODEL, input={"prompt": f"a red fox [fault:{fault}]"})
    try:
        prediction.wait()
    except (ReplicateError, ValueError) as error:
        return {"raised": type(error).__name__, "status": getattr(error, "status", None)}
    return {"status": prediction.status, "error": prediction.error, "output": prediction.output}


def canceled(prompt: str) -> dict[str, Any]:
    """A prediction that is canceled at once."""
    prediction: Prediction = replicate.predictions.create(version=HEX, input={"prompt": prompt})
    prediction.cancel()
    listed = [each.status for each in replicate.predictions.list() if each.id == prediction.id]
    return {"status": prediction.status, "listed": listed}


def main() -> None:
    """All of it, side by side where it takes time; the list is read before a word that the client does not know."""
    with ThreadPoolExecutor(12) as threads:
        waits = {
            "run": threads.submit(ran, MODEL, num_outputs=2),
            "run of a version": threads.submit(ran, f"{MODEL}:{HEX}"),
            "run of a text": threads.submit(ran, "owner/text"),
            "run of a fault": threads.submit(ran, MODEL, prompt="a red fox [fault:fail]"),
            "model": threads.submit(created, model=MODEL),
            "deployment": threads.submit(created, deployment="owner/mine"),
            "canceled": threads.submit(canceled, "a red fox [fault:never_finishes]"),
            "cancel ignored": threads.submit(canceled, "a red fox [fault:never_finishes] [fault:cancel_ignored]"),
            "unknown model": threads.submit(ran, "no-such/model"),
        }
        came = {name: wait.result() for name, wait in waits.items()}
        faults = {fault: threads.submit(failed, fault) for fault in FAULTS}
        came |= {fault: wait.result() for fault, wait in faults.items()}
    json.dump(came, sys.stdout)


if __name__ == "__main__":
    main()
