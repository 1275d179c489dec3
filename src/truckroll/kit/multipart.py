"""Several HTTP requests in one `multipart/mixed` body, and their answers: pure.

Each part is a whole HTTP message of type `application/http` (RFC 9112 section 10.2) with a
Content-ID; its answer carries the same id after `response-` (Google's batch, docs/connectors/
google-calendar.md).
"""

import hashlib
import re
from collections.abc import Mapping, Sequence

from truckroll.kit.answers import Response
from truckroll.kit.batch import Outgoing

_BOUNDARY = re.compile(r'boundary="?([^";]+)"?', re.IGNORECASE)
_STATUS = re.compile(rb"HTTP/\d(?:\.\d)?\s+(\d{3})\b")
_LINE_ENDS = re.compile(r"[\r\n]+")
_BLANK = re.compile(rb"\r?\n\r?\n")
_ID = re.compile(rb"<?(?:response-)?(\d{1,6})>?")


class Multipart:
    """The envelope of Google's batch calls."""

    def pack(self, calls: Sequence[Outgoing]) -> tuple[Mapping[str, str], bytes]:
        """Return headers and body of the request that carries these, numbered from 0."""
        texts = [_request(call) for call in calls]
        boundary = f"batch_{hashlib.sha256(b''.join(texts)).hexdigest()[:32]}"
        pieces = [
            b"--%s\r\nContent-Type: application/http\r\nContent-ID: <%d>\r\n\r\n%s\r\n"
            % (boundary.encode(), number, text)
            for number, text in enumerate(texts)
        ]
        body = b"".join(pieces) + b"--%s--\r\n" % boundary.encode()
        return {"Content-Type": f'multipart/mixed; boundary="{boundary}"'}, body

    def unpack(self, response: Response, calls: Sequence[Outgoing]) -> list[Response | None]:
        """Return the answer to each call by its number, None where there is none.

        Raises ValueError where the answer is no multipart.
        """
        boundary = _BOUNDARY.search(response.headers.get("content-type", ""))
        if boundary is None or response.content_type != "multipart/mixed":
            raise ValueError("the answer is no multipart")
        answers: list[Response | None] = [None] * len(calls)
        for part in _parts(response.body, boundary[1].encode()):
            number, answer = _answer(part, calls)
            if answer is not None:
                answers[number] = answer
        return answers


def _request(call: Outgoing) -> bytes:
    headers = dict(call.headers)
    if call.body:
        headers["Content-Length"] = str(len(call.body))
    lines = [f"{call.method} {call.url.raw_path_qs} HTTP/1.1"]
    # What a system gave us (an ETag) must not begin a line of its own.
    lines += [f"{name}: {_LINE_ENDS.sub(' ', value)}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + call.body


def _parts(body: bytes, boundary: bytes) -> list[bytes]:
    """Return the whole parts; one that the answer was cut off in is none."""
    line = re.compile(rb"(?:^|\r?\n)--" + re.escape(boundary) + rb"(?:--)?[ \t]*(?=\r?\n|$)")
    return [piece.lstrip(b"\r\n") for piece in line.split(body)[1:-1]]


def _answer(part: bytes, calls: Sequence[Outgoing]) -> tuple[int, Response | None]:
    head, *rest = _BLANK.split(part, maxsplit=2)
    if not rest:
        return 0, None
    named = _ID.fullmatch(_headers(head).get("content-id", "").encode())
    status = _STATUS.match(rest[0])
    if named is None or status is None or int(named[1]) >= len(calls):
        return 0, None
    number = int(named[1])
    return number, Response(
        int(status[1]),
        _headers(rest[0].partition(b"\n")[2]),
        rest[1] if len(rest) > 1 else b"",
        str(calls[number].url),
    )


def _headers(text: bytes) -> dict[str, str]:
    found = {}
    for line in text.decode("latin-1").splitlines():
        name, colon, value = line.partition(":")
        if colon:
            found[name.strip().lower()] = value.strip()
    return found


MULTIPART = Multipart()
