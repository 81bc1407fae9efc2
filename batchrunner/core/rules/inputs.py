"""Rules for a request's input pictures, videos and audio."""

from __future__ import annotations

import ipaddress
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from batchrunner.core.model import MediaFile, Request, RequestValue
from batchrunner.core.object_url import is_object_url
from batchrunner.core.problems import Severity
from batchrunner.core.references import PARTS, SCHEME, reference, written_reference

ValuePath = tuple[str | int, ...]
Item = Mapping[str, RequestValue]

CONTENT: ValuePath = ("metadata", "content")
KINDS = {"image_url": "image", "video_url": "video", "audio_url": "audio"}
_A = {"image": "a picture", "video": "a video", "audio": "an audio file"}
_ROLES = {
    "first_frame": "image_url",
    "last_frame": "image_url",
    "reference_image": "image_url",
    "reference_video": "video_url",
    "reference_audio": "audio_url",
}
_DATA_HEAD = re.compile(r"data:(image|audio)/([a-z0-9.+-]+);base64,")
_LOCAL_NAME = re.compile(r"(^|\.)(localhost|local|internal|lan|home|test)$")


@dataclass(frozen=True, slots=True)
class InputLimits:
    """How many inputs the model accepts, and how large."""

    counts: Mapping[str, int]
    """By kind: image, video, audio."""
    most_bytes: Mapping[str, int]
    """Of one input, by kind."""
    body_bytes: int
    """Of the whole request."""
    sides: tuple[int, int]
    """Of a picture, in pixels."""
    aspect: tuple[float, float]
    """Of a picture, width divided by height."""
    types: Mapping[str, tuple[str, ...]]
    """Subtypes allowed in a data URI, by kind."""
    video_seconds: int
    """Total seconds of all input videos."""


def widest(each: Sequence[InputLimits]) -> InputLimits:
    """What at least one of them accepts."""
    counts, most_bytes = (
        {kind: max(table[kind] for table in tables) for kind in tables[0]}
        for tables in ([one.counts for one in each], [one.most_bytes for one in each])
    )
    sides, aspects = [one.sides for one in each], [one.aspect for one in each]
    return InputLimits(
        counts,
        most_bytes,
        body_bytes=max(one.body_bytes for one in each),
        sides=(min(low for low, _ in sides), max(high for _, high in sides)),
        aspect=(min(low for low, _ in aspects), max(high for _, high in aspects)),
        types=each[0].types,
        video_seconds=max(one.video_seconds for one in each),
    )


@dataclass(frozen=True, slots=True)
class InputFault:
    """One problem at a path of a request."""

    severity: Severity
    path: ValuePath
    message: str
    hint: str = ""


def error(path: ValuePath, message: str, hint: str = "") -> InputFault:
    """A finding that prevents submission."""
    return InputFault(Severity.ERROR, path, message, hint)


def warning(path: ValuePath, message: str, hint: str = "") -> InputFault:
    """A finding that the API document allows but the model is known to reject or ignore."""
    return InputFault(Severity.WARNING, path, message, hint)


def check_inputs(request: Request, metadata: Request, limits: InputLimits) -> list[InputFault]:
    """The problems of a request's inputs."""
    findings = [*_top_level(request, metadata, limits)]
    content = metadata.get("content")
    if isinstance(content, Sequence) and not isinstance(content, str):
        items = [item for item in content if isinstance(item, Mapping)]
        findings += [*_items(items), *_counts(items, limits), *_scenario(items), *_roleless(items)]
    for path, kind, value in located(request, metadata):
        findings += _source(path, kind, value, limits)
    return findings + list(check_body(request, metadata, limits))


def located(request: Request, metadata: Request) -> Iterator[tuple[ValuePath, str, RequestValue]]:
    """Every input of a request: its path, its kind, and its URL or file."""
    if "image" in request:
        yield ("image",), "image", request["image"]
    images, content = request.get("images", ""), metadata.get("content", "")
    # Most requests have neither, and each row of a table comes here.
    if not isinstance(images, str) and isinstance(images, Sequence):
        for index, value in enumerate(images):
            yield ("images", index), "image", value
    if not isinstance(content, str) and isinstance(content, Sequence):
        for index, item in enumerate(content):
            for field, kind in KINDS.items():
                holder = item.get(field) if isinstance(item, Mapping) else None
                if isinstance(holder, Mapping) and "url" in holder:
                    yield (*CONTENT, index, field, "url"), kind, holder["url"]


