"""The client for other services: it submits generation jobs, waits for results, follows, reads and cancels jobs."""

from bide.client.aio import AsyncClient
from bide.client.follow import JobEnded, JobEvent, ProgressChanged, StateChanged
from bide.client.outputs import PresignedOutput, PresignedResult, Uploads, object_store
from bide.client.requests import UPLOAD_ABOVE_BYTES, Options, Request
from bide.client.several import LedgersClient
from bide.client.several_aio import AsyncLedgersClient
from bide.client.status import Status
from bide.client.sync import Client
from bide.pricing import RequestPrice
from bide.providers.progress import Progress

__all__ = [
    "UPLOAD_ABOVE_BYTES",
    "AsyncClient",
    "AsyncLedgersClient",
    "Client",
    "JobEnded",
    "JobEvent",
    "LedgersClient",
    "Options",
    "PresignedOutput",
    "PresignedResult",
    "Progress",
    "ProgressChanged",
    "Request",
    "RequestPrice",
    "StateChanged",
    "Status",
    "Uploads",
    "object_store",
]
