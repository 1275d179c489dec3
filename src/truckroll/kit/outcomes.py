"""What to say, and to raise, when a request ends without a usable answer."""

from collections.abc import Callable
from datetime import timedelta

from truckroll.kit.answers import Response
from truckroll.kit.errors import OutcomeUnknown, RetryLater, SignIn, VendorError
from truckroll.kit.gate import HeldBackError

Busy = Callable[[Response], bool]
BY_ITSELF = "; it is tried again by itself"
_SURELY_NOT_DONE = frozenset({501, 505, 507})


def is_answer(status: int) -> bool:
    """Tell whether a status says surely whether the request was carried out."""
    return status < 500 or status in _SURELY_NOT_DONE  # noqa: PLR2004 -- the class of failures


def asks_for_pause(response: Response, busy: Busy | None = None) -> bool:
    """Tell whether a system asks for a pause: 429, 503 with Retry-After, or in its own way."""
    if response.status == 429 or (busy is not None and busy(response)):  # noqa: PLR2004 -- statuses are best known by number
        return True
    return response.status == 503 and "retry-after" in response.headers  # noqa: PLR2004 -- the same


def lost(system: str, what: str, *, unknown: bool) -> VendorError:
    """Return the error for an answer that never came whole; `what` is what the system did.

    `unknown`: a change was sent and may have been done.
    """
    if unknown:
        return OutcomeUnknown(
            f"{system} {what} after a change was sent to it, which may have been done or not; that "
            "is looked up before anything is tried again."
        )
    return RetryLater(f"{system} {what}{BY_ITSELF}.")


def failed(system: str, status: int, *, unknown: bool) -> VendorError:
    """Return the error for a failure of the system's own (5xx); `unknown` as for `lost`."""
    if unknown:
        return OutcomeUnknown(
            f"{system} had a failure of its own during a change, which may have been done or not; "
            f"that is looked up before anything is tried again [{status}]."
        )
    return RetryLater(f"{system} had a failure of its own{BY_ITSELF} [{status}].")


def paused(system: str, seconds: float, status: int | None = None) -> RetryLater:
    """Return the error for a pause that a system asked for and that is not waited for here."""
    code = f" [{status}]" if status else ""
    return RetryLater(
        f"{system} asked for a pause; it goes on by itself after {_length(seconds)}{code}.",
        after=timedelta(seconds=seconds),
    )


def held_back(system: str, held: HeldBackError) -> VendorError:
    """Return the error for an attempt that was not made; `after` says when it may be."""
    after = timedelta(seconds=held.seconds)
    match held.why:
        case "paused":
            return paused(system, held.seconds)
        case "sign_in":
            return SignIn(held.says)
        case "down":
            says = held.says or f"{system} does not answer"
            return RetryLater(f"{says}; it is asked again after {_length(held.seconds)}.", after)
        case _:
            return RetryLater(
                f"What {system} allows in this time is used up; it goes on by itself after "
                f"{_length(held.seconds)}.",
                after,
            )


def _length(seconds: float) -> str:
    """Return a length of time as people say it."""
    for unit, long in (("h", 3600), ("min", 60)):
        if seconds >= 2 * long:
            return f"{round(seconds / long)} {unit}"
    return f"{max(1, round(seconds))} s"


def not_signed_in(system: str, account: str, body: bytes = b"") -> SignIn:
    """Return the error for credentials that a system does not accept (401)."""
    whose = f" of account {account}" if account else ""
    return SignIn(
        f"{system} does not accept the sign-in{whose} any more. Sign in again [401].", body
    )