def _top_level(request: Request, metadata: Request, limits: InputLimits) -> Iterator[InputFault]:
    images = request.get("images")
    count = len(images) if isinstance(images, Sequence) else 0
    if "image" in request and "images" in request:
        yield error(
            ("images",), "`image` and `images` can't be used together", "put all pictures into `images`"
        )
    for field in ("image", "images"):
        if field in request and "content" in metadata:
            message = f"`{field}` and `metadata.content` can't be used together: the gateway mixes them up"
            yield error((field,), message, "put all inputs into `metadata.content`, each with its role")
    if count > limits.counts["image"]:
        yield error(("images",), f"{count} pictures; the limit is {limits.counts['image']}", "delete some")
    elif count > 1:
        hint = "put them into `metadata.content`, each with a `role` such as reference_image"
        yield warning(("images",), "the model rejects two or more pictures without roles", hint)


def _items(items: Sequence[Item]) -> Iterator[InputFault]:
    for index, item in enumerate(items):
        path = (*CONTENT, index)
        kind, role = str(item.get("type", "")), item.get("role")
        for extra in sorted({"text", *KINDS} & item.keys() - {kind}):
            message = f"an item of type {kind} can't also have `{extra}`"
            yield error((*path, extra), message, "make it a separate item")
        if role is not None and _ROLES.get(str(role)) != kind:
            fits = [name for name, owner in _ROLES.items() if owner == kind]
            hint = f"write {', or '.join(fits)}" if fits else "delete the role"
            yield error((*path, "role"), f"the role {role} does not fit the type {kind}", hint)
        if kind == "text":
            yield warning(
                path, "the gateway drops texts in `metadata.content`", "write everything into `prompt`"
            )


def _counts(items: Sequence[Item], limits: InputLimits) -> Iterator[InputFault]:
    for field, kind in KINDS.items():
        places = [index for index, item in enumerate(items) if item.get("type") == field]
        most = limits.counts[kind]
        if len(places) > most:
            message = f"{len(places)} inputs of type {field}; the limit is {most}"
            yield error((*CONTENT, places[most]), message, "delete some")
    types = {item.get("type") for item in items}
    if "audio_url" in types and not types & {"image_url", "video_url"}:
        yield error(CONTENT, "audio alone is not enough", "add a picture or a video")


def _scenario(items: Sequence[Item]) -> Iterator[InputFault]:
    """Check that first and last frames are not combined with references: they are mutually exclusive."""
    roles = Counter(item.get("role") for item in items if item.get("type") == "image_url")
    for role in ("first_frame", "last_frame"):
        if roles[role] > 1:
            yield error(CONTENT, f"{roles[role]} pictures have the role {role}", "a video has only one")
    if roles["last_frame"] and not roles["first_frame"]:
        yield error(CONTENT, "a last_frame needs a first_frame", "add the picture that the video starts with")
    if roles["first_frame"] or roles["last_frame"]:
        for index, item in enumerate(items):
            if str(item.get("role")).startswith("reference_") or item.get("type") in (
                "video_url",
                "audio_url",
            ):
                message = "first_frame and last_frame can't be mixed with references"
                hint = (
                    "make them reference_image and say in the prompt what they are, or delete the references"
                )
                yield error((*CONTENT, index), message, hint)
                return


def _roleless(items: Sequence[Item]) -> Iterator[InputFault]:
    inputs = [item for item in items if item.get("type") in KINDS]
    for index, item in enumerate(items):
        if item.get("type") == "image_url" and "role" not in item and len(inputs) > 1:
            message = "the model rejects a picture without a role next to other inputs"
            yield warning(
                (*CONTENT, index), message, "add `role: reference_image`, or first_frame or last_frame"
            )


