"""What systems ask of an address before they send pushes to it.

A handshake is answered only for a subscription that the hub is about to make, also while the call
that makes it is open; those with `later` come again for as long as it lives. What is given back
is plain text, and nothing in it can be taken for a page.
"""

import html
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import msgspec

from truckroll.kit.proofs import Arrival

_PLAIN = {"Content-Type": "text/plain; charset=utf-8", "X-Content-Type-Options": "nosniff"}
_JSON = {"Content-Type": "application/json", "X-Content-Type-Options": "nosniff"}
_HOOK_SECRET = re.compile(r"[0-9A-Za-z_-]{16,128}")
_HEADER_VALUE = re.compile(r"[!-~]{1,256}")
_LONGEST = 4096


class Answer(msgspec.Struct, frozen=True):
    """What a system gets back: a status, headers and a body.

    `secret` is one that came with the handshake and counts from now on; it is never shown.
    """

    status: int = 200
    headers: Mapping[str, str] = {}
    body: bytes = b""
    secret: str = ""

    def __repr__(self) -> str:
        return f"Answer(status={self.status})"


@dataclass(frozen=True, slots=True)
class Handshake:
    """How a system tries an address out.

    `answer` returns what to answer to a request that is a handshake, None to any other. `proven`
    ones carry the same proof as a push, which is asked for first. `later` ones also come for a
    subscription that is at work. `methods` are those a handshake comes by.
    """

    answer: Callable[[Arrival], Answer | None] = field(repr=False)
    proven: bool = False
    later: bool = False
    methods: frozenset[str] = frozenset({"POST"})


class _Challenge(msgspec.Struct, frozen=True):
    challenge: str = ""
    type: str = ""


def _plain(text: str) -> Answer | None:
    """Echo a text; characters that mean something in a page are escaped."""
    if not 0 < len(text) <= _LONGEST:
        return None
    return Answer(200, _PLAIN, html.escape(text).encode())


def _validation_token(push: Arrival) -> Answer | None:
    return _plain(push.query().get("validationToken", ""))


def _hook_secret(push: Arrival) -> Answer | None:
    given = push.headers.get("x-hook-secret", "")
    if not _HOOK_SECRET.fullmatch(given):
        return None
    return Answer(200, {"X-Hook-Secret": given}, secret=given)


def _challenge(push: Arrival) -> _Challenge:
    try:
        return msgspec.json.decode(push.body, type=_Challenge)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _Challenge()


def _url_verification(push: Arrival) -> Answer | None:
    found = _challenge(push)
    return _plain(found.challenge) if found.type == "url_verification" else None


def _json_challenge(push: Arrival) -> Answer | None:
    text = _challenge(push).challenge
    if not 0 < len(text) <= _LONGEST:
        return None
    return Answer(200, _JSON, msgspec.json.encode({"challenge": text}))


def _form_challenge(push: Arrival) -> Answer | None:
    if len(push.body) > 2 * _LONGEST:
        return None
    form = msgspec.structs.replace(push, url=f"form:?{push.body.decode('latin-1')}").query()
    return _plain(form.get("challenge", "")) if form.get("mode") == "subscribe" else None


def _hook_challenge(push: Arrival) -> Answer | None:
    given = push.headers.get("smartsheet-hook-challenge", "")
    if not _HEADER_VALUE.fullmatch(given):
        return None
    body = msgspec.json.encode({"smartsheetHookResponse": given})
    return Answer(200, {**_JSON, "Smartsheet-Hook-Response": given}, body)


def _head(_: Arrival) -> Answer | None:
    return Answer(200)


def _sync(push: Arrival) -> Answer | None:
    return Answer(200) if push.headers.get("x-goog-resource-state") == "sync" else None


# Microsoft Graph (sheet, section 7): `?validationToken=`, text/plain within 10 s.
VALIDATION_TOKEN = Handshake(_validation_token)
# Asana (section 7): the secret comes inside the subscribe call, in X-Hook-Secret.
HOOK_SECRET = Handshake(_hook_secret)
# Slack (section 7): a signed event of type url_verification.
URL_VERIFICATION = Handshake(_url_verification, proven=True, later=True)
# monday (section 7): {"challenge": …} while the mutation is in flight.
JSON_CHALLENGE = Handshake(_json_challenge)
# ServiceM8 (section 7): a form with mode=subscribe and the challenge.
FORM_CHALLENGE = Handshake(_form_challenge)
# Smartsheet (section 7): a header, again every 100 callbacks.
HOOK_CHALLENGE = Handshake(_hook_challenge, later=True)
# Trello (section 7): HEAD while the webhook is made.
HEAD = Handshake(_head, later=True, methods=frozenset({"HEAD"}))
# Google (section 7): the first message of a channel says `sync`, with the channel's token.
SYNC_MESSAGE = Handshake(_sync, proven=True, later=True)
