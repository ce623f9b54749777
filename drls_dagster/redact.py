"""Secrets out of what others read: answers of tools, which a model and its provider read, and logs.

Only unmistakable shapes are removed, and the value of a name such as `password`. Digests, ids and
snapshots stay as they are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from enum import Enum
from functools import lru_cache
from typing import Any, TypeVar

from pydantic import BaseModel, SecretStr

from drls_dagster.errors import DrlsError
from drls_dagster.secret_source import read_secret
from drls_dagster.settings import Settings

M = TypeVar("M", bound=BaseModel)
_SHORTEST = 6


def removed(what: str) -> str:
    """What replaces a secret."""
    return f"[{what} removed]"


def _named(found: re.Match[str]) -> str:
    value = found["value"]
    quote = next((one for one in ('\\"', '"', "'") if value.startswith(one)), "")
    inner = value.removeprefix(quote).removesuffix(quote)
    if len(inner) < _SHORTEST or _IS_A_PLACE.match(inner) or inner.startswith("["):
        return found[0]
    return f"{found['name']}{quote}{removed('secret')}{quote}"


# Where to read a secret, and placeholders.
_IS_A_PLACE = re.compile(
    r"(?:env|file):|\$\{|<|\*{3}|(?:null|none|true|false|string|required|optional)\b", re.IGNORECASE
)
_CALLED = (
    r"(?:[a-z]{0,20}pass(?:word|wd|phrase)|pwd|(?:client|webhook|shared)[_-]?secret|secret|(?:api|access|account|private|secret)"
    r"[_-]?key|(?:access|auth|refresh|session|id|bearer|security)[_-]?token|secret[_.-]access[_.-]key|sasl\.jaas\.config)"
)
_NAMES = re.compile(rf"(?:^|[_.-]){_CALLED}$", re.IGNORECASE)
# Each with words of which a text that it fits has one, in small letters: looking for those first is much faster.
_SHAPES: tuple[tuple[tuple[str, ...], re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = (
    (
        ("-----begin ",),
        re.compile(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|\Z)", re.DOTALL),
        removed("private key"),
    ),
    # By the kinds of tokens that there are: the names of branches begin the same way.
    (
        ("drls_",),
        re.compile(r"\bdrls_(?:personal|session|link)_[A-Za-z0-9_-]{16,}"),
        removed("DRLS token"),
    ),
    (
        ("eyj",),
        re.compile(r"\beyJ[A-Za-z0-9_-]{6,}(?:\.[A-Za-z0-9_-]*){1,4}\.[A-Za-z0-9_-]{6,}"),
        removed("signed token"),
    ),
    (
        ("akia", "asia", "abia", "acca"),
        re.compile(r"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}\b"),
        removed("AWS key"),
    ),
    (
        ("sk-", "gh", "glpat-", "xox", "aiza", "hf_", "dapi", "npm_", "pypi-"),
        re.compile(
            r"\b(?:sk-[A-Za-z0-9_-]{16,}|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|glpat-[A-Za-z0-9_-]{16,}|"
            r"xox[abeoprs]-[A-Za-z0-9-]{10,}|AIza[A-Za-z0-9_-]{35}|hf_[A-Za-z0-9]{20,}|dapi[0-9a-f]{32}|"
            r"npm_[A-Za-z0-9]{30,}|pypi-[A-Za-z0-9_-]{30,})"
        ),
        removed("key"),
    ),
    # user:password@ of a URL; the user stays.
    (
        ("://",),
        re.compile(r"(?P<at>\b[A-Za-z][A-Za-z0-9+.-]*://[^\s/:@\"']*):[^\s/\"']+@"),
        rf"\g<at>:{removed('password')}@",
    ),
    (
        # Without an i, which has other letters that count as the same.
        ("bearer", "bas", "negot"),
        re.compile(r"\b(?P<kind>bearer|basic|negotiate)\s+(?P<value>[A-Za-z0-9._~+/-]{16,}=*)", re.IGNORECASE),
        rf"\g<kind> {removed('token')}",
    ),
    (
        ("pass", "pwd", "secret", "key", "token", "jaas"),
        re.compile(
            rf"(?P<name>(?:\b|[_.-]){_CALLED}\\?[\"']?\s*(?:=>|[:=])\s*)"
            r"(?P<value>\\\"[^\"\\]*\\\"|\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'|[^\s,;&)}\]\"']+)",
            re.IGNORECASE,
        ),
        _named,
    ),
)


def redact_text(text: str, known: tuple[str, ...] = ()) -> str:
    """`text` without secrets. `known` are secrets to remove whatever they look like."""
    for secret in known:
        text = text.replace(secret, removed("secret"))
    small = text.casefold()
    for marks, shape, instead in _SHAPES:
        for mark in marks:  # `any` takes half as long again, and each text of an answer comes through here
            if mark in small:
                text = shape.sub(instead, text)
                small = text.casefold()
                break
    return text


def redact(value: Any, known: tuple[str, ...] = ()) -> Any:
    """The same value without secrets; what has none is returned as it is."""
    if value is None or isinstance(value, int | float | Enum | bytes):
        return value
    if isinstance(value, str):
        return redact_text(value, known)
    if isinstance(value, BaseModel):
        return redact_model(value, known)
    if isinstance(value, Mapping):
        return {redact(name, known): _under(name, one, known) for name, one in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(redact(one, known) for one in value))
    if isinstance(value, list | tuple | set | frozenset):
        return type(value)(redact(one, known) for one in value)
    return value


def redact_model(answer: M, known: tuple[str, ...] = ()) -> M:
    """A model without secrets in any of its fields."""
    found = {name: getattr(answer, name) for name in type(answer).model_fields} | (answer.model_extra or {})
    clean = {name: _under(name, value, known) for name, value in found.items()}
    changed = {name: value for name, value in clean.items() if value is not found[name] and value != found[name]}
    return answer.model_copy(update=changed) if changed else answer


def known_secrets(settings: Settings) -> tuple[str, ...]:
    """The secrets that these settings name, and those that are kept in this home; the longest first."""
    return tuple(sorted({one for one in _look_up(settings) if len(one) >= _SHORTEST}, key=len, reverse=True))


def _look_up(settings: Settings) -> Iterator[str]:
    sources: list[str | None] = [one.key for one in settings.agent.models.values()]
    sources += settings.catalog.secrets.values()
    sources += [settings.notify.webhook_secret, settings.notify.smtp_password, settings.metrics.token]
    sources += [settings.oidc.client_secret] if settings.oidc else []
    for source in filter(None, sources):
        # What is not there cannot be shown.
        with suppress(DrlsError):
            yield read_secret("a secret", source)
    for name in ("secret", "webhook-secret"):
        with suppress(OSError):
            yield (settings.home / name).read_text().strip()


def _under(name: Any, value: Any, known: tuple[str, ...]) -> Any:
    """A value, by its name."""
    if isinstance(value, SecretStr):
        return removed("secret")
    is_text = isinstance(value, str) and not isinstance(value, Enum) and isinstance(name, str)
    if is_text and len(value) >= _SHORTEST and _is_secrets_name(name) and not _IS_A_PLACE.match(value):
        return removed("secret")
    return redact(value, known)


@lru_cache(1_000)
def _is_secrets_name(name: str) -> bool:
    """Names repeat: of fields, and of columns in rows."""
    return _NAMES.search(name) is not None
