"""Proving who we are: passwords, keys, and OAuth 2 with tokens that are renewed.

The token call is a plain form over `kit.http`, so that it is checked, limited and redacted like
every other request. A library would bring an HTTP client of its own for those two calls.
"""

import asyncio
import copy
import hashlib
import math
import secrets
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from urllib.parse import quote, urlencode

import msgspec
from yarl import URL

from truckroll.kit.errors import GiveUp, OutcomeUnknown, RetryLater, SignIn, VendorError
from truckroll.kit.grants import Grants, MemoryGrants, Place, Tokens
from truckroll.kit.http import Response, Transport, open_client
from truckroll.kit.pace import REAL_TIME, Timing
from truckroll.kit.xml import read_json


@dataclass(frozen=True, slots=True)
class Basic:
    """User name and password (RFC 7617, UTF-8)."""

    user: str
    password: str = field(repr=False)

    async def headers(self) -> Mapping[str, str]:
        """Return the Authorization header."""
        pair = f"{self.user}:{self.password}".encode()
        return {"Authorization": f"Basic {b64encode(pair).decode()}"}

    async def refused(self) -> bool:
        """Nothing can be renewed."""
        return False


@dataclass(frozen=True, slots=True)
class Bearer:
    """A token that a person made at the system and that is not renewed."""

    token: str = field(repr=False)

    async def headers(self) -> Mapping[str, str]:
        """Return the Authorization header."""
        return {"Authorization": f"Bearer {self.token}"}

    async def refused(self) -> bool:
        """Nothing can be renewed."""
        return False


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key in a header or in the query of each request, as the system's sheet says."""

    name: str
    key: str = field(repr=False)
    place: Literal["header", "query"] = "header"

    async def headers(self) -> Mapping[str, str]:
        """Return the header with the key, where it belongs there."""
        return {self.name: self.key} if self.place == "header" else {}

    async def query(self) -> Mapping[str, str]:
        """Return the query parameter with the key, where it belongs there."""
        return {self.name: self.key} if self.place == "query" else {}

    async def refused(self) -> bool:
        """Nothing can be renewed."""
        return False


TOKEN_TIME = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class OAuthApp:
    """A client registered at an OAuth server (RFC 6749).

    `client_secret` is "" for a public client. `secret_in_body` sends it as a form field instead
    of HTTP Basic (RFC 6749 section 2.3.1). `extra` goes with the authorization address (Google's
    `access_type=offline`), `token_extra` with every token call. `issuer` is who says that the
    answer comes from them (RFC 9207), "" where that is not known.
    """

    system: str
    token_url: str
    client_id: str
    client_secret: str = field(default="", repr=False)
    authorize_url: str = ""
    issuer: str = ""
    scopes: tuple[str, ...] = ()
    secret_in_body: bool = False
    extra: Mapping[str, str] = field(default_factory=dict)
    token_extra: Mapping[str, str] = field(default_factory=dict, repr=False)
    private: bool = False


def new_verifier() -> str:
    """Return a fresh PKCE code verifier or state (RFC 7636 section 4.1)."""
    return secrets.token_urlsafe(48)


def authorization_url(app: OAuthApp, *, redirect_uri: str, state: str, verifier: str) -> str:
    """Return the address to which a person is sent to grant access, with PKCE (S256)."""
    digest = hashlib.sha256(verifier.encode()).digest()
    query = {
        "response_type": "code",
        "client_id": app.client_id,
        "redirect_uri": redirect_uri,
        "scope": " ".join(app.scopes),
        "state": state,
        "code_challenge": urlsafe_b64encode(digest).decode().rstrip("="),
        "code_challenge_method": "S256",
        **app.extra,
    }
    return str(URL(app.authorize_url).update_query({k: v for k, v in query.items() if v}))


async def exchange_code(
    app: OAuthApp, *, code: str, verifier: str, redirect_uri: str, timing: Timing = REAL_TIME
) -> Tokens:
    """Return the tokens for an authorization code; raises SignIn where it is refused."""
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": redirect_uri,
        "code_verifier": verifier,
    }
    return await granted(app, form, timing)


async def client_credentials(app: OAuthApp, *, timing: Timing = REAL_TIME) -> Tokens:
    """Return a token for the app itself (RFC 6749 section 4.4)."""
    form = {"grant_type": "client_credentials", "scope": " ".join(app.scopes)}
    return await granted(app, form, timing)


async def renew(app: OAuthApp, tokens: Tokens, *, timing: Timing = REAL_TIME) -> Tokens:
    """Return new tokens for a refresh token; where no new one is given, the old one stays.

    Raises SignIn where the grant is gone (`invalid_grant`), GiveUp where the app itself is not
    accepted, RetryLater where no answer came: the old token is then tried once more.
    """
    form = {"grant_type": "refresh_token", "refresh_token": tokens.refresh}
    new = await granted(app, form, timing)
    return new if new.refresh else msgspec.structs.replace(new, refresh=tokens.refresh)


