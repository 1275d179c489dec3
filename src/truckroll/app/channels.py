"""The channels of alerts: mail by SMTP, Slack's incoming webhooks, a signed webhook."""

from __future__ import annotations

import asyncio
import smtplib
import socket
import ssl
from contextlib import suppress
from email.message import EmailMessage
from email.utils import format_datetime
from typing import TYPE_CHECKING

import msgspec
from standardwebhooks import Webhook

from truckroll.app.trouble import TroubleError, known
from truckroll.kit.addresses import allow, system_lookup
from truckroll.kit.errors import VendorError
from truckroll.kit.post import open_poster

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from truckroll.store.alerts import Message

_SECONDS = 20.0
_SUBJECT = 120
_TLS = ("starttls", "tls", "none")
_PORTS = {"starttls": 587, "tls": 465, "none": 25}


def check(kind: str, settings: Mapping[str, str]) -> None:
    """Raise TroubleError where a setting of a channel cannot be used."""
    if kind != "mail":
        return
    if (tls := settings.get("tls", "starttls")) not in _TLS:
        raise known(tls, list(_TLS), "way of encryption (tls)")
    if not settings.get("port", "25").isdecimal():
        raise TroubleError("the port is a number, as 587", usage=True)
    for key in ("to", "from"):
        if any(sign in settings.get(key, "") for sign in "\r\n"):
            raise TroubleError(f"{key} is one line of mail addresses", usage=True)
    if settings.get("password") and tls == "none" and settings.get("private") != "yes":
        raise TroubleError(
            "a password does not go over the open network without encryption: use tls=starttls",
            usage=True,
        )


async def send(message: Message, *, now: datetime) -> str:
    """Send a message over its channel; return "" or a sentence about what went wrong."""
    match message.channel.kind:
        case "mail":
            return await _mail(message)
        case "slack":
            return await _slack(message)
        case _:
            return await _webhook(message, now)


def subject(message: Message) -> str:
    """Return a message's one line: what happened, or that it is over."""
    first = message.alert.says.split(". ")[0].rstrip(".")
    lead = "Well again: " if message.what == "closed" else ""
    return f"{lead}{first}"[:_SUBJECT]


def text(message: Message) -> str:
    """Return a message's text for people."""
    alert = message.alert
    lines = [alert.says]
    if message.what == "closed" and alert.closed_at is not None:
        over = f"{alert.closed_at:%Y-%m-%d %H:%M} UTC"
        lines = [f"This is over since {over}:", alert.says]
    elif alert.act:
        lines.append(f"What to do:  {alert.act}")
    lines.append(f"Seen first {alert.opened_at:%Y-%m-%d %H:%M} UTC.")
    return "\n\n".join(lines) + "\n"


async def _mail(message: Message) -> str:
    settings = message.channel.settings
    host = settings["host"]
    private = settings.get("private") == "yes"
    port = int(settings.get("port") or _PORTS[settings.get("tls", "starttls")])
    try:
        found = await system_lookup(host, port, socket.AF_UNSPEC)
        for _, address in found:
            allow(address, private=private, system="the mail server", host=host)
    except VendorError as error:
        return error.says
    except OSError:
        return f"There is no mail server called {host}. Check the channel's host."
    return await asyncio.to_thread(_sent, message, found[0][1], port)


def _sent(message: Message, address: str, port: int) -> str:
    """Send a mail to the address that was checked, and to no other. Blocks."""
    settings = message.channel.settings
    host, tls = settings["host"], settings.get("tls", "starttls")
    context = ssl.create_default_context()
    try:
        server: smtplib.SMTP = (
            smtplib.SMTP_SSL(timeout=_SECONDS, context=context)
            if tls == "tls"
            else smtplib.SMTP(timeout=_SECONDS)
        )
        # The certificate is checked against the name that was given, not the address.
        server._host = host  # type: ignore[attr-defined] # noqa: SLF001 -- no public way
        try:
            server.connect(address, port)
            if tls == "starttls":
                server.starttls(context=context)
            if settings.get("user"):
                server.login(settings["user"], settings.get("password", ""))
            server.send_message(_composed(message))
        finally:
            with suppress(OSError, smtplib.SMTPException):
                server.quit()
    except smtplib.SMTPAuthenticationError:
        return f"The mail server {host} does not accept the user or password."
    except smtplib.SMTPNotSupportedError:
        return f"The mail server {host} cannot do what is asked of it (encryption or sign-in)."
    except smtplib.SMTPRecipientsRefused:
        return f"The mail server {host} does not take mail for {settings['to']}."
    except ssl.SSLError:
        return f"The certificate of the mail server {host} is not valid."
    except smtplib.SMTPResponseException as error:
        return f"The mail server {host} refused the mail [{error.smtp_code}]."
    except (OSError, smtplib.SMTPException):
        return f"The mail server {host} does not answer."
    return ""


def _composed(message: Message) -> EmailMessage:
    settings = message.channel.settings
    mail = EmailMessage()
    mail["Subject"] = f"[Truckroll] {' '.join(subject(message).split())}"
    mail["From"] = settings.get("from") or f"truckroll@{settings['host']}"
    mail["To"] = settings["to"]
    mail["Date"] = format_datetime(message.made_at)
    # The same at every attempt, so that mail programs show one that came twice once.
    mail["Message-ID"] = f"<{message_id(message)}@truckroll.invalid>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(text(message))
    return mail


async def _slack(message: Message) -> str:
    """Post to Slack ("Sending messages using incoming webhooks"; "Formatting: escaping text")."""
    said = text(message).strip()
    for sign, put in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        said = said.replace(sign, put)
    body = msgspec.json.encode({"text": said})
    return await _posted(message, body, {"Content-Type": "application/json"}, "Slack")


async def _webhook(message: Message, now: datetime) -> str:
    alert = message.alert
    about = {"id": alert.id, "code": alert.code, "about": alert.about, "says": alert.says}
    body = msgspec.json.encode(
        {
            "type": f"alert.{message.what}",
            "timestamp": message.made_at,
            "data": {**about, "act": alert.act, "opened_at": alert.opened_at},
        }
    )
    secret = message.channel.settings["secret"]
    return await _posted(
        message, body, signed(secret, message_id(message), now, body), "The receiver"
    )


def signed(secret: str, id_: str, now: datetime, body: bytes) -> dict[str, str]:
    """Return the headers of a message by Standard Webhooks ("Webhook headers")."""
    return {
        "Content-Type": "application/json",
        "webhook-id": id_,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret).sign(id_, now, body.decode()),
    }


async def _posted(message: Message, body: bytes, headers: Mapping[str, str], who: str) -> str:
    settings = message.channel.settings
    async with open_poster(private=settings.get("private") == "yes") as poster:
        posted = await poster.post(settings["url"], body, headers)
    if posted.well:
        return ""
    return posted.problem or f"{who} did not take the message [{posted.status}]."


def message_id(message: Message) -> str:
    """Return a message's own id, the same at every attempt."""
    at = int(message.made_at.timestamp())
    return f"alert-{message.alert.id}-{message.what}-{message.channel.id}-{at}"