def _source(path: ValuePath, kind: str, value: RequestValue, limits: InputLimits) -> Iterator[InputFault]:
    if not isinstance(value, str):
        return
    scheme = value.partition(":")[0].lower()
    if scheme in ("http", "https"):
        yield from _address(path, value, kind)
    elif scheme == "data":
        yield from _data_uri(path, value, kind, limits)
    elif scheme == SCHEME:
        yield from _reference(path, value, kind)
    elif is_object_url(value):
        return  # looked up by whoever reads it
    elif scheme == "asset":
        if not re.match(r"asset://\S", value):
            hint = f"write asset://{value[6:].lstrip('/') or '<id>'}"
            yield error(path, "an asset ID starts with asset://", hint)
    else:
        message = f"{_A[kind]} must be given as an https URL or an asset:// id, not as a local file"
        yield error(path, message, "use a URL, or set `run.videos` to a bucket (s3://…): files go there, too")


def _reference(path: ValuePath, text: str, kind: str) -> Iterator[InputFault]:
    if kind not in PARTS:
        yield error(path, f"{_A[kind]} can't be taken from another task", "give an https URL")
    elif reference(text, kind) is None:
        for other in PARTS:
            if found := reference(text, other):
                message = f"`{text}` is {_A[other]}, and {_A[kind]} is needed here"
                yield error(path, message, f"write {written_reference(found.id, PARTS[kind])}")
                return
        message = f"`{text}` doesn't say which part of which task is {_A[kind]}"
        yield error(path, message, f"write {SCHEME}:ID/{PARTS[kind]}, with the id of the task")


def _address(path: ValuePath, url: str, kind: str) -> Iterator[InputFault]:
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        host = ""
    if not host or re.search(r"\s", url):
        yield error(path, "incomplete URL", "use https://host/path, with spaces as %20")
    elif found := list(check_host(path, host)):
        yield from found
    elif url[:5].lower() == "http:":
        yield warning(path, f"the model may not fetch {_A[kind]} over http", "use https")


def check_host(path: ValuePath, host: str) -> Iterator[InputFault]:
    """Check that the model can reach the host of a link to an input."""
    if _is_private(host):
        message = f"the model can't fetch from `{host}`, which is only reachable in your own network"
        yield warning(path, message, "use an address, or the endpoint of a storage, that is public")


def _is_private(host: str) -> bool:
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return "." not in host or bool(_LOCAL_NAME.search(host))


def _data_uri(path: ValuePath, uri: str, kind: str, limits: InputLimits) -> Iterator[InputFault]:
    if kind == "video":
        yield error(path, "a video can't be sent as a data URI", "give an https URL or an asset:// id")
        return
    allowed = limits.types[kind]
    head = _DATA_HEAD.match(uri)
    if head is None or head.group(1) != kind or head.group(2) not in allowed:
        message = f"this data URI has the wrong prefix: {uri[:40].partition(',')[0]}"
        yield error(path, message, f"write data:{kind}/<type>;base64, with one of: {', '.join(allowed)}")
    elif (len(uri) - head.end()) * 3 // 4 > limits.most_bytes[kind]:
        what = _A[kind].partition(" ")[2]
        yield error(path, f"the {what} is over {limits.most_bytes[kind] // 1_000_000} MB", "make it smaller")


def check_body(request: Request, metadata: Request, limits: InputLimits) -> Iterator[InputFault]:
    """Check that a request is not too large to send."""
    sizes = [(_sent_size(value), path) for path, _, value in located(request, metadata)]
    sizes.append((len(str(request.get("prompt", "")).encode()), ("prompt",)))
    total = sum(size for size, _ in sizes)
    if total > limits.body_bytes:
        path = max(sizes, key=lambda pair: pair[0])[1]
        most = limits.body_bytes // 1_000_000
        message = f"the request would be {total / 1_000_000:.1f} MB; the limit is {most} MB"
        hint = "make the inputs smaller, or give URLs"
        inputs = [value for _, _, value in located(request, metadata)]
        files = [value for value in inputs if isinstance(value, MediaFile) and value.is_picture]
        each = limits.body_bytes * 3 // 4 // max(len(files), 1) // 1_000_000
        if any(file.fit for file in files):
            hint = f"lower `images.max_bytes` to {each}MB"
        elif files:
            hint = f"add `images: {{fit: 4096, max_bytes: {each}MB}}` to the manifest, or use URLs"
        yield error(path, message, hint)


def _sent_size(value: RequestValue) -> int:
    """Bytes in the request; base64 turns three bytes into four."""
    if isinstance(value, MediaFile) and value.is_picture:
        return ((value.fit.max_bytes if value.fit else value.size) + 2) // 3 * 4
    return len(value) if isinstance(value, str) else 0
