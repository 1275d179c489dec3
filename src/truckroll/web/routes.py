"""Routes of the API: each has a right, and says what may go wrong."""

from collections.abc import Callable
from typing import Any, TypeVar

from litestar import delete, get, patch, post
from litestar.handlers import HTTPRouteHandler

from truckroll.app.rights import Right
from truckroll.web.problems import ERRORS
from truckroll.web.sign_in import RIGHT

Made = Callable[[Callable[..., Any]], HTTPRouteHandler]
H = TypeVar("H")


def _made(kind: Callable[..., Any], path: str, right: Right | str, options: dict[str, Any]) -> Made:
    opt = {RIGHT: right, **options.pop("opt", {})}
    responses = {**ERRORS, **options.pop("responses", {})}
    made: Made = kind(path, opt=opt, responses=responses, **options)
    return made


def shows(path: str, right: Right | str, **options: Any) -> Made:
    """Return the decorator of a GET route that callers with this right may call."""
    return _made(get, path, right, options)


def does(path: str, right: Right | str, **options: Any) -> Made:
    """Return the decorator of a POST route, which answers 200 if nothing else is said."""
    return _made(post, path, right, {"status_code": 200, **options})


def changes(path: str, right: Right | str, **options: Any) -> Made:
    """Return the decorator of a PATCH route."""
    return _made(patch, path, right, options)


def removes(path: str, right: Right | str, **options: Any) -> Made:
    """Return the decorator of a DELETE route, which answers 204."""
    return _made(delete, path, right, options)
