"""The schemes of the vendors' sheets, as connectors declare them, and how a vendor signs by them."""

import base64
import hashlib
import hmac
import re
from datetime import timedelta
from urllib.parse import unquote

from truckroll.kit.proofs import Arrival, Hmac, Part

BODY, TIMESTAMP = Part.BODY, Part.TIMESTAMP

SCHEMES = {
    "standard-webhooks": Hmac(
        "webhook-signature",
        (Part.ID, ".", TIMESTAMP, ".", BODY),
        encoding="base64",
        prefix="v1,",
        separator=" ",
        timestamp="webhook-timestamp",
        id_header="webhook-id",
        key="whsec",
    ),
    "slack-v0": Hmac(
        "X-Slack-Signature",
        ("v0:", TIMESTAMP, ":", BODY),
        prefix="v0=",
        timestamp="X-Slack-Request-Timestamp",
    ),
    "jobber": Hmac("X-Jobber-Hmac-SHA256", encoding="base64"),
    "asana": Hmac("X-Hook-Signature"),
    "clickup": Hmac("X-Signature"),
    "acuity": Hmac("X-Acuity-Signature", encoding="base64"),
    "smartsheet": Hmac("Smartsheet-Hmac-SHA256"),
    "trello": Hmac("X-Trello-Webhook", (BODY, Part.URL), digest="sha1", encoding="base64"),
    "calendly": Hmac(
        "Calendly-Webhook-Signature",
        (TIMESTAMP, ".", BODY),
        prefix="v1=",
        separator=",",
        timestamp="t=",
    ),
    "hubspot-v3": Hmac(
        "X-HubSpot-Signature-v3",
        (Part.METHOD, Part.DECODED_URL, BODY, TIMESTAMP),
        encoding="base64",
        timestamp="X-HubSpot-Request-Timestamp",
        unit="milliseconds",
    ),
    "housecallpro": Hmac("Api-Signature", (TIMESTAMP, ".", BODY), timestamp="Api-Timestamp"),
    # Sheets without a vector
    "servicetitan": Hmac("x-servicetitan-signature", encoding="either"),
    "servicechannel": Hmac("Sign-Data", encoding="base64", key="base64"),
    "servicenow": Hmac(
        "X-Truckroll-Signature", prefix="sha256=", timestamp="X-Truckroll-Timestamp"
    ),
    "deputy": Hmac(
        "x-deputy-secret",
        encoding="either",
        timestamp="x-deputy-generation-time",
        tolerance=timedelta(minutes=5),
    ),
    "fieldedge": Hmac("X-FieldEdge-Signature"),
}
SEVERAL = {"standard-webhooks", "calendly"}
URL = "https://hub.example/push/a?x=%2F"


def secret_of(scheme, number=1):
    plain = f"a secret of {scheme} {number}".encode()
    encoded = base64.b64encode(plain).decode()
    return {"whsec": f"whsec_{encoded}", "base64": encoded}.get(SCHEMES[scheme].key, plain.decode())


def signed(scheme, body, at, number=1, url=URL, id_="msg-1"):
    """Return a push as the vendor signs it: written from the sheets, not from the verifier."""
    proof = SCHEMES[scheme]
    plain = f"a secret of {scheme} {number}".encode()
    seconds = int(at.timestamp())
    stamp = str(seconds * 1000 if proof.unit == "milliseconds" else seconds)
    decoded = re.sub(
        "%(3A|2F|3F|40|21|24|27|28|29|2A|2C|3B)",
        lambda one: unquote(one[0]),
        url,
        flags=re.IGNORECASE,
    )
    message = {
        "standard-webhooks": f"{id_}.{stamp}.".encode() + body,
        "slack-v0": f"v0:{stamp}:".encode() + body,
        "trello": body + url.encode(),
        "calendly": f"{stamp}.".encode() + body,
        "hubspot-v3": f"POST{decoded}".encode() + body + stamp.encode(),
        "housecallpro": f"{stamp}.".encode() + body,
    }.get(scheme, body)
    digest = hmac.new(plain, message, hashlib.sha1 if scheme == "trello" else hashlib.sha256)
    text = digest.hexdigest()
    if proof.encoding == "base64":
        text = base64.b64encode(digest.digest()).decode()
    headers = {proof.header: f"{proof.prefix}{text}"}
    if scheme == "calendly":
        headers[proof.header] = f"t={stamp},{proof.prefix}{text}"
    elif proof.timestamp:
        headers[proof.timestamp] = stamp
    if proof.id_header:
        headers[proof.id_header] = id_
    return arrival(headers, body, at, url=url)


def arrival(headers, body, at, *, url=URL, method="POST"):
    lower = {name.lower(): value for name, value in headers.items()}
    return Arrival(method=method, url=url, headers=lower, body=body, at=at)