async def granted(app: OAuthApp, form: Mapping[str, str], timing: Timing = REAL_TIME) -> Tokens:
    """Return what a token call with this form grants (RFC 6749 section 5.1); raises as `renew`."""
    sent = {**form, **app.token_extra}
    headers = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}
    if app.client_secret and not app.secret_in_body:
        pair = f"{quote(app.client_id, safe='')}:{quote(app.client_secret, safe='')}"
        headers["Authorization"] = f"Basic {b64encode(pair.encode()).decode()}"
    else:
        sent["client_id"] = app.client_id
        if app.client_secret:
            sent["client_secret"] = app.client_secret
    body = urlencode({name: value for name, value in sent.items() if value}).encode()
    transport = Transport(app.token_url, private=app.private)
    async with open_client(transport, system=app.system, timing=timing) as http:
        try:
            response = await http.request(
                "POST", app.token_url, headers=headers, body=body, timeout=TOKEN_TIME
            )
        except SignIn as error:
            raise _refusal(app.system, error.body, 401) from None
        except OutcomeUnknown:
            raise RetryLater(
                f"{app.system} gave no proper answer to the renewal of the sign-in; it is tried "
                "again by itself."
            ) from None
    return _tokens(app, response, timing.now())


def _tokens(app: OAuthApp, response: Response, now: datetime) -> Tokens:
    if response.status >= 400:  # noqa: PLR2004 -- statuses are best known by number
        raise _refusal(app.system, response.body, response.status)
    answer = read_json(response.body, app.system, dict[str, Any])
    access = answer.get("access_token")
    if not isinstance(access, str) or not access:
        raise _refusal(app.system, response.body, response.status)
    refresh = answer.get("refresh_token")
    own = {"access_token", "refresh_token", "id_token"}
    return Tokens(
        access=access,
        refresh=refresh if isinstance(refresh, str) else "",
        good_until=_good_until(answer.get("expires_in"), now),
        more={k: v for k, v in answer.items() if k not in own and isinstance(v, str)},
    )


_LONGEST_SECONDS = 366 * 86400


def _good_until(expires_in: object, now: datetime) -> datetime | None:
    """Read `expires_in` in whatever form it comes; what makes no sense counts as not said."""
    try:
        seconds = float(expires_in)  # type: ignore[arg-type]  # whatever it is, float decides
    except (TypeError, ValueError):
        return None
    if not math.isfinite(seconds) or seconds <= 0:
        return None
    seconds = min(seconds, _LONGEST_SECONDS)
    return now + timedelta(seconds=seconds - min(60.0, seconds / 10))


def _refusal(system: str, body: bytes, status: int) -> VendorError:
    """Read an OAuth error (RFC 6749 section 5.2); the server's own words are not repeated."""
    try:
        answer = msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError):
        answer = {}
    error = answer.get("error")
    if error in {"invalid_client", "unauthorized_client", "unsupported_grant_type"}:
        return GiveUp(
            f"{system} does not accept this app's client id or secret. "
            f"Look them up where the app is registered, and give the right ones [{status}]."
        )
    if error in {"temporarily_unavailable", "server_error", "slow_down"}:
        return RetryLater(
            f"{system} cannot renew the sign-in now; it is tried again by itself [{status}]."
        )
    if error is None and status not in {400, 401, 403}:
        return GiveUp(
            f"{system} grants no sign-in at the address that the account gives for it. Correct "
            f"that address [{status}]."
        )
    return SignIn(
        f"{system} does not renew the sign-in of this account: somebody took the access back, it "
        f"ran out, or the password was changed. Sign in again [{status}]."
    )


def lasting(app: OAuthApp, refresh_token: str, *, timing: Timing = REAL_TIME) -> "OAuth2":
    """Return an `Auth` from a refresh token that a person's consent gave."""
    return OAuth2(app, Tokens("", refresh_token, _LONG_AGO), timing=timing)


_LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
_FRESH_SECONDS = 10.0
_BUSY_SECONDS = 0.2
# How often somebody else's turn is waited for: longer than its lease lasts.
_BUSY_TRIES = 300

Grant = Callable[[], Awaitable[Tokens]]


