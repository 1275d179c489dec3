"""Whether a push comes from the system that it says it comes from.

A connector declares its system's scheme as a value (`Proof`), `refusal` holds a push to it. All
is computed over the bytes as they came, before anything is parsed, and compared in constant time.
A body that came compressed is not inflated: systems sign what they send, so what was sent counts.
"""

import base64
import contextlib
import hmac
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, Literal
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

from truckroll.kit.classify import values_at

TOLERANCE = timedelta(minutes=5)
_HUBSPOT_DECODES = re.compile(r"%(?:3A|2F|3F|40|21|24|27|28|29|2A|2C|3B)", re.IGNORECASE)
_MILLISECONDS = 1000.0
_MOST_SIGNATURES = 8
_SIZES = {"sha256": 32, "sha1": 20}

Reason = Literal["", "missing", "wrong", "stale"]


class Arrival(msgspec.Struct, frozen=True, kw_only=True):
    """A push as it came in.

    `url` is the address as it was registered, with the query as it came: what a proxy makes of it
    is not what the system signed. Names of `headers` are in lower case; `body` is kept byte for
    byte; `at` is aware UTC.
    """

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes
    at: datetime

    def query(self) -> dict[str, str]:
        """Return the query, decoded; the last of several values."""
        return dict(parse_qsl(urlsplit(self.url).query, keep_blank_values=True))


class Part(Enum):
    """A part of a push that a signature covers."""

    BODY = "body"
    METHOD = "method"
    URL = "url"
    DECODED_URL = "decoded url"  # HubSpot decodes :/?@!$'()*,; and nothing else
    TIMESTAMP = "timestamp"
    ID = "id"


@dataclass(frozen=True, slots=True)
class Hmac:
    """A keyed hash over parts of the push.

    `signs` are the parts, with text between them. `header` holds the signature after `prefix`;
    where `separator` is given it holds several entries, of which any that begins with `prefix`
    may be right. `either` takes hex as well as base64. `timestamp` names the header of the
    instant in Unix time, or with `t=` the entry of `header` itself that has it; it may be
    `tolerance` away from now, in the past or the future. `id_header` names the delivery's id
    where it is signed. `key` says what the secret is: text, base64, or what follows `whsec_`.
    """

    header: str
    signs: Sequence[Part | str] = (Part.BODY,)
    digest: Literal["sha256", "sha1"] = "sha256"
    encoding: Literal["hex", "base64", "either"] = "hex"
    prefix: str = ""
    separator: str = ""
    timestamp: str = ""
    unit: Literal["seconds", "milliseconds"] = "seconds"
    tolerance: timedelta = TOLERANCE
    id_header: str = ""
    key: Literal["text", "base64", "whsec"] = "text"


@dataclass(frozen=True, slots=True)
class Jwt:
    """A JSON web token signed with the secret (HS256), in a header or as the whole body.

    `exp` and `nbf` are held to where they stand; with `audience` the token must be meant for the
    registered address.
    """

    header: str = ""
    audience: bool = False
    leeway: timedelta = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Token:
    """A secret that the system was given and sends along, in a header or in the query."""

    header: str = ""
    query: str = ""
    prefix: str = ""


@dataclass(frozen=True, slots=True)
class Basic:
    """A user and password (RFC 7617); the secret is `user:password`."""


@dataclass(frozen=True, slots=True)
class InBody:
    """A secret that comes in the JSON body: every value at `at` must be it (`value.*.clientState`).

    `each` names the list whose items must all have one.
    """

    at: str
    each: str = ""


@dataclass(frozen=True, slots=True)
class Unsigned:
    """Nothing but the address, which nobody can guess: such a push is only a hint.

    More than `per_minute` of them are turned away for the time being.
    """

    per_minute: int = 600


Proof = Hmac | Jwt | Token | Basic | InBody | Unsigned


def refusal(proof: Proof, push: Arrival, secrets: Sequence[str]) -> Reason:
    """Return why a push is not proven by any of the secrets, "" where it is.

    Several secrets are those that count while one is being exchanged for the next. Without any
    there is no proof but that of `Unsigned`.
    """
    known = [secret for secret in secrets if secret]
    match proof:
        case Unsigned():
            return ""
        case _ if not known:
            return "missing"
        case Hmac():
            return _hmac(proof, push, known)
        case Jwt():
            return _jwt(proof, push, known)
        case Token():
            return _token(proof, push, known)
        case Basic():
            return _basic(push, known)
        case InBody():
            return _in_body(proof, push, known)


def secret_headers(proof: Proof) -> frozenset[str]:
    """Return the headers (lower case) that show the secret itself and must not be kept."""
    match proof:
        case Token(header=name) | Jwt(header=name) if name:
            return frozenset({name.lower()})
        case Basic():
            return frozenset({"authorization"})
        case _:
            return frozenset()


def _among(given: bytes, wanted: Iterable[bytes]) -> bool:
    """Compare with all that may be right, without a word about where they differ."""
    found = False
    for one in wanted:
        found |= hmac.compare_digest(given, one)
    return found


def _hmac(proof: Hmac, push: Arrival, secrets: Sequence[str]) -> Reason:
    header = push.headers.get(proof.header.lower(), "").strip()
    if not header:
        return "missing"
    entries = header.split(proof.separator) if proof.separator else [header]
    entries = [entry.strip() for entry in entries]
    at = _timestamp(proof, push, entries)
    if proof.timestamp and at is None:
        return "missing"
    message = _message(proof, push, at or "")
    if message is None:
        return "missing"
    given = _signatures(proof, entries)
    if not given:
        return "missing"
    keys = (_key(proof, secret) for secret in secrets)
    wanted = [hmac.digest(key, message, proof.digest) for key in keys if key is not None]
    found = False
    for one in given:
        found |= _among(one, wanted)
    if not found:
        return "wrong"
    return "" if at is None or _is_fresh(at, proof, push.at) else "stale"


