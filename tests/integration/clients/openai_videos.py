"""The official client of OpenAI, unmodified, against a gateway: what it got, as JSON."""

from __future__ import annotations

import io
import json
import sys

from openai import AuthenticationError, NotFoundError, OpenAI


def main(base_url: str) -> None:
    """Submit, wait, download, fail, delete."""
    client = OpenAI(base_url=base_url, api_key="a-key", max_retries=0)
    videos = client.videos
    picture = ("first.png", io.BytesIO(b"\x89PNG"), "image/png")
    made = videos.create_and_poll(prompt="a red fox", model="sora-2-pro", seconds="8", input_reference=picture)
    content = videos.download_content(made.id).read()
    thumbnail = videos.download_content(made.id, variant="thumbnail").read()
    failed = videos.create_and_poll(prompt="[fault:fail:no_gpu]")
    moderated = videos.create_and_poll(prompt="[fault:moderated]")
    waiting = videos.create(prompt="[fault:never_starts]")
    listed = [video.id for video in videos.list()]
    deleted = [videos.delete(video.id).deleted for video in (waiting, made)]
    found = {
        "made": [made.status, made.progress, made.model, made.seconds],
        "content": [content[4:8].decode(), thumbnail[8:12].decode()],
        "failed": [failed.status, failed.error and failed.error.message],
        "moderated": [moderated.status, moderated.error and moderated.error.code],
        "waiting": waiting.status,
        "listed": listed == [waiting.id, moderated.id, failed.id, made.id],
        "deleted": deleted,
        "gone": _raised(client, made.id),
        "bad key": _raised(OpenAI(base_url=base_url, api_key="bad-key", max_retries=0), failed.id),
    }
    sys.stdout.write(json.dumps(found))


def _raised(client: OpenAI, video_id: str) -> str:
    try:
        client.videos.retrieve(video_id)
    except (AuthenticationError, NotFoundError) as error:
        return f"{type(error).__name__} {error.status_code}"
    return "nothing"


if __name__ == "__main__":
    main(sys.argv[1])
