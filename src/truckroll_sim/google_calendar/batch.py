"""Many calls in one (google-calendar, section 9).

Parts run in an order of the box's own choosing, since none is promised; answers come in the
order of the parts. Two parts that write the same event clash: one of them is refused (409).
"""

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from email.message import Message
from email.parser import BytesParser
from http import HTTPStatus
from urllib.parse import parse_qsl, unquote

from multidict import CIMultiDict, CIMultiDictProxy

from truckroll_sim.google_calendar.errors import error_answer, refusal
from truckroll_sim.kit.calls import Answer, Call, Logged

MOST_PARTS = 50
_WRITES = ("POST", "PUT", "PATCH", "DELETE")


@dataclass(frozen=True)
class Part:
    """One call of a batch, with the id by which its answer is told."""

    content_id: str | None
    call: Call


def parts_of(batch: Call, names: tuple[str, ...]) -> list[Part]:
    """Return the calls in a batch; refuses a body that is none, or too large a batch (400).

    A path may begin with one of the system's names, as a client has it whose root is this box.
    """
    kind = batch.headers.get("Content-Type", "")
    message = BytesParser().parsebytes(f"Content-Type: {kind}\r\n\r\n".encode() + batch.body)
    if message.get_content_type() != "multipart/mixed" or not message.is_multipart():
        raise refusal(400, "badRequest", "Failed to parse batch request.")
    found = [_part(one, batch, names) for one in message.get_payload() if isinstance(one, Message)]
    if len(found) > MOST_PARTS:
        raise refusal(
            400,
            "badRequest",
            f"The batch has {len(found)} calls; at most {MOST_PARTS} are allowed.",
        )
    return found


async def answered(
    parts: list[Part],
    answer: Callable[[Call], Awaitable[Answer]],
    line: Callable[[Call, Answer], Logged],
    order: random.Random,
) -> Answer:
    """Run the calls of a batch and return the one answer to it."""
    written: set[str] = set()
    answers: dict[int, Answer] = {}
    turns = list(range(len(parts)))
    order.shuffle(turns)
    for turn in turns:
        call = parts[turn].call
        if (target := _target(call)) and target in written:
            answers[turn] = error_answer(409, "conflict", "Conflict")
            continue
        if target:
            written.add(target)
        answers[turn] = await answer(call)
    lines = tuple(line(part.call, answers[turn]) for turn, part in enumerate(parts))
    return replace(_joined(parts, answers), logged_parts=lines)


def _part(message: Message, batch: Call, names: tuple[str, ...]) -> Part:
    inner = message.get_payload(decode=True)
    raw = inner if isinstance(inner, bytes) else b""
    head, _, body = raw.replace(b"\r\n", b"\n").partition(b"\n\n")
    request, _, lines = head.decode().lstrip("\n").partition("\n")
    try:
        method, target, *_ = request.split(" ")
    except ValueError:
        raise refusal(400, "badRequest", "Failed to parse batch request.") from None
    headers = CIMultiDict(
        (name.strip(), value.strip())
        for name, colon, value in (one.partition(":") for one in lines.split("\n"))
        if colon
    )
    if "Authorization" not in headers and (token := batch.headers.get("Authorization")):
        headers["Authorization"] = token
    path, _, query = target.partition("?")
    for name in names:
        path = path.removeprefix(f"/{name}/") if path.startswith(f"/{name}/") else path
    return Part(
        message.get("Content-ID"),
        Call(
            method=method,
            path="/" + path.lstrip("/"),
            query=tuple(parse_qsl(query, keep_blank_values=True)),
            headers=CIMultiDictProxy(headers),
            body=body.removesuffix(b"\n") if body.endswith(b"}\n") else body,
            base=batch.base,
        ),
    )


def _target(call: Call) -> str | None:
    """Return which event a part writes, None if it writes none in particular."""
    segments = unquote(call.path).strip("/").split("/")
    if call.method not in _WRITES or "events" not in segments or segments[-1] == "events":
        return None
    return "/".join(segments[: segments.index("events") + 2])


def _joined(parts: list[Part], answers: dict[int, Answer]) -> Answer:
    boundary = "batch_truckroll_sim"
    pieces = []
    for number, part in enumerate(parts):
        one = answers[number]
        if one.transport != "whole":
            return replace(one, body=b"", status=200)
        phrase = HTTPStatus(one.status).phrase
        head = [f"--{boundary}", "Content-Type: application/http"]
        if part.content_id:
            head.append(f"Content-ID: <response-{part.content_id.strip().strip('<>')}>")
        head += ["", f"HTTP/1.1 {one.status} {phrase}"]
        head += [f"{name}: {value}" for name, value in one.headers.items()]
        head += [f"Content-Length: {len(one.body)}", ""]
        pieces += ["\r\n".join(head).encode(), one.body]
    pieces += [f"--{boundary}--".encode(), b""]
    kind = {"Content-Type": f'multipart/mixed; boundary="{boundary}"'}
    return Answer(200, b"\r\n".join(pieces), kind)
