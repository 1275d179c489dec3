"""The audit log: every act of a person that changes something, written before it is done."""

from __future__ import annotations

import contextlib
import functools
import inspect
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

import msgspec

from truckroll.kit.secrets import redact

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Mapping

    from truckroll.app.hub import Hub
    from truckroll.store.audit import AuditLine

P = ParamSpec("P")
T = TypeVar("T")
_LONGEST = 300
_LONGEST_VALUES = 4000


def audited(
    act: str,
    subject: str,
    *says: str,
    old: Callable[[Hub, Mapping[str, Any]], Awaitable[Mapping[str, Any]]] | None = None,
) -> Callable[
    [Callable[Concatenate[Hub, P], Coroutine[Any, Any, T]]],
    Callable[Concatenate[Hub, P], Coroutine[Any, Any, T]],
]:
    """Write a line whenever a person calls a use case, and a second one where it fails.

    `subject` and `says` name parameters: what the act is about, and what of it is written down.
    No other argument is, so a secret never is. `old` returns what was, from the hub and the
    arguments. What the hub does by itself is no person's act.
    """

    def decorate(
        use_case: Callable[Concatenate[Hub, P], Coroutine[Any, Any, T]],
    ) -> Callable[Concatenate[Hub, P], Coroutine[Any, Any, T]]:
        bind = inspect.signature(use_case).bind

        @functools.wraps(use_case)
        async def run(hub: Hub, /, *args: P.args, **kwargs: P.kwargs) -> T:
            if not hub.actor.way:
                return await use_case(hub, *args, **kwargs)
            bound = bind(hub, *args, **kwargs)
            bound.apply_defaults()
            given = bound.arguments
            about = str(given[subject]) if subject else ""
            new = {name: given[name] for name in says if given[name]}
            was = await old(hub, given) if old is not None else None
            await write(hub, act, about, old=was, new=new)
            try:
                return await use_case(hub, *args, **kwargs)
            except BaseException as error:
                with contextlib.suppress(Exception):  # the first trouble is the one to be told
                    await write(hub, act, about, outcome=f"failed: {_why(error)}")
                raise

        return run

    return decorate


def _why(error: BaseException) -> str:
    """Return what a trouble says to people; anything else broke the act off."""
    says = getattr(error, "says", "it was broken off")
    return redact(str(says))[:_LONGEST]


async def write(
    hub: Hub,
    act: str,
    subject: str,
    *,
    outcome: str = "",
    old: Mapping[str, Any] | None = None,
    new: Mapping[str, Any] | None = None,
) -> None:
    """Add a line for the hub's actor. An empty `outcome`: as asked, if no later line denies it."""
    await hub.store.audit(
        at=hub.now(),
        who=hub.actor.name,
        way=hub.actor.way,
        token=hub.actor.token,
        act=act,
        subject=redact(subject)[:_LONGEST],
        outcome=outcome,
        old=_short(old),
        new=_short(new),
    )


def _short(values: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """Return values as they are if they are short, else what they are of and how long."""
    if values is None or len(msgspec.json.encode(values)) <= _LONGEST_VALUES:
        return values
    return {name: f"{len(str(value)):,} letters" for name, value in values.items()}


async def listed(
    hub: Hub, word: str = "", *, before: int | None = None, limit: int = 50
) -> list[AuditLine]:
    """Return lines, the newest first; `word` is a person, a subject, an act or its group."""
    return await hub.store.audit_lines(word=word, before=before, limit=limit)
