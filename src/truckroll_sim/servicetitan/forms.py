"""Attachments of jobs: upload, list, download (sheet, 4).

A download is a redirect to a signed address of a blob store, which refuses a request that
carries an Authorization header or the app's key: they are not meant for it (sheet, 14).
"""

from __future__ import annotations

import hashlib
from email import message_from_bytes
from typing import TYPE_CHECKING, Any

from truckroll_sim.kit.calls import Answer, Call
from truckroll_sim.servicetitan.listing import SORTABLE, STAMPS, ordered, paged
from truckroll_sim.servicetitan.requests import Request, Route, asked
from truckroll_sim.servicetitan.tenant import Tenant, invalid

if TYPE_CHECKING:
    from truckroll_sim.servicetitan.rows import Row

BLOBS = "/blobs/{number}"


def attach(tenant: Tenant, job_id: int, name: str, content: bytes, kind: str) -> Row:
    """Put a file on a job."""
    tenant.row("jobs", job_id)
    return tenant.add("attachments", fileName=name, _job=job_id, _content=content, _type=kind)


def upload(request: Request) -> Answer:
    """Take the multipart field ``file``; the answer has its name and no id."""
    if request.tenant["jobs"].get(request.id) is None:
        raise invalid("id", f"Job with ID {request.id} was not found.")
    name, content, kind = _file(request.call)
    return Answer.json(
        {"fileName": attach(request.tenant, request.id, name, content, kind)["fileName"]}
    )


def _file(call: Call) -> tuple[str, bytes, str]:
    head = f"Content-Type: {call.headers.get('Content-Type', '')}\r\n\r\n".encode()
    message = message_from_bytes(head + call.body)
    for part in message.walk() if message.is_multipart() else ():
        if part.get_param("name", header="content-disposition") == "file":
            content = part.get_payload(decode=True)
            if isinstance(content, bytes) and part.get_filename():
                return str(part.get_filename()), content, part.get_content_type()
    raise invalid("file", "A multipart field 'file' with a file name is required.")


def several(request: Request) -> Answer:
    """Return the files of a job."""
    job_id = request.number("jobId")
    if request.tenant["jobs"].get(job_id) is None:
        raise invalid("jobId", f"Job with ID {job_id} was not found.")
    rows = request.tenant.alive("attachments", "_job", job_id)
    for name in ("createdBefore", "createdOnOrAfter"):
        value = asked(request.query, name, STAMPS[name].reader)
        if value is not None:
            rows = [row for row in rows if STAMPS[name].keeps(request.tenant, row, value)]
    return paged(request, ordered(rows, request.query, SORTABLE), _view)


def _view(row: Row, _: Request) -> dict[str, Any]:
    return {name: row[name] for name in ("id", "fileName", "createdOn")}


def download(request: Request) -> Answer:
    """Redirect to the signed address; the documents know no 404 here."""
    row = request.tenant.wanted("attachments", request.id, "id")
    base = request.call.base
    address = f"{base}/blobs/{row['id']}?sig={_signature(row)}"
    return Answer(302, b"", {"Location": address})


def blob(tenant: Tenant, call: Call) -> Answer:
    """Return the file behind a signed address."""
    number = call.parts["number"]
    row = tenant["attachments"].get(int(number)) if number.isdecimal() else None
    if row is None or call.one("sig") != _signature(row):
        return Answer(403, b"The signature does not match.", {"Content-Type": "text/plain"})
    if "Authorization" in call.headers or "ST-App-Key" in call.headers:
        return Answer(400, b"Only one way to sign in is allowed.", {"Content-Type": "text/plain"})
    return Answer(200, row["_content"], {"Content-Type": row["_type"]})


def _signature(row: Row) -> str:
    return hashlib.sha256(f"{row['id']}/{row['fileName']}".encode()).hexdigest()[:32]


ROUTES = (
    Route("POST", "forms/jobs/{id}/attachments", upload),
    Route("GET", "forms/jobs/{jobId}/attachments", several),
    Route("GET", "forms/jobs/attachment/{id}", download),
)
