"""Bodies of answers, read and inflated within limits: what is too big is never held whole."""

import zlib
from collections.abc import Iterator

import aiohttp

_PIECE = 64 * 1024
_GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS
_RAW = -zlib.MAX_WBITS
_SMALL = 1024 * 1024  # below this much the ratio says nothing: a short text of blanks is no bomb


class TooBigError(Exception):
    """A body passes a limit; the message says which, as the end of a sentence."""


class BrokenError(Exception):
    """A body ends too soon or is not packed as its headers say."""


async def read_body(answer: aiohttp.ClientResponse, *, most_bytes: int, ratio: int) -> bytes:
    """Return the body of an answer, inflated; the connection is cut when a limit is passed.

    `most_bytes` bounds both what is received and what it inflates to; `ratio` how many times
    larger than received it may become. Raises TooBigError and BrokenError.
    """
    if (answer.content_length or 0) > most_bytes:
        answer.close()
        raise TooBigError(_too_large(most_bytes))
    try:
        return await _read(answer, most_bytes, ratio)
    except (TooBigError, BrokenError):
        answer.close()
        raise


async def _read(answer: aiohttp.ClientResponse, most_bytes: int, ratio: int) -> bytes:
    inflater = _inflater(answer.headers.get("Content-Encoding", ""))
    got, body = 0, bytearray()
    async for chunk in answer.content.iter_any():
        got += len(chunk)
        if got > most_bytes:
            raise TooBigError(_too_large(most_bytes))
        for piece in inflater.feed(chunk) if inflater else (chunk,):
            body += piece
            if len(body) > most_bytes:
                raise TooBigError(_too_large(most_bytes))
            if len(body) > max(_SMALL, got * ratio):
                raise TooBigError(f"sent data that unpacks to over {ratio} times its size")
    if inflater and got and not inflater.done:
        raise BrokenError
    return bytes(body)


def joined_headers(answer: aiohttp.ClientResponse) -> dict[str, str]:
    """Return the headers by lower-case name, repeated ones joined; cookies are left out."""
    headers: dict[str, str] = {}
    for name, value in answer.headers.items():
        key = name.lower()
        if key != "set-cookie":
            headers[key] = f"{headers[key]}, {value}" if key in headers else value
    return headers


def _too_large(most_bytes: int) -> str:
    return f"sent more than {most_bytes // (1024 * 1024)} MB in one answer"


def _inflater(encoding: str) -> "_Inflater | None":
    name = encoding.strip().lower()
    if name in {"", "identity"}:
        return None
    if name in {"gzip", "x-gzip", "deflate"}:
        return _Inflater()
    raise BrokenError  # nothing else was asked for


class _Inflater:
    """Inflates gzip (also of several members), zlib and raw deflate in bounded pieces."""

    def __init__(self) -> None:
        self._engine = zlib.decompressobj(_GZIP_OR_ZLIB)
        self._begun = False

    @property
    def done(self) -> bool:
        return self._engine.eof

    def feed(self, data: bytes) -> Iterator[bytes]:
        while data:
            if self._engine.eof:  # a further member of a gzip file
                self._engine = zlib.decompressobj(_GZIP_OR_ZLIB)
            yield self._inflate(data)
            data = self._engine.unconsumed_tail or self._engine.unused_data

    def _inflate(self, data: bytes) -> bytes:
        try:
            piece = self._engine.decompress(data, _PIECE)
        except zlib.error:
            if self._begun:
                raise BrokenError from None
            self._engine = zlib.decompressobj(_RAW)
            try:
                piece = self._engine.decompress(data, _PIECE)
            except zlib.error:
                raise BrokenError from None
        self._begun = True
        return piece
