"""Keeping secrets out of everything that people read: errors, logs, stories."""

import re
from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any
from urllib.parse import quote, quote_plus

HIDDEN = "[hidden]"
_SHORTEST = 4  # replacing shorter values would blank out half of every sentence

_NAMES = (
    r"access[_-]?token|refresh[_-]?token|id[_-]?token|auth[_-]?token|oauth[_-]?token|token"
    r"|api[_-]?key|app[_-]?key|client[_-]?secret|client[_-]?assertion|secret|password|passwd|pwd"
    r"|authorization|code_verifier|assertion|signature|private[_-]?key|session[_-]?id"
)
_PATTERNS = (
    (
        re.compile(
            r"(?i)\b(authorization|proxy-authorization|cookie|set-cookie)(['\"]?\s*[:=]\s*)"
            r"[^\r\n}]+"
        ),
        rf"\1\2{HIDDEN}",
    ),
    (
        re.compile(r"(?i)\b(basic|bearer|zoho-oauthtoken|token)\s+[A-Za-z0-9._~+/=-]{8,}"),
        rf"\1 {HIDDEN}",
    ),
    (re.compile(r"(?i)(\b[a-z][a-z0-9+.-]{0,20}://)[^/\s@?#]+@"), rf"\1{HIDDEN}@"),
    (
        re.compile(
            rf"(?i)\b((?:[a-z0-9]+[_-])?(?:{_NAMES}))(['\"]?\s*[=:]\s*['\"]?)"
            r"[^\s&'\",;<>{}]+"
        ),
        rf"\1\2{HIDDEN}",
    ),
    (re.compile(r"\btkr_[A-Za-z0-9_-]{8,}"), HIDDEN),  # the hub's own API tokens
    (re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*"), HIDDEN),
    # Forms that say what they are: Standard Webhooks, Slack, Google, PEM (RFC 7468).
    (re.compile(r"\bwhsec_[A-Za-z0-9+/=_-]{8,}"), HIDDEN),
    (re.compile(r"(?i)(\bhooks\.slack(?:-gov)?\.com/)[^\s'\"<>]+"), rf"\1{HIDDEN}"),
    (re.compile(r"\bxox[a-z]-[A-Za-z0-9+/-]{8,}"), HIDDEN),
    (re.compile(r"\bya29\.[A-Za-z0-9+/_-]{10,}|\b1//[A-Za-z0-9_-]{20,}"), HIDDEN),
    (re.compile(r"\bAIza[A-Za-z0-9_-]{30,}"), HIDDEN),
    (
        re.compile(
            r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
            re.DOTALL,
        ),
        HIDDEN,
    ),
)
_SECRET_NAME = re.compile(rf"(?i)(?:^|[_-])(?:{_NAMES}|cookie)$")


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """Return `text` without the given secrets and without whatever looks like one.

    Each secret is also found in its URL-encoded forms. Header values of Authorization and
    Cookie, bearer and basic tokens, user:password@ in addresses, JSON Web Tokens, and values of
    names such as access_token, api_key or password are replaced by `[hidden]`, as are tokens
    and keys in a form of their own (Slack's, Google's, Standard Webhooks', PEM).
    """
    for secret in sorted(_forms(secrets), key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    for pattern, put in _PATTERNS:
        text = pattern.sub(put, text)
    return text


def _forms(secrets: Iterable[str]) -> set[str]:
    found: set[str] = set()
    for secret in secrets:
        if len(secret) >= _SHORTEST:
            found |= {secret, quote(secret, safe=""), quote_plus(secret), quote(secret)}
    return found


class Redactor:
    """A structlog processor that lets no secret into a log line.

    `secrets` are the values known now; `learn` adds one (a renewed token). Place it last before
    the renderer, after exceptions were formatted, so that tracebacks pass it too.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets = set(secrets)

    def __repr__(self) -> str:
        return f"Redactor({len(self._secrets)} secrets)"

    def learn(self, *secrets: str) -> None:
        """Hide these values from now on."""
        self._secrets.update(secrets)

    def __call__(
        self, logger: Any, method: str, event: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        """Return the log event with every secret in it replaced."""
        del logger, method
        return {name: self._clean(name, value) for name, value in event.items()}

    def _clean(self, name: str, value: Any) -> Any:
        if value is not None and _SECRET_NAME.search(name):
            return HIDDEN
        if value is None or isinstance(value, bool | int | float):
            return value
        if isinstance(value, Mapping):
            return {key: self._clean(str(key), one) for key, one in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self._clean("", one) for one in value]
        if isinstance(value, bytes):
            value = value.decode("utf-8", "replace")
        return redact(value if isinstance(value, str) else repr(value), self._secrets)
