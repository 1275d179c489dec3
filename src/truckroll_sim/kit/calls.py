"""A call, its answer, the way from one to the other, and the log of both."""

import inspect
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal
from urllib.parse import unquote

import msgspec
from multidict import CIMultiDict, CIMultiDictProxy

Transport = Literal["whole", "truncated", "hang", "drop"]


@dataclass(frozen=True)
class Call:
    """One request to a system.

    `path` is the vendor's path, still percent-encoded, without the system's name; `query` the
    decoded pairs in order; `base` the system's own address without a slash at its end; `parts`
    the decoded path segments that the route's pattern names.
    """

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    headers: CIMultiDictProxy[str] = field(default_factory=lambda: CIMultiDictProxy(CIMultiDict()))
    body: bytes = b""
    base: str = ""
    parts: Mapping[str, str] = field(default_factory=dict)

    def one(self, name: str) -> str | None:
        """Return the last value of a query parameter, None if it was not sent."""
        return next((value for key, value in reversed(self.query) if key == name), None)

    def many(self, name: str) -> list[str]:
        """Return all values of a query parameter in order."""
        return [value for key, value in self.query if key == name]

    def json(self) -> Any:
        """Return the body decoded as JSON; an empty body is None.

        Raises ValueError if it is something else.
        """
        return msgspec.json.decode(self.body) if self.body.strip() else None


@dataclass(frozen=True)
class Logged:
    """A line of the call log. `at` is UTC; `account` who was signed in; `parts` of a batch."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    status: int
    account: str | None
    at: datetime
    fault: str | None = None
    parts: tuple["Logged", ...] = ()


@dataclass(frozen=True)
class Answer:
    """One response. `transport` says how it travels: whole, or as a fault has it."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    transport: Transport = "whole"
    seconds: float = 0.0
    fault: str | None = None
    logged_parts: tuple[Logged, ...] = ()

    @classmethod
    def json(
        cls, value: Any, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> "Answer":
        """Return an answer with a JSON body."""
        told = {"Content-Type": "application/json; charset=UTF-8", **(headers or {})}
        return cls(status, msgspec.json.encode(value), told)

    @classmethod
    def empty(cls, status: int = 204, headers: Mapping[str, str] | None = None) -> "Answer":
        """Return an answer without a body."""
        return cls(status, b"", headers or {})


class Refused(Exception):  # noqa: N818 - it is the vendor's refusal, not a slip of the simulator
    """The vendor refuses the call with this answer."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


Handler = Callable[[Call], Answer | Awaitable[Answer]]


@dataclass(frozen=True)
class _Route:
    method: str
    pattern: str
    expression: re.Pattern[str]
    handler: Handler


class Routes:
    """Which handler answers which method and path."""

    def __init__(self) -> None:
        self._routes: list[_Route] = []

    def add(self, method: str, pattern: str, handler: Handler) -> None:
        """Let calls of this method and pattern go to the handler."""
        segments = re.split(r"\{(\w+)\}", pattern)
        expression = "".join(
            f"(?P<{text}>[^/]+)" if index % 2 else re.escape(text)
            for index, text in enumerate(segments)
        )
        self._routes.append(_Route(method, pattern, re.compile(expression), handler))
        self._routes.sort(key=lambda route: route.pattern.replace("{", "\uffff"))

    def find(self, call: Call) -> tuple[Handler, Call] | None:
        """Return the handler and the call with its path parts filled, None if there is none."""
        for route in self._routes:
            if route.method != call.method:
                continue
            if match := route.expression.fullmatch(call.path):
                parts = {name: unquote(value) for name, value in match.groupdict().items()}
                return route.handler, replace(call, parts=parts)
        return None


async def handled(handler: Handler, call: Call) -> Answer:
    """Return the handler's answer, be it refused or not."""
    try:
        answer = handler(call)
        return await answer if inspect.isawaitable(answer) else answer
    except Refused as refused:
        return refused.answer
