"""Signing in (google-calendar, section 3; google-workspace, section 3).

The consent page consents at once, as the person in `login_hint` or the first administrator.
"""

import base64
import binascii
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import parse_qsl, urlencode

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from truckroll_sim.google_calendar.access import SCOPE
from truckroll_sim.google_calendar.times import Doc
from truckroll_sim.google_calendar.world import World
from truckroll_sim.kit.calls import Answer, Call, Refused

JWT_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_TOKEN_URL = "https://oauth2.googleapis.com/token"  # noqa: S105 - an address
_PATIENCE_SECONDS = 300
_KEY_BITS = 2048


@cache
def _key() -> rsa.RSAPrivateKey:
    """Return the service account's key: made once, since that takes a while."""
    return rsa.generate_private_key(public_exponent=65537, key_size=_KEY_BITS)


@dataclass(frozen=True)
class Consent:
    """What a person agreed to: behind a refresh token, or a code on its way to become one."""

    account: str
    scopes: frozenset[str]
    redirect_uri: str = ""
    challenge: str = ""


@dataclass
class SignIn:
    """The token endpoint, its client and its service account."""

    world: World
    client_id: str = "1234567890-truckroll.apps.googleusercontent.com"
    client_secret: str = "GOCSPX-" + "simulated"
    service_email: str = "hub@truckroll-sim.iam.gserviceaccount.com"
    service_number: str = "109876543210987654321"
    delegated: frozenset[str] = frozenset()
    life_seconds: int = 3599
    refresh: dict[str, Consent] = field(default_factory=dict)
    codes: dict[str, Consent] = field(default_factory=dict)

    def key_file(self, base: str) -> Doc:
        """Return the service account's key as the console lets one download it."""
        pem = _key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        return {
            "type": "service_account",
            "project_id": "truckroll-sim",
            "private_key_id": "simulatedkey1",
            "private_key": pem,
            "client_email": self.service_email,
            "client_id": self.service_number,
            "token_uri": f"{base}/token",
        }

    def consent(self, account: str, scopes: Iterable[str]) -> str:
        """Return a new refresh token of a person."""
        token = "1//" + self.world.kit.ids.word("refresh token", 40)
        self.refresh[token] = Consent(account, frozenset(scopes))
        return token

    def revoke(self, account: str | None) -> int:
        """Take back what a person (or everybody) agreed to and return how many grants that was."""
        gone = [key for key, one in self.refresh.items() if account in (None, one.account)]
        for key in gone:
            del self.refresh[key]
        return len(gone) + self.world.kit.tokens.revoke(account)

    def authorize(self, call: Call) -> Answer:
        """Answer the consent page: back to the client with a code."""
        asked = dict(call.query)
        redirect = asked.get("redirect_uri", "")
        if asked.get("client_id") != self.client_id or not redirect:
            return _refused("invalid_client", 401).answer
        first = next((one.email for one in self.world.people.values()), "")
        account = asked.get("login_hint") or first
        challenge = asked.get("code_challenge", "")
        code = "4/" + self.world.kit.ids.word("code", 40)
        self.codes[code] = Consent(
            account, frozenset(asked.get("scope", "").split()), redirect, challenge
        )
        back = {"code": code, "scope": asked.get("scope", "")}
        if "state" in asked:
            back["state"] = asked["state"]
        mark = "&" if "?" in redirect else "?"
        return Answer.empty(302, {"Location": f"{redirect}{mark}{urlencode(back)}"})

    def token(self, call: Call) -> Answer:
        """Answer the token endpoint; refuses as RFC 6749 section 5.2 has it."""
        form = dict(parse_qsl(call.body.decode("utf-8", "replace"), keep_blank_values=True))
        match form.get("grant_type"):
            case "refresh_token":
                self._known_client(form)
                return self._refreshed(form)
            case "authorization_code":
                self._known_client(form)
                return self._exchanged(form)
            case grant if grant == JWT_GRANT:
                return self._asserted(form.get("assertion", ""), call.base)
            case _:
                raise _refused("unsupported_grant_type")

    def _known_client(self, form: dict[str, str]) -> None:
        given = (form.get("client_id"), form.get("client_secret"))
        if given != (self.client_id, self.client_secret):
            raise _refused("invalid_client", 401)

    def _refreshed(self, form: dict[str, str]) -> Answer:
        consent = self.refresh.get(form.get("refresh_token", ""))
        person = self.world.people.get(consent.account) if consent else None
        if consent is None or person is None or not person.active:
            raise _refused("invalid_grant", words="Token has been expired or revoked.")
        return self._issued(consent.account, consent.scopes)

    def _exchanged(self, form: dict[str, str]) -> Answer:
        consent = self.codes.pop(form.get("code", ""), None)
        if consent is None or consent.redirect_uri != form.get("redirect_uri"):
            raise _refused("invalid_grant", words="Malformed auth code.")
        if consent.challenge and consent.challenge != _challenge(form.get("code_verifier", "")):
            raise _refused("invalid_grant", words="Invalid code verifier.")
        refresh = self.consent(consent.account, consent.scopes)
        return self._issued(consent.account, consent.scopes, {"refresh_token": refresh})

    def _asserted(self, assertion: str, base: str) -> Answer:
        claims = _verified(assertion)
        now = self.world.kit.clock.now().timestamp()
        issued, expires = claims.get("iat", 0), claims.get("exp", 0)
        if claims.get("iss") != self.service_email or not _is_audience(claims, base):
            raise _refused("invalid_grant", words="Invalid JWT: wrong issuer or audience.")
        if not issued - _PATIENCE_SECONDS <= now < expires or expires - issued > 3600:  # noqa: PLR2004 - an hour
            raise _refused(
                "invalid_grant",
                words="Invalid JWT: Token must be a short-lived token (60 minutes) and in a"
                " reasonable timeframe.",
            )
        scopes = frozenset(str(claims.get("scope", "")).split())
        if not scopes:
            raise _refused("invalid_scope")
        subject = claims.get("sub")
        if subject is None or subject == self.service_email:
            return self._issued(self.service_email, scopes)
        if not scopes <= self.delegated:
            raise _refused(
                "unauthorized_client",
                401,
                "Client is unauthorized to retrieve access tokens using this method, or client"
                " not authorized for any of the scopes requested.",
            )
        person = self.world.people.get(subject)
        if person is None or not person.active:
            raise _refused("invalid_grant", words="Invalid email or User ID")
        return self._issued(person.email, scopes)

    def _issued(self, account: str, scopes: frozenset[str], more: Doc | None = None) -> Answer:
        token = self.world.kit.tokens.issue(
            account, scopes, self.life_seconds, client=self.client_id, prefix="ya29."
        )
        told = {"access_token": token, "expires_in": self.life_seconds, "token_type": "Bearer"}
        return Answer.json({**told, "scope": " ".join(sorted(scopes)), **(more or {})})


