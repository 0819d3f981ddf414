"""PhotoGPT: images, upscaling, videos, jobs and models; words in mixed case, and a GET that buys a training."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from aiohttp import web

from sandbox.answers import RefusedError, json_object, reply
from sandbox.faults import CATALOG, MEDIA, ODD_WORD, POLL, SUBMIT
from sandbox.jobs import Draft, Job, Phase
from sandbox.provider import origin
from sandbox.providers.photogpt_part import FILES, ROOT, PhotoGPTPart, ok, subject_of
from sandbox.world import UNKNOWN_NAME

#: Models there are from the start, all trained. Any other name is an untrained one, `UNKNOWN_NAME...` is none.
MODELS = {"m1": "Studio portrait", "m2": "Watercolour", "m3": "Product shot"}

TRAIN = "models.train"

_STATUS = {
    Phase.QUEUED: "queued",
    Phase.RUNNING: "running",
    Phase.DONE: "success",
    Phase.EMPTY: "success",
    Phase.FAILED: "failed",
    Phase.ODD: ODD_WORD,
}

_MODEL_STATUS = {Phase.DONE: "ready", Phase.EMPTY: "ready", Phase.FAILED: "failed", Phase.ODD: ODD_WORD}

#: Jobs on one page of the list, and the longest span it covers.
_PAGE = 100
_LONGEST_SPAN = timedelta(days=7)

#: Most outputs of one request, and edges of a picture [pixels].
_MOST_OUTPUTS = 4
_USUAL_EDGE, _LARGEST_EDGE = 512, 1024


class PhotoGPT(PhotoGPTPart):
    """Images, upscaling, videos, jobs and models."""

    def routes(self) -> Sequence[web.RouteDef]:
        return (
            self.route("GET", f"{ROOT}/ping", CATALOG, self._ping),
            self.route("POST", f"{ROOT}/images/generation", SUBMIT, self._images),
            self.route("POST", f"{ROOT}/images/upscaling", SUBMIT, self._upscaling),
            self.route("POST", f"{ROOT}/videos/generation", SUBMIT, self._videos),
            self.route("GET", ROOT + "/jobs/{id}", POLL, self._job),
            self.route("GET", f"{ROOT}/jobs", CATALOG, self._jobs),
            self.route("GET", f"{ROOT}/models", CATALOG, self._models),
            self.route("POST", f"{ROOT}/models", CATALOG, self._create_model),
            self.route("GET", ROOT + "/models/{id}", POLL, self._model),
            self.route("GET", ROOT + "/models/{id}/train", SUBMIT, self._train),
            self.route("GET", FILES + "/images/{id}.{format:png|webp}", MEDIA, self._image_file, public=True),
        )

    async def _ping(self, request: web.Request) -> web.StreamResponse:
        return await self.catalog(request, reply({"message": "pong!", "status": "OK"}))

    # Submits

    async def _images(self, request: web.Request) -> web.StreamResponse:
        params = await self._checked(request, required=("modelID", "prompt"), count="numImages")
        width, height = _size(params)
        details = {"count": params.get("numImages", 1), "width": width, "height": height}
        return await self._buy(request, "images.generation", params, details)

    async def _upscaling(self, request: web.Request) -> web.StreamResponse:
        params = await self._checked(request, required=("imageID",))
        source, number = self.output(params["imageID"])
        details = {"count": 1, "width": _LARGEST_EDGE, "height": _LARGEST_EDGE, "subject": params["imageID"]}
        if source is not None:
            details["subject"] = subject_of(source, number)
            details |= {side: min(2 * source.details.get(side, _USUAL_EDGE), 2048) for side in ("width", "height")}
        return await self._buy(request, "images.upscaling", params, details)

    async def _videos(self, request: web.Request) -> web.StreamResponse:
        params = await self._checked(request, required=("modelID", "prompt"), count="numVideos")
        return await self._buy(request, "videos.generation", params, {"count": params.get("numVideos", 1)})

    async def _checked(self, request: web.Request, *, required: Sequence[str], count: str = "") -> dict[str, Any]:
        """The body, if it has what it must; the first thing missing is named."""
        params = await json_object(request)
        if params is None:
            raise RefusedError(self.refusal(400, "the body is not a JSON object"))
        for name in required:
            if not isinstance(params.get(name), str) or not params[name]:
                raise RefusedError(self.refusal(400, f"{name} is required"))
            if name.endswith("ID") and params[name].startswith(UNKNOWN_NAME):
                raise RefusedError(self.refusal(404, f"{name} not found"))
        number = params.get(count, 1)
        if not isinstance(number, int) or not 1 <= number <= _MOST_OUTPUTS:
            raise RefusedError(self.refusal(400, f"{count} must be between 1 and {_MOST_OUTPUTS}"))
        return params

    async def _buy(
        self, request: web.Request, operation: str, params: Mapping[str, Any], details: Mapping[str, Any]
    ) -> web.StreamResponse:
        reference = params.get("prompt", params.get("imageID", ""))
        draft = Draft(self.name, operation, params, reference, {**details, "model": params.get("modelID")})

        def answer(job: Job) -> web.Response:
            extra = {} if operation == "images.generation" else {"status": "queued"}
            return ok({"jobId": job.id, **extra})

        return await self.submit(request, draft, str(uuid.uuid4()), answer)

    async def _train(self, request: web.Request) -> web.StreamResponse:
        """A GET that buys, each time it is asked."""
        model = self._model_id(request)
        draft = Draft(self.name, TRAIN, {"model": model}, model, {"count": 0, "model": model})
        return await self.submit(request, draft, _training_id(model), lambda _job: ok("Training started"))

    # Jobs

    async def _job(self, request: web.Request) -> web.StreamResponse:
        def answer(job: Job | None, phase: Phase) -> web.Response:
            if job is None or phase is Phase.MISSING:
                return self.refusal(404, "job not found")
            return ok(self._record(request, job, phase))

        return await self.poll(request, self.job(request.match_info["id"]), answer)

    def _record(self, request: web.Request, job: Job, phase: Phase) -> dict[str, Any]:
        """Which of the documented variants a job gets depends on its digest."""
        variant = Random(job.digest)
        casing = variant.choice((str.lower, str.title, str.upper))
        waiting = variant.choice(("created", "queued"))
        status = casing(waiting if phase is Phase.QUEUED else _STATUS[phase])
        model = job.details.get("model")
        record: dict[str, Any] = {"jobId": job.id, "status": status, "modelId": model, "createdAt": job.created}
        if phase is Phase.DONE or variant.random() < 0.5:
            record |= {"images": [], "videos": []}
        if phase is Phase.DONE and job.operation != TRAIN:
            kind, url = ("videos", self.film_url) if job.operation.startswith("videos") else ("images", _image_url)
            numbers = range(job.details["count"])
            record[kind] = [{"id": f"{job.id}-{n}", "url": url(request, job, n)} for n in numbers]
        return record | {"error": job.failure or None}

    async def _jobs(self, request: web.Request) -> web.StreamResponse:
        start, end = self._span(request)
        now = time.time()
        known = self.world.purchases
        found = [
            j for j in known.of(self.name) if known.knows(j) and start.timestamp() <= j.accepted_at <= end.timestamp()
        ]
        first = int(token) if (token := request.query.get("pageToken", "0")).isdigit() else 0
        page = found[::-1][first : first + _PAGE]
        following = str(first + _PAGE) if first + _PAGE < len(found) else None
        return await self.catalog(request, ok({"jobs": [_line(j, now) for j in page], "nextPageToken": following}))

    def _span(self, request: web.Request) -> tuple[datetime, datetime]:
        """The last 24 h, or what is asked for: RFC 3339, 7 days at most."""
        try:
            end = datetime.fromisoformat(request.query.get("end", datetime.now(UTC).isoformat()))
            start = datetime.fromisoformat(request.query.get("start", (end - timedelta(days=1)).isoformat()))
            too_long = end - start > _LONGEST_SPAN
        except (ValueError, TypeError) as error:
            raise RefusedError(self.refusal(400, "start and end must be RFC 3339")) from error
        if too_long:
            raise RefusedError(self.refusal(400, "the range is longer than 7 days"))
        return start, end

    # Models

    async def _models(self, request: web.Request) -> web.StreamResponse:
        trained = [job.reference for job in self.world.purchases.of(self.name) if job.operation == TRAIN]
        names = dict.fromkeys([*MODELS, *trained])
        return await self.catalog(request, ok({"models": [self._model_record(model) for model in names]}))

    async def _create_model(self, request: web.Request) -> web.StreamResponse:
        params = await self._checked(request, required=("name",))
        model = f"{params['name']}-{uuid.uuid4().hex[:8]}"
        return await self.catalog(request, ok(self._model_record(model)))

    async def _model(self, request: web.Request) -> web.StreamResponse:
        model = self._model_id(request)

        def answer(job: Job | None, phase: Phase) -> web.Response:
            if job is not None and phase is Phase.MISSING:
                return self.refusal(404, "model not found")
            return ok(self._model_record(model, phase))

        return await self.poll(request, self.job(_training_id(model)), answer)

    def _model_record(self, model: str, phase: Phase | None = None) -> dict[str, Any]:
        job = self.job(_training_id(model))
        if job is None:
            status = "ready" if model in MODELS else "created"
        else:
            status = _MODEL_STATUS.get(phase or job.glance(time.time()), "training")
        return {"id": model, "name": MODELS.get(model, model), "status": status}

    def _model_id(self, request: web.Request) -> str:
        model = request.match_info["id"]
        if model.startswith(UNKNOWN_NAME):
            raise RefusedError(self.refusal(404, "model not found"))
        return model

    # Files

    async def _image_file(self, request: web.Request) -> web.StreamResponse:
        job, number = self.output(request.match_info["id"])
        subject = subject_of(job, number) if job else ""
        size = (job.details.get("width", _USUAL_EDGE), job.details.get("height", _USUAL_EDGE)) if job else (1, 1)
        return await self.file(request, job, self.world.order(subject, request.match_info["format"], *size))


def _training_id(model: str) -> str:
    return f"train-{model}"


def _image_url(request: web.Request, job: Job, number: int) -> str:
    upscaled = job.operation == "images.upscaling"
    file_format = "png" if upscaled or int(job.digest, 16) % 2 else "webp"
    return f"{origin(request)}{FILES}/images/{job.id}-{number}.{file_format}"


def _line(job: Job, now: float) -> dict[str, Any]:
    """A job as the list shows it."""
    phase = job.glance(now)
    updated = datetime.fromtimestamp(min(now, job.done_at), UTC).isoformat().replace("+00:00", "Z")
    status = _STATUS.get(phase, "failed")
    error = job.failure if phase is Phase.FAILED else None
    moments = {"createdAt": job.created, "updatedAt": updated}
    return {"jobId": job.id, "status": status, "credits": job.details["count"], "errorMessage": error, **moments}


def _size(params: Mapping[str, Any]) -> tuple[int, int]:
    """Width and height asked for, or those of the aspect ratio with the usual edge [pixels]."""
    across, _, down = str(params.get("aspectRatio") or "1:1").partition(":")
    ratio = int(across) / int(down) if across.isdigit() and down.isdigit() and int(down) and int(across) else 1.0
    width, height = (_USUAL_EDGE, _USUAL_EDGE / ratio) if ratio >= 1 else (_USUAL_EDGE * ratio, _USUAL_EDGE)
    return _edge(params.get("width"), width), _edge(params.get("height"), height)


def _edge(wanted: Any, usual: float) -> int:
    edge = wanted if isinstance(wanted, int) and wanted > 0 else round(usual)
    return min(max(edge, 64), _LARGEST_EDGE)
