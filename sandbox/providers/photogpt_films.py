"""PhotoGPT's films: playlists, and downloads that must be created before they are ready."""

from __future__ import annotations

import time
from collections.abc import Sequence

from aiohttp import web

from sandbox.answers import RefusedError
from sandbox.faults import CATALOG, MEDIA
from sandbox.jobs import Job
from sandbox.media import PLAYLIST_TYPE, no_such_file, playlist
from sandbox.provider import long_film_url
from sandbox.providers.photogpt_part import FILES, ROOT, PhotoGPTPart, film_file_url, ok, subject_of


class PhotoGPTFilms(PhotoGPTPart):
    """GET /videos/{id}, its create-download and download, and the files."""

    def routes(self) -> Sequence[web.RouteDef]:
        return (
            self.route("GET", ROOT + "/videos/{id}", CATALOG, self._video),
            self.route("GET", ROOT + "/videos/{id}/create-download", CATALOG, self._create_download),
            self.route("GET", ROOT + "/videos/{id}/download", CATALOG, self._download),
            self.route("GET", FILES + "/videos/{id}.mp4", MEDIA, self._film_file, public=True),
            self.route("GET", FILES + "/videos/{id}.m3u8", MEDIA, self._playlist_file, public=True),
        )

    async def _video(self, request: web.Request) -> web.StreamResponse:
        job, number = self._done_film(request)
        url = self.film_url(request, job, number)
        return await self.catalog(request, ok({"id": f"{job.id}-{number}", "url": url, "createdAt": job.created}))

    async def _create_download(self, request: web.Request) -> web.StreamResponse:
        """Starts the making of one MP4 of the playlist; takes as long as a job."""
        job, _ = self._done_film(request)
        ready_at = time.time() + self.world.latency(request.match_info["id"])
        job.details.setdefault("downloads", {}).setdefault(request.match_info["id"], ready_at)
        return await self.catalog(request, ok("Download is being created"))

    async def _download(self, request: web.Request) -> web.StreamResponse:
        job, number = self._done_film(request)
        ready_at = job.details.get("downloads", {}).get(request.match_info["id"])
        if ready_at is None:
            raise RefusedError(self.refusal(404, "no download was created"))
        left = ready_at - time.time()
        if left > 0:
            percent = max(0, 99 - round(99 * left / self.world.latency(request.match_info["id"])))
            return await self.catalog(request, ok({"percentComplete": percent, "status": "processing", "url": None}))
        url = long_film_url(request, job.text) or film_file_url(request, job, number, "mp4")
        return await self.catalog(request, ok({"percentComplete": 100, "status": "ready", "url": url}))

    def _done_film(self, request: web.Request) -> tuple[Job, int]:
        job, number = self.output(request.match_info["id"])
        if job is None or not job.operation.startswith("videos") or not job.has_files(time.time()):
            raise RefusedError(self.refusal(404, "video not found"))
        return job, number

    async def _film_file(self, request: web.Request) -> web.StreamResponse:
        job, number = self.output(request.match_info["id"])
        return await self.file(request, job, self.world.order(subject_of(job, number) if job else "", "mp4"))

    async def _playlist_file(self, request: web.Request) -> web.StreamResponse:
        job, number = self.output(request.match_info["id"])
        if job is None or not job.has_files(time.time()):
            return no_such_file()
        url = film_file_url(request, job, number, "mp4")
        return web.Response(body=playlist(url), headers={"Content-Type": PLAYLIST_TYPE})