def all_scopes() -> frozenset[str]:
    """Return the scopes that a hub of calendars and directory would ask for."""
    directory = ("user", "resource.calendar", "group", "group.member")
    names = ["calendar", "calendar.events", "calendar.acls", "calendar.calendarlist"]
    names += ["calendar.readonly", "calendar.events.readonly", "calendar.settings.readonly"]
    names += ["calendar.calendars", "calendar.freebusy", "calendar.events.freebusy"]
    names += [f"admin.directory.{one}" for one in directory]
    names += [f"admin.directory.{one}.readonly" for one in directory]
    return frozenset(SCOPE + name for name in names)


def _refused(error: str, status: int = 400, words: str | None = None) -> Refused:
    described = {"error_description": words} if words else {}
    return Refused(Answer.json({"error": error, **described}, status))


def _challenge(verifier: str) -> str:
    """Return the S256 challenge to a verifier (RFC 7636 section 4.2)."""
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def _is_audience(claims: Doc, base: str) -> bool:
    # One system has two names here, and a key file may have been fetched under either. The
    # vendor's own library names the vendor's address whatever the key file's `token_uri` says.
    host = base.rpartition("/")[0]
    names = ("google-calendar", "google-workspace")
    return claims.get("aud") in (*(f"{host}/{name}/token" for name in names), _TOKEN_URL)


def _verified(assertion: str) -> Doc:
    """Return the claims of a signed JWT (RFC 7515, RS256); refuses any other."""
    bad = _refused("invalid_grant", words="Invalid JWT Signature.")
    try:
        head, claims, signature = assertion.split(".")
        header = msgspec.json.decode(_bytes(head))
        _key().public_key().verify(
            _bytes(signature), f"{head}.{claims}".encode(), padding.PKCS1v15(), SHA256()
        )
        found: Any = msgspec.json.decode(_bytes(claims))
    except (ValueError, InvalidSignature):
        raise bad from None
    if not isinstance(found, dict) or header.get("alg") != "RS256":
        raise bad
    return found


def _bytes(word: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(word + "=" * (-len(word) % 4))
    except binascii.Error as slip:
        raise ValueError(word) from slip
