"""What went wrong at a vendor, named by what to do next.

Every error carries a sentence for people: what happened, in which system, and what to do. A
status code stands in brackets at its end, never in its place.
"""

# ruff: noqa: N818 -- an error is named by what to do next, which is no Error

from datetime import timedelta


class VendorError(Exception):
    """Something went wrong at a system. `says` is a whole sentence for people."""

    code = "vendor_error"

    def __init__(self, says: str) -> None:
        super().__init__(says)
        self.says = says


class RetryLater(VendorError):
    """The system cannot answer now; ask again, not before `after` if it said when."""

    code = "try_later"

    def __init__(self, says: str, after: timedelta | None = None) -> None:
        super().__init__(says)
        self.after = after


class SignIn(VendorError):
    """The system does not accept the account's credentials; a person must sign in again.

    `body` is what the system answered, for those who know its words; it is never shown.
    """

    code = "sign_in"

    def __init__(self, says: str, body: bytes = b"") -> None:
        super().__init__(says)
        self.body = body


class StartOver(VendorError):
    """The cursor is not known any more; the scope must be read from the beginning."""

    code = "cursor_expired"


class Replan(VendorError):
    """The record changed since it was read (412, 409); read it again and plan anew."""

    code = "conflict"


class HoldRecord(VendorError):
    """The system refuses this record for a reason that a person or a change can mend."""

    code = "refused"


class AwaitOther(HoldRecord):
    """What the record hangs on is not at the system yet, and nothing was sent; ask again later."""

    code = "awaits_other"


class GiveUp(VendorError):
    """The account or scope cannot work as configured; nothing else of it is tried in this run."""

    code = "misconfigured"


class Gone(VendorError):
    """The record is not there (404, 410)."""

    code = "gone"


class OutcomeUnknown(VendorError):
    """The request went out and no trustworthy answer came back: it may have been done."""

    code = "outcome_unknown"
