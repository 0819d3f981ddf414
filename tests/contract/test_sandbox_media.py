"""Ordered faults of files, as a download meets them."""

from __future__ import annotations

import base64
import struct

import httpx
import pytest

from sandbox.running import Sandbox
from tests.contract.sandbox_http import IMAGE, PHOTOGPT, SandboxTests, picture, until


class TestMedia(SandboxTests):
    """The file of a finished job, spoilt."""

    def url(self, http: httpx.Client, prompt: str) -> str:
        """The address of the image of a finished job."""
        body = {**IMAGE, "prompt": prompt}
        job_id = http.post("/photogpt/api/images/generation", json=body, headers=PHOTOGPT).json()["result"]["jobId"]
        job = until(
            lambda: http.get(f"/photogpt/api/jobs/{job_id}", headers=PHOTOGPT),
            lambda found: found["result"]["status"].lower() == "success",
        )
        return str(job["result"]["images"][0]["url"])

    @pytest.mark.parametrize("fault", ["truncated", "wrong_length"])
    def test_less_than_announced(self, http: httpx.Client, fault: str) -> None:
        """The connection closes before the announced length is reached."""
        with pytest.raises(httpx.RemoteProtocolError):
            http.get(self.url(http, f"fox [fault:{fault}]"))

    def test_a_cut_file_is_consistent_and_half(self, http: httpx.Client) -> None:
        """Only the picture itself tells that it ends early."""
        answer = http.get(self.url(http, "fox [fault:cut]"))

        assert int(answer.headers["content-length"]) == len(answer.content)
        with pytest.raises(OSError, match=r"truncated|broken|decod"):
            picture(answer.content)

    def test_not_the_file(self, http: httpx.Client) -> None:
        """A page, nothing, and a playlist, each under 200."""
        page, nothing, playlist = (http.get(self.url(http, f"[fault:{f}]")) for f in ("html", "empty", "playlist"))

        assert (page.status_code, page.headers["content-type"].split(";")[0]) == (200, "text/html")
        assert (nothing.status_code, nothing.content) == (200, b"")
        assert playlist.text.startswith("#EXTM3U")

    def test_the_right_file_under_a_wrong_type(self, http: httpx.Client) -> None:
        """The bytes are a picture, the header says HTML."""
        answer = http.get(self.url(http, "fox [fault:wrong_type]"))

        assert answer.headers["content-type"] == "text/html"
        assert picture(answer.content)[1] == (512, 512)

    def test_redirects(self, http: httpx.Client) -> None:
        """To where it was ordered, or in circles."""
        away = http.get(self.url(http, "[fault:redirect_to:http://169.254.169.254/latest]"))

        assert (away.status_code, away.headers["location"]) == (302, "http://169.254.169.254/latest")
        with pytest.raises(httpx.TooManyRedirects):
            http.get(self.url(http, "[fault:redirect_loop]"), follow_redirects=True)

    def test_a_file_without_an_end(self, http: httpx.Client) -> None:
        """It goes on until the client has had enough, and the server lives on."""
        received = 0
        with http.stream("GET", self.url(http, "fox [fault:endless]")) as answer:
            for piece in answer.iter_bytes():
                received += len(piece)
                if received > 4_000_000:
                    break

        assert "content-length" not in answer.headers
        assert http.get("/_sandbox/stats").status_code == 200

    def test_a_pixel_bomb_says_how_large_it_is(self, http: httpx.Client) -> None:
        """A PNG head of ten gigapixels in a file of some kilobytes."""
        content = http.get(self.url(http, "fox [fault:pixel_bomb]")).content
        assert content.startswith(b"\x89PNG")
        assert struct.unpack(">II", content[16:24]) == (100_000, 100_000)
        assert len(content) < 100_000

    def test_a_gzip_bomb_unpacks_to_much_more_than_it_is(self, http: httpx.Client) -> None:
        """8 MiB of zeros behind the picture, packed to next to nothing."""
        with http.stream("GET", self.url(http, "fox [fault:gzip_bomb:8388608]")) as answer:
            unpacked = sum(len(piece) for piece in answer.iter_bytes())

        assert answer.headers["content-encoding"] == "gzip"
        assert unpacked > 8_388_608
        assert answer.num_bytes_downloaded < unpacked / 8

    def test_missing_once_for_each_file(self, http: httpx.Client) -> None:
        """The second request finds it."""
        url = self.url(http, "fox [fault:404_once]")

        assert [http.get(url).status_code for _ in range(3)] == [404, 200, 200]

    def test_missing_always(self, http: httpx.Client) -> None:
        """The job says success, the file is gone."""
        assert http.get(self.url(http, "fox [fault:not_found operation=media]")).status_code == 404

    def test_a_status_for_files_only(self, sandbox: Sandbox, http: httpx.Client) -> None:
        """A rule for media leaves the API alone."""
        sandbox.order([{"fault": "503", "operation": "media", "times": 1}])
        url = self.url(http, "fox")

        assert [http.get(url).status_code for _ in range(2)] == [503, 200]

    def test_the_film_to_order_checks_its_size(self, http: httpx.Client) -> None:
        """A number is needed."""
        assert http.get("/_sandbox/video").status_code == 400
        assert http.get("/_sandbox/video?bytes=-1").status_code == 400
        assert len(http.get("/_sandbox/video?bytes=100000").content) == 100_000

    def test_a_label_that_means_nothing(self, http: httpx.Client) -> None:
        """The plain file, and a Content-Encoding to order."""
        answer = http.get(self.url(http, "fox [fault:labelled:base64]"))
        assert answer.headers["content-encoding"] == "base64"
        assert picture(answer.content)[1] == (512, 512)

    def test_a_text_file_and_a_code(self, http: httpx.Client) -> None:
        """The file as a data URI in the URL-safe alphabet; the file under 203."""
        text = http.get(self.url(http, "fox [fault:base64_file]")).text
        assert picture(base64.urlsafe_b64decode(text.partition(",")[2]))[1] == (512, 512)
        assert http.get(self.url(http, "fox [fault:code]")).status_code == 203
        assert http.get(self.url(http, "fox [fault:code:201]")).status_code == 201

    def test_a_signed_address_is_refused_in_another_spelling(self, http: httpx.Client) -> None:
        """Httpx decodes some of its escapes, as clients do."""
        leading = http.get(self.url(http, "fox [fault:signed]"))
        assert leading.status_code == 307
        literal = httpx.Request("GET", leading.headers["location"])
        path = leading.headers["location"].partition(http.base_url.host)[2].partition("/")[2]
        literal.url = literal.url.copy_with(raw_path=f"/{path}".encode())
        assert picture(http.send(literal).content)[1] == (512, 512)
        assert http.get(leading.headers["location"].replace("%2c", "%2C")).status_code == 403
