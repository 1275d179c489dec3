"""Signing in as a service account, also in the name of others (JWT bearer, RFC 7523).

A key that an administrator made signs a short-lived assertion, and the token server gives an
access token for it. With domain-wide delegation the assertion names (`sub`) in whose name we act;
each person has tokens of their own, which are never shared.
"""

from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from truckroll.kit.auth import OAuth2, OAuthApp, granted
from truckroll.kit.errors import GiveUp, HoldRecord, RetryLater, SignIn
from truckroll.kit.grants import Grants, Tokens
from truckroll.kit.pace import REAL_TIME, Timing

_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_HOUR = timedelta(hours=1)
# A delegation that an administrator just gave takes minutes to a day to spread.
_SPREADING = timedelta(minutes=30)
_SKEW = timedelta(seconds=30)


class ServiceKey(msgspec.Struct, frozen=True):
    """The key file of a service account, as far as it is needed. Its text form shows no secret."""

    client_email: str
    private_key: str
    private_key_id: str = ""
    client_id: str = ""
    token_uri: str = "https://oauth2.googleapis.com/token"  # noqa: S105 -- an address

    def __repr__(self) -> str:
        return f"ServiceKey({self.client_email})"

    @property
    def project(self) -> str:
        """The project that the account belongs to, as its mail address names it."""
        return self.client_email.partition("@")[2]


def read_key(text: str, system: str) -> ServiceKey:
    """Return the key in a JSON text, or in the file that `text` names; raises GiveUp."""
    if not text.lstrip().startswith("{"):
        try:
            text = Path(text.strip()).expanduser().read_text("utf-8")
        except (OSError, ValueError):
            raise GiveUp(
                f"The file with the key of the service account for {system} cannot be read. "
                "Give the path of the JSON file, or its text."
            ) from None
    try:
        return msgspec.json.decode(text, type=ServiceKey)
    except (msgspec.DecodeError, UnicodeError):
        raise GiveUp(
            f"The key of the service account for {system} is not the JSON text that the console "
            "gave (it needs client_email and private_key). Make a new key there."
        ) from None


def assertion(
    key: ServiceKey,
    *,
    scopes: tuple[str, ...],
    audience: str,
    now: datetime,
    subject: str = "",
    system: str = "The system",
) -> str:
    """Return a signed JWT (RS256) that lives for an hour; raises GiveUp where the key is none.

    `subject` is in whose name we act, `now` an aware instant, `audience` the token address.
    """
    begins = int((now - _SKEW).timestamp())
    head = {"alg": "RS256", "typ": "JWT"} | (
        {"kid": key.private_key_id} if key.private_key_id else {}
    )
    claims = {
        "iss": key.client_email,
        "scope": " ".join(scopes),
        "aud": audience,
        "iat": begins,
        "exp": begins + int(_HOUR.total_seconds()),
    } | ({"sub": subject} if subject else {})
    signed = f"{_base64(msgspec.json.encode(head))}.{_base64(msgspec.json.encode(claims))}"
    signature = _private(key, system).sign(signed.encode(), PKCS1v15(), SHA256())
    return f"{signed}.{_base64(signature)}"


def _base64(data: bytes) -> str:
    return urlsafe_b64encode(data).decode().rstrip("=")


def _private(key: ServiceKey, system: str) -> RSAPrivateKey:
    try:
        found = load_pem_private_key(key.private_key.encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        found = None
    if not isinstance(found, RSAPrivateKey):
        raise GiveUp(
            f"The private key of the service account for {system} cannot be used. "
            "Make a new key in the console and give its JSON file."
        )
    return found


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """An `Auth` for a service account: as itself, as `subject`, or in the name of others.

    `token_url` replaces the key's own token address.
    """

    system: str
    key: ServiceKey
    scopes: tuple[str, ...]
    subject: str = ""
    token_url: str = ""
    private: bool = False
    timing: Timing = REAL_TIME
    _people: dict[str, OAuth2] = field(default_factory=dict, repr=False)
    _kept_in: list[Grants] = field(default_factory=list, repr=False)

    async def headers(self) -> Mapping[str, str]:
        """Return the Authorization header of the subject; raises what the token call raises."""
        return await self.acting(self.subject).headers()

    async def refused(self) -> bool:
        """Sign a new assertion after a 401."""
        return await self.acting(self.subject).refused()

    def acting(self, whom: str) -> OAuth2:
        """Return the proof for acting in the name of a person (their main mail address)."""
        if whom not in self._people:

            async def grant() -> Tokens:
                return await self._granted(whom)

            made = OAuth2(
                self._app,
                name=whom,
                seed=f"{self.key.client_email} {self.key.private_key_id} {' '.join(self.scopes)}",
                grant=grant,
                timing=self.timing,
            )
            if self._kept_in:
                made.keep_in(self._kept_in[0])
            self._people[whom] = made
        return self._people[whom]

    def keep_in(self, grants: Grants) -> None:
        """Keep everybody's tokens there from now on."""
        self._kept_in[:] = [grants]
        for one in self._people.values():
            one.keep_in(grants)

    @property
    def _app(self) -> OAuthApp:
        url = self.token_url or self.key.token_uri
        return OAuthApp(self.system, url, "", private=self.private)

    async def _granted(self, whom: str) -> Tokens:
        signed = assertion(
            self.key,
            scopes=self.scopes,
            audience=self._app.token_url,
            now=self.timing.now(),
            subject=whom,
            system=self.system,
        )
        try:
            return await granted(
                self._app, {"grant_type": _GRANT, "assertion": signed}, self.timing
            )
        except GiveUp:
            raise self._not_delegated(whom) from None
        except SignIn as error:
            if not whom or whom == self.subject:
                raise
            raise HoldRecord(
                f"{self.system} does not let the service account act for {whom}. Ask its admin "
                "whether this person still has an account that is not suspended."
            ) from error

    def _not_delegated(self, whom: str) -> RetryLater | GiveUp:
        if not whom:
            return GiveUp(
                f"{self.system} does not accept the key of the service account. Make a new key in "
                "the console and give its JSON file."
            )
        return RetryLater(
            f"{self.system} does not let the service account {self.key.client_email} act for "
            f"{whom} yet. Let an admin delegate to its client id "
            f"({self.key.client_id or 'see the console'}) these scopes: {', '.join(self.scopes)}. "
            "A new delegation takes up to a day to spread; it is tried again by itself.",
            after=_SPREADING,
        )
