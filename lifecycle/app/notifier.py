"""Sending notifications: webhooks, signed with HMAC and readable by Slack, and e-mail."""

from __future__ import annotations

import hashlib
import hmac
import json
import smtplib
from email.message import EmailMessage

import httpx
from pydantic import SecretStr

from lifecycle.addresses import refuse_webhook
from lifecycle.domain.environment import Environment
from lifecycle.domain.model import Frozen
from lifecycle.ports import Message, Notifier

TIMEOUT_SECONDS = 10


class Mail(Frozen):
    """The SMTP server; `user` None means no sign-in. STARTTLS unless `starttls` says no."""

    host: str
    port: int = 587
    sender: str
    user: str | None = None
    password: SecretStr = SecretStr("")
    starttls: bool = True


def signature_of(secret: bytes, body: bytes) -> str:
    """What receivers compare with the header X-DRLS-Signature."""
    return "sha256=" + hmac.new(secret, body, hashlib.sha256).hexdigest()


class Sender(Notifier):
    """Delivers to `https://…` and `mailto:…`; raises what the network raises."""

    def __init__(self, secret: bytes, mail: Mail | None = None) -> None:
        self._secret = secret
        self._mail = mail

    def deliver(self, message: Message) -> None:
        if message.receiver.startswith("mailto:"):
            self._send_mail(message)
        else:
            self._post(message)

    def _post(self, message: Message) -> None:
        # It may have been kept before such an address was refused.
        if (why := refuse_webhook(message.receiver)) is not None:
            raise ValueError(why)
        # `text` is what Slack and its likes show; the rest is for programs.
        body = json.dumps({"text": text_of(message), **message.body}).encode()
        headers = {
            "Content-Type": "application/json",
            "X-DRLS-Event": message.event,
            "X-DRLS-Delivery": message.key,
            "X-DRLS-Signature": signature_of(self._secret, body),
        }
        # A redirect could lead where no receiver may be: it is a failed try, and the address is to be changed.
        answer = httpx.post(
            message.receiver, content=body, headers=headers, timeout=TIMEOUT_SECONDS, follow_redirects=False
        )
        answer.raise_for_status()

    def _send_mail(self, message: Message) -> None:
        if self._mail is None:
            raise ValueError("no mail server is configured; configure one to send to mailto: receivers")
        mail = EmailMessage()
        mail["From"] = self._mail.sender
        mail["To"] = message.receiver.removeprefix("mailto:")
        mail["Subject"] = text_of(message)
        mail["Message-ID"] = f"<{message.key}@drls>"
        mail.set_content(json.dumps(message.body, indent=2))
        with smtplib.SMTP(self._mail.host, self._mail.port, timeout=TIMEOUT_SECONDS) as server:
            if self._mail.starttls:
                server.starttls()
            if self._mail.user is not None:
                server.login(self._mail.user, self._mail.password.get_secret_value())
            server.send_message(mail)


def text_of(message: Message) -> str:
    """One line for people, also where a reason has several."""
    body = message.body
    what = message.event.replace(".", " ").replace("_", " ")
    details = [f"request {body['promotion']}"] if "promotion" in body else []
    details += [f"to {Environment(body['target']).label}"] if "target" in body else []
    details += [f"({body['reason']})"] if body.get("reason") else []
    return " ".join(" ".join([f"{body.get('pipeline', 'DRLS')}: {what}", *details]).split())
