"""What an adapter says that it offers: operations with their params and pictures, and catalogs."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from bide.params.base import Params
from bide.polling.backoff import PollPlan
from bide.providers.idempotency import Idempotency


class InputForm(StrEnum):
    """How an adapter wants the pictures of a request handed over."""

    BASE64 = "base64"  # inside the JSON body, without a data-URI prefix
    FILE = "file"  # as multipart files with a content type
    URL = "url"  # as an address the provider can fetch, presigned where the object is ours


class MediaKind(StrEnum):
    """What an output may be."""

    IMAGE = "image"
    VIDEO = "video"
    AUDIO = "audio"
    MODEL = "model"  # a body in three dimensions, such as a GLB
    WEIGHTS = "weights"
    TEXT = "text"
    ARCHIVE = "archive"


#: What outputs are where an operation does not say.
PICTURES = frozenset({MediaKind.IMAGE, MediaKind.VIDEO})


def with_role(kinds: frozenset[MediaKind], role: str) -> frozenset[MediaKind]:
    """What an output of this role may be: the role `audio` declares sound, too, whatever its operation does."""
    return kinds | {MediaKind.AUDIO} if role == MediaKind.AUDIO else kinds


def is_written(role: str, kinds: frozenset[MediaKind]) -> bool:
    """Whether inline content of this role is a text that stood in an answer as such."""
    return role == MediaKind.TEXT and MediaKind.TEXT in kinds


@dataclass(frozen=True)
class Operation:
    """One thing a provider can be asked to make."""

    params: type[Params]
    #: What the pictures of `inputs` become; None: the operation takes none.
    inputs: InputForm | None = None
    #: Names that `inputs` must hold, and names it may hold (None: any).
    required_inputs: frozenset[str] = frozenset()
    allowed_inputs: frozenset[str] | None = None
    #: None: the provider's own.
    poll_plan: PollPlan | None = None
    deadline_seconds: float | None = None
    #: False where success has no file (training): an empty result is then a success.
    has_outputs: bool = True
    #: What its outputs may be; anything else is refused when it is fetched.
    kinds: frozenset[MediaKind] = PICTURES
    #: False for an operation that costs nothing: a submit whose answer is lost is simply sent again.
    buys: bool = True
    #: What the provider promises of a submit that is sent again; None where it promises nothing.
    idempotency: Idempotency | None = None


@dataclass(frozen=True)
class Catalog:
    """A list the provider offers (styles, tools, models): how to get it."""

    description: str
    #: Names of what must be given to get it.
    arguments: tuple[str, ...] = ()
