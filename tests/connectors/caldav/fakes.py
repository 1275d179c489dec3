"""A scripted server: answers by method and path, for servers that cannot run here (iCloud)."""

from dataclasses import dataclass, field

from truckroll.kit.contract import Session
from truckroll.kit.http import Response

XML = {"content-type": "application/xml; charset=utf-8"}


@dataclass
class Scripted:
    """An `Http` whose answers are written down: (method, url) -> (status, headers, body)."""

    answers: dict
    asked: list = field(default_factory=list)

    @property
    def calls(self):
        return len(self.asked)

    async def request(self, method, url, *, headers=None, body=b"", **_):
        self.asked.append((method, url, dict(headers or {}), body))
        found = self.answers[method, url]
        if isinstance(found, list):
            found = found.pop(0)
        status, head, text, *moved = found
        return Response(status, head, text.encode(), moved[0] if moved else url)


def session(answers, url="https://caldav.icloud.com/", **settings):
    asked = {"url": url, "user": "ana@example.com", "password": "x", **settings}
    return Session(account="field", system="caldav", settings=asked, http=Scripted(answers))


def multi(*responses, token=""):
    """Return a 207 answer."""
    end = f"<D:sync-token>{token}</D:sync-token>" if token else ""
    text = (
        '<?xml version="1.0"?><D:multistatus xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav"'
        f' xmlns:CS="http://calendarserver.org/ns/">{"".join(responses)}{end}</D:multistatus>'
    )
    return 207, XML, text


def response(href, props="", status=200, lacks=""):
    """Return one response of a multistatus with properties in a propstat."""
    rest = (
        f"<D:propstat><D:prop>{lacks}</D:prop><D:status>HTTP/1.1 404 Not Found</D:status>"
        "</D:propstat>"
        if lacks
        else ""
    )
    return (
        f"<D:response><D:href>{href}</D:href><D:propstat><D:prop>{props}</D:prop>"
        f"<D:status>HTTP/1.1 {status} X</D:status></D:propstat>{rest}</D:response>"
    )


def bare(href, status):
    """Return one response of a multistatus with a status of its own."""
    return (
        f"<D:response><D:href>{href}</D:href><D:status>HTTP/1.1 {status} X</D:status></D:response>"
    )
