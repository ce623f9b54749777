"""The Notifier of an installation, from its settings: webhooks, and e-mail where a server is configured."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from pydantic import SecretStr

from drls_dagster.secret_source import read_secret
from drls_dagster.settings import Settings, make_private
from lifecycle.app.notifier import Mail, Sender


def sender_of(settings: Settings) -> Sender:
    """Raises UsageError or DrlsError where a secret is not what the settings say."""
    given = settings.notify
    key = read_secret("notify.webhook_secret", given.webhook_secret) if given.webhook_secret else _own_key(settings)
    mail = None
    if given.smtp_host is not None:
        password = read_secret("notify.smtp_password", given.smtp_password) if given.smtp_password else ""
        mail = Mail(
            host=given.smtp_host,
            port=given.smtp_port,
            sender=given.smtp_sender,
            user=given.smtp_user,
            password=SecretStr(password),
            starttls=given.smtp_starttls,
        )
    return Sender(key.encode(), mail)


def _own_key(settings: Settings) -> str:
    """A key that this installation makes for itself, readable by its owner alone: receivers check with it."""
    file: Path = make_private(settings.home) / "webhook-secret"
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return file.read_text().strip()
    with os.fdopen(descriptor, "w") as out:
        key = secrets.token_hex(32)
        out.write(f"{key}\n")
    return key
