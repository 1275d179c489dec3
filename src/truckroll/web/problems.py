"""What went wrong, as RFC 9457 problem details: a whole sentence, and the status in brackets."""

import logging
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

import msgspec
import psycopg
from litestar import Request, Response
from litestar.exceptions import HTTPException, NotFoundException
from litestar.openapi.datastructures import ResponseSpec
from litestar.types import ExceptionHandlersMap

from truckroll.app.trouble import BusyError, OvertakenError, TroubleError
from truckroll.kit.errors import VendorError
from truckroll.kit.secrets import redact
from truckroll.store.trouble import DatabaseTrouble

MEDIA = "application/problem+json"
NOT_HERE = "There is nothing here, or nothing that you may see."
_log = logging.getLogger(__name__)

_SAYS = {
    HTTPStatus.UNAUTHORIZED: "Come with a token that is known, has not ended and was not revoked:"
    "  Authorization: Bearer tkr_…",
    HTTPStatus.NOT_FOUND: NOT_HERE,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The body of the call is too large.",
}
_TOO_OFTEN = "This token was used too often; wait as long as the header RateLimit-Reset says."


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What went wrong (RFC 9457). `detail` is a whole sentence for people."""

    title: str
    status: int
    detail: str
    errors: list[str] = []


ERRORS: Mapping[int, ResponseSpec] = {
    status: ResponseSpec(
        Problem, generate_examples=False, description=status.phrase, media_type=MEDIA
    )
    for status in (
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.CONFLICT,
        HTTPStatus.PRECONDITION_FAILED,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        HTTPStatus.UNPROCESSABLE_ENTITY,
        HTTPStatus.PRECONDITION_REQUIRED,
        HTTPStatus.TOO_MANY_REQUESTS,
    )
}


def problem(
    status: int, says: str, *, errors: list[str] | None = None, headers: Any = None
) -> Response[Problem]:
    """Return a problem as a response."""
    phrase = HTTPStatus(status).phrase
    body = Problem(title=phrase, status=status, detail=f"{says} ({status})", errors=errors or [])
    return Response(body, status_code=status, media_type=MEDIA, headers=headers)


def _http(request: Request[Any, Any, Any], error: HTTPException) -> Response[Problem]:
    status = error.status_code
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return _unforeseen(request, error)
    headers = error.headers
    if status == HTTPStatus.UNAUTHORIZED:
        headers = {"WWW-Authenticate": "Bearer"}
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        return problem(status, f"This address does not take {request.method}.", headers=headers)
    if status in _SAYS:
        return problem(status, _SAYS[HTTPStatus(status)], headers=headers)
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        own = error.detail != HTTPStatus(status).phrase
        return problem(status, error.detail if own else _TOO_OFTEN, headers=headers)
    errors = [_slip(one) for one in error.extra or [] if isinstance(one, dict)]
    says = "The call cannot be understood." if status == HTTPStatus.BAD_REQUEST else error.detail
    return problem(status, says if errors else _sentence(error.detail), errors=errors)


def _slip(found: dict[str, Any]) -> str:
    place = ".".join(filter(None, (str(found.get("source", "")), str(found.get("key", "")))))
    return f"{place}: {found.get('message', '')}"


def _sentence(says: str) -> str:
    return says if says.endswith((".", "!", "?")) else f"{says}."


def _trouble(_: Request[Any, Any, Any], error: TroubleError) -> Response[Problem]:
    if isinstance(error, OvertakenError):
        status = HTTPStatus.PRECONDITION_FAILED
    elif isinstance(error, BusyError) or not error.usage:
        status = HTTPStatus.CONFLICT
    else:
        status = HTTPStatus.UNPROCESSABLE_ENTITY
    first, *more = error.says.splitlines()
    says = first[:1].upper() + first[1:]
    return problem(status, _sentence(says), errors=more)


def _vendor(_: Request[Any, Any, Any], error: VendorError) -> Response[Problem]:
    return problem(HTTPStatus.CONFLICT, error.says)


def _not_kept(_: Request[Any, Any, Any], __: psycopg.DataError) -> Response[Problem]:
    says = "Something in the call cannot be kept: a character that is no text, or a number too big."
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, says)


def _database(_: Request[Any, Any, Any], error: DatabaseTrouble) -> Response[Problem]:
    return problem(HTTPStatus.SERVICE_UNAVAILABLE, error.says)


def _away(_: Request[Any, Any, Any], error: psycopg.OperationalError) -> Response[Problem]:
    _log.error("The database did not answer: %s", redact(str(error)))
    says = "The hub's database does not answer just now; try again in a moment."
    return problem(HTTPStatus.SERVICE_UNAVAILABLE, says, headers={"Retry-After": "5"})


def _unforeseen(request: Request[Any, Any, Any], error: Exception) -> Response[Problem]:
    """Keep what nobody foresaw in the log, without secrets, and say no more of it."""
    text = redact("".join(traceback.format_exception(error)))
    _log.error("%s %s: %s", request.method, request.url.path, text)
    says = "The hub stopped at something that it did not expect; its log has the details."
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, says)


HANDLERS: ExceptionHandlersMap = {
    HTTPException: _http,
    TroubleError: _trouble,
    VendorError: _vendor,
    DatabaseTrouble: _database,
    psycopg.DataError: _not_kept,
    psycopg.OperationalError: _away,
    Exception: _unforeseen,
}


@contextmanager
def in_path() -> Iterator[None]:
    """Answer 404 where what the path names is not there: the same as for what may not be seen."""
    try:
        yield
    except TroubleError as error:
        if error.usage:
            raise NotFoundException from error
        raise
