"""Answers of systems, read whole, and whether they are of the kind that was asked for."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from truckroll.kit.errors import RetryLater, VendorError


@dataclass(frozen=True, slots=True)
class Response:
    """An answer, read whole within the limits. Header names are lower case.

    Its text form shows neither body, headers nor address: they may carry secrets.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    url: str = field(repr=False)

    @property
    def content_type(self) -> str:
        """The media type without parameters, lower case."""
        return self.headers.get("content-type", "").split(";")[0].strip().lower()


def expect(
    response: Response,
    content_types: Collection[str],
    system: str,
    *,
    wanted: str = "data",
    otherwise: type[VendorError] = RetryLater,
) -> None:
    """Raise `otherwise` unless a successful answer is of one of these media types.

    A web page where data was wanted is the sign-in page of a network or of a wrong address:
    RetryLater while working (nothing is taken from it), GiveUp when an account is set up.
    """
    kind = response.content_type
    if kind in content_types:
        return
    if kind in {"text/html", "application/xhtml+xml"} or response.body[
        :200
    ].lstrip().lower().startswith((b"<!doctype html", b"<html")):
        raise otherwise(
            f"{system} answered with a web page where {wanted} was expected. Either the address "
            "is not the right one, or a sign-in page of the network stands in between "
            f"[{response.status}]."
        )
    raise otherwise(
        f"{system} answered in a form ({kind or 'not named'}) that is not {wanted}. "
        f"Check the address [{response.status}]."
    )
