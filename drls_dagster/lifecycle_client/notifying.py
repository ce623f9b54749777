"""The Notifier of an installation, from its settings: webhooks, and e-mail where a server is configured."""

from __future__ import annotations

import logging
import secrets
from pathlib import Path

from filelock import FileLock
from pydantic import SecretStr

from drls_dagster.private_home import private_home
from drls_dagster.secret_source import read_secret
from drls_dagster.settings import Settings
from lifecycle.app.notifier import Mail, Sender
from lifecycle.private_files import is_private, write_private

_LOG = logging.getLogger(__name__)


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
    file: Path = private_home(settings.home) / "webhook-secret"
    if not file.exists():
        # Of several first senders one key stays; nobody ever sees the file without it.
        write_private(file, _new_key(), replace=False)
    if not is_private(file):
        file.chmod(0o600)
        _LOG.warning("%s could be read by other users; its mode is 0600 now; replace it if they may not know it", file)
    return file.read_text().strip() or _replaced(file)


def _replaced(file: Path) -> str:
    """An interrupted write of DRLS 0.1.0 left an empty file, which signs nothing."""
    with FileLock(f"{file}.lock", mode=0o600):
        if not (key := file.read_text().strip()):
            write_private(file, _new_key())
            key = file.read_text().strip()
    return key


def _new_key() -> str:
    return f"{secrets.token_hex(32)}\n"
