"""What all of PhotoGPT has in common: the envelope, the version header, the ids of outputs."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from sandbox.answers import RefusedError, reply
from sandbox.jobs import Job
from sandbox.provider import Provider, long_film_url, origin

ROOT = "/photogpt/api"
FILES = "/photogpt/media"


class PhotoGPTPart(Provider):
    """Base of the parts of this provider."""

    name = "photogpt"
    root = ROOT

    def refusal(self, status: int, message: str) -> web.Response:
        """No 402 is listed: what can't be paid is NOK under HTTP 200."""
        body = {"status": "NOK", "message": message, "err": message.replace(" ", "_").upper(), "result": None}
        return reply(body, 200 if status == 402 else status)

    def authorize(self, request: web.Request) -> None:
        super().authorize(request)
        if request.headers.get("API-Version") != "1":
            raise RefusedError(self.refusal(400, "the header API-Version: 1 is missing"))

    def output(self, output_id: str) -> tuple[Job | None, int]:
        """The job an image or video came from, and its number there."""
        job_id, _, number = output_id.rpartition("-")
        return self.job(job_id), int(number) if number.isdigit() else 0

    def film_url(self, request: web.Request, job: Job, number: int) -> str:
        """A playlist where the request says "hls", else a file."""
        if "hls" in job.text.lower():
            return film_file_url(request, job, number, "m3u8")
        return long_film_url(request, job.text) or film_file_url(request, job, number, "mp4")


def ok(result: Any) -> web.Response:
    """Success in the envelope."""
    return reply({"status": "OK", "result": result})


def subject_of(job: Job, number: int) -> str:
    """What is shown: an upscaled picture shows what its source shows."""
    return str(job.details.get("subject") or f"{job.digest}/{number}")


def film_file_url(request: web.Request, job: Job, number: int, extension: str) -> str:
    """Where the film of a job, or its playlist, is found."""
    return f"{origin(request)}{FILES}/videos/{job.id}-{number}.{extension}"
