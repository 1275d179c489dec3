"""The vendor's refusals, in its own envelope (google-calendar, section 13)."""

from truckroll_sim.kit.calls import Answer, Refused

QUOTA_REASONS = ("rateLimitExceeded", "userRateLimitExceeded", "quotaExceeded")

_WORDS = {
    "authError": "Invalid Credentials",
    "backendError": "Backend Error",
    "conditionNotMet": "Precondition Failed",
    "deleted": "Resource has been deleted",
    "duplicate": "The requested identifier already exists.",
    "fullSyncRequired": "Sync token is no longer valid, a full sync is required.",
    "insufficientPermissions": "Request had insufficient authentication scopes.",
    "notFound": "Not Found",
    "quotaExceeded": "Calendar usage limits exceeded.",
    "rateLimitExceeded": "Rate Limit Exceeded",
    "timeRangeEmpty": "The specified time range is empty.",
    "updatedMinTooLongAgo": "The requested minimum modification time lies too far in the past.",
    "userRateLimitExceeded": "User Rate Limit Exceeded",
}
_OF_CALENDAR = ("fullSyncRequired", "updatedMinTooLongAgo", "timeRangeEmpty", "forbidden")


def error_answer(
    status: int,
    reason: str,
    message: str | None = None,
    *,
    location: str | None = None,
    location_type: str | None = None,
) -> Answer:
    """Return an error answer; `location` names the parameter or header at fault, if one is."""
    words = message or _WORDS.get(reason, reason)
    domain = "usageLimits" if reason in QUOTA_REASONS else "global"
    if reason in _OF_CALENDAR or reason.startswith("forbiddenFor"):
        domain = "calendar"
    error = {"domain": domain, "reason": reason, "message": words}
    if location:
        error |= {"locationType": location_type or "parameter", "location": location}
    return Answer.json({"error": {"errors": [error], "code": status, "message": words}}, status)


def refusal(
    status: int,
    reason: str,
    message: str | None = None,
    *,
    location: str | None = None,
    location_type: str | None = None,
) -> Refused:
    """Return the same as a refusal to raise."""
    return Refused(
        error_answer(status, reason, message, location=location, location_type=location_type)
    )


def invalid(message: str, location: str | None = None) -> Refused:
    """Return the refusal of a bad value (400)."""
    return refusal(400, "invalid", message, location=location)


def required(message: str, location: str | None = None) -> Refused:
    """Return the refusal of a missing value (400)."""
    return refusal(400, "required", message, location=location)


def not_found() -> Refused:
    """Return the refusal for what is not there, or not for this account (404)."""
    return refusal(404, "notFound")


def gone() -> Refused:
    """Return the refusal for what was deleted already (410)."""
    return refusal(410, "deleted")