def _timestamp(proof: Hmac, push: Arrival, entries: Sequence[str]) -> str | None:
    if not proof.timestamp.endswith("="):
        return push.headers.get(proof.timestamp.lower()) if proof.timestamp else None
    found = (one for one in entries if one.startswith(proof.timestamp))
    return next((one.removeprefix(proof.timestamp) for one in found), None)


def _is_fresh(at: str, proof: Hmac, now: datetime) -> bool:
    if not (at.isascii() and at.isdigit()) or len(at) > 15:  # noqa: PLR2004 -- milliseconds have 13
        return False
    seconds = int(at) / (_MILLISECONDS if proof.unit == "milliseconds" else 1)
    return abs(now.timestamp() - seconds) <= proof.tolerance.total_seconds()


def _message(proof: Hmac, push: Arrival, at: str) -> bytes | None:
    """Return what was signed, None where a part of it did not come."""
    parts = []
    for part in proof.signs:
        match part:
            case Part.BODY:
                parts.append(push.body)
            case Part.METHOD:
                parts.append(push.method.encode())
            case Part.URL:
                parts.append(push.url.encode())
            case Part.DECODED_URL:
                parts.append(_HUBSPOT_DECODES.sub(lambda one: unquote(one[0]), push.url).encode())
            case Part.TIMESTAMP:
                parts.append(at.encode())
            case Part.ID:
                if not (id_ := push.headers.get(proof.id_header.lower())):
                    return None
                parts.append(id_.encode())
            case str() as text:
                parts.append(text.encode())
    return b"".join(parts)


def _signatures(proof: Hmac, entries: Sequence[str]) -> list[bytes]:
    """Return the signatures as bytes, so that the case of hex digits does not matter."""
    found = []
    for entry in entries[: _MOST_SIGNATURES + 1]:
        if entry.startswith(proof.prefix):
            found += _decoded(entry.removeprefix(proof.prefix), proof)
    return found


def _decoded(text: str, proof: Hmac) -> list[bytes]:
    found = []
    if proof.encoding in ("hex", "either"):
        with contextlib.suppress(ValueError):
            found.append(bytes.fromhex(text))
    if proof.encoding in ("base64", "either"):
        with contextlib.suppress(ValueError):
            found.append(base64.b64decode(text, validate=True))
    return [one for one in found if len(one) == _SIZES[proof.digest]]


def _key(proof: Hmac, secret: str) -> bytes | None:
    if proof.key == "text":
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except ValueError:
        return None


def _jwt(proof: Jwt, push: Arrival, secrets: Sequence[str]) -> Reason:
    text = push.headers.get(proof.header.lower(), "") if proof.header else _text(push.body)
    text = text.strip().removeprefix("Bearer ").strip()
    if not text:
        return "missing"
    claims = next(filter(None, (_claims(text, secret) for secret in secrets)), None)
    if claims is None:
        return "wrong"
    if proof.audience and push.url not in _listed(claims.get("aud")):
        return "wrong"
    now, leeway = push.at.timestamp(), proof.leeway.total_seconds()
    ends, begins = claims.get("exp", now), claims.get("nbf", now)
    if not isinstance(ends, int | float) or not isinstance(begins, int | float):
        return "wrong"
    return "" if begins - leeway <= now <= ends + leeway else "stale"


def _claims(text: str, secret: str) -> dict[str, Any] | None:
    from joserfc import jwt  # noqa: PLC0415 -- slow to import, and few systems use it
    from joserfc.errors import JoseError  # noqa: PLC0415 -- the same
    from joserfc.jwk import OctKey  # noqa: PLC0415 -- the same

    try:
        return dict(jwt.decode(text, OctKey.import_key(secret), algorithms=["HS256"]).claims)
    except (JoseError, ValueError, TypeError):
        return None


def _listed(audience: Any) -> list[Any]:
    return audience if isinstance(audience, list) else [audience]


def _token(proof: Token, push: Arrival, secrets: Sequence[str]) -> Reason:
    if proof.header:
        given = push.headers.get(proof.header.lower(), "")
    else:
        given = push.query().get(proof.query, "")
    if not given:
        return "missing"
    return _shared([given.removeprefix(proof.prefix)], secrets)


def _basic(push: Arrival, secrets: Sequence[str]) -> Reason:
    scheme, _, given = push.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic" or not given:
        return "missing"
    try:
        return _shared([base64.b64decode(given.strip(), validate=True).decode()], secrets)
    except ValueError:
        return "wrong"


def _in_body(proof: InBody, push: Arrival, secrets: Sequence[str]) -> Reason:
    try:
        body = msgspec.json.decode(push.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return "missing"
    given = list(values_at(body, proof.at))
    items = len(list(values_at(body, proof.each))) if proof.each else 1
    if not given or len(given) < items:
        return "missing"
    return _shared([one if isinstance(one, str) else "" for one in given], secrets)


def _shared(given: Sequence[str], secrets: Sequence[str]) -> Reason:
    wanted = [secret.encode() for secret in secrets]
    return "" if all(_among(one.encode(), wanted) for one in given) else "wrong"


def _text(body: bytes) -> str:
    try:
        return body.decode("ascii")
    except UnicodeDecodeError:
        return ""