class OAuth2:
    """An `Auth` with tokens that are renewed: once for all who wait, and stored before use.

    `grants` is where all processes keep and find them, `name` in whose name they act there. A
    failed renewal cools down there, from half a minute to an hour: until then the same error is
    raised without a call. `own` says that the tokens are the app's own (client credentials), not
    a person's grant; `grant` gives new ones in the system's own way (a signed assertion), of
    which `seed` tells one signer from another.
    """

    def __init__(
        self,
        app: OAuthApp,
        tokens: Tokens | None = None,
        *,
        grants: Grants | None = None,
        name: str = "",
        seed: str = "",
        own: bool = False,
        grant: Grant | None = None,
        timing: Timing = REAL_TIME,
    ) -> None:
        self._app = app
        self._other_grant = grant
        self._tokens = tokens
        self._grants = grants or MemoryGrants(timing)
        self._place = Place(name, _seed(app, tokens, seed))
        self._own = own
        self._timing = timing
        self._renewal: asyncio.Task[None] | None = None
        self._version = 0
        self._unsaved: Tokens | None = None
        self._replaced_at = -math.inf

    def __repr__(self) -> str:
        return f"OAuth2({self._app.system})"

    def keep_in(self, grants: Grants) -> None:
        """Keep and find the tokens there from now on."""
        self._grants = grants

    async def headers(self) -> Mapping[str, str]:
        """Return the Authorization header, after a renewal where the token is too old.

        Raises what `renew` raises.
        """
        if self._tokens is None or self._old(self._tokens):
            await self._renewed()
        assert self._tokens is not None  # a renewal sets them or raises
        return {"Authorization": f"Bearer {self._tokens.access}"}

    async def refused(self) -> bool:
        """Renew after a 401; a 401 right after one token took another's place was the old one's."""
        if self._timing.monotonic() - self._replaced_at > _FRESH_SECONDS:
            await self._renewed()
        return True

    async def _renewed(self) -> None:
        """Renew; all who wait share one renewal, which outlives their patience."""
        if self._renewal is None:
            self._renewal = asyncio.create_task(self._renew())
            self._renewal.add_done_callback(self._over)
        await asyncio.shield(self._renewal)

    def _over(self, task: asyncio.Task[None]) -> None:
        self._renewal = None
        if not task.cancelled():
            task.exception()  # it is raised to those who wait; nobody may be left

    async def _renew(self) -> None:
        """Take over newer tokens, or win the turn and renew; the others wait for the winner."""
        if self._unsaved is not None and await self._keep(self._unsaved):
            return
        for _ in range(_BUSY_TRIES):
            claim = await self._grants.claim(self._place, self._version, self._timing.now())
            if claim.kind == "newer" and claim.tokens is not None:
                if self._adopt(claim.version, claim.tokens):
                    return
            elif claim.kind == "cooling" and claim.error is not None:
                raise copy.copy(claim.error)
            elif claim.kind == "mine":
                if claim.tokens is not None:
                    self._tokens = claim.tokens
                if await self._won():
                    return
            else:
                await self._timing.sleep(_BUSY_SECONDS)
        raise RetryLater(
            f"The sign-in of {self._app.system} is being renewed elsewhere and does not come to "
            "an end; it is tried again by itself."
        )

    async def _won(self) -> bool:
        """Ask for new tokens and store them; tell whether they count."""
        try:
            new = await self._grant()
        except VendorError as error:
            # Somebody who was faster may have used the refresh token up, and stored the new one.
            claim = await self._grants.claim(self._place, self._version, self._timing.now())
            if claim.kind == "newer":
                return False
            await self._grants.fail(self._place, self._version, error)
            raise
        self._unsaved = new
        return await self._keep(new)

    async def _grant(self) -> Tokens:
        if self._other_grant is not None:
            return await self._other_grant()
        if self._own:
            return await client_credentials(self._app, timing=self._timing)
        if self._tokens is None or not self._tokens.refresh:
            raise SignIn(f"The account of {self._app.system} is not signed in. Sign in again.")
        return await renew(self._app, self._tokens, timing=self._timing)

    async def _keep(self, tokens: Tokens) -> bool:
        now = self._timing.now()
        version = await self._grants.keep(self._place, self._version, tokens, now)
        self._unsaved = None
        return version is not None and self._adopt(version, tokens)

    def _adopt(self, version: int, tokens: Tokens) -> bool:
        """Use tokens from now on; tell whether they are good."""
        self._version = version
        if self._tokens is not None and self._tokens.access:
            self._replaced_at = self._timing.monotonic()
        self._tokens = tokens
        return not self._old(tokens)

    def _old(self, tokens: Tokens) -> bool:
        return tokens.good_until is not None and tokens.good_until <= self._timing.now()


def _seed(app: OAuthApp, tokens: Tokens | None, more: str) -> str:
    """Return a digest of what a person gave, from which the tokens grow."""
    given = (app.token_url, app.client_id, app.client_secret, *app.scopes, more)
    text = msgspec.json.encode((*given, tokens.refresh if tokens else ""))
    return hashlib.sha256(text).hexdigest()
