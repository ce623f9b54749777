"""The places that file sources may read: landing, and what `[sources] roots` adds. All else is refused, links resolved.

Nothing that DRLS keeps for itself is ever read (its home except for landing, databases, tables, staging, secrets), not
even where a root holds it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from drls_dagster.steps.sources.pins import SourceUnreadable
from lifecycle.domain.environment import Environment
from lifecycle.spec import FilesSource

if TYPE_CHECKING:
    from drls_dagster.settings import Settings
    from lifecycle.spec import PipelineSpec

REMEDY = "copy the files into landing, or add the folder to sources.roots in drls.toml"
_FILE = re.compile(r"file:(//(?P<host>[^/]*))?(?P<path>/.*)?", re.IGNORECASE | re.DOTALL)
_URI = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<bucket>[^/]*)(?P<key>/.*)?", re.DOTALL)
_OPTIONS = re.compile(r"\?(?:[^&]*&)*(?:endpoint_override|region|scheme|access_key|secret_key|profile)=")
_S3 = ("s3", "s3a", "s3n")
_WILD = re.compile(r"[*?\[]")


class OutsideRoots(SourceUnreadable):
    """A source names a place that file sources of this environment may not read.

    `leads`: for the owner alone, where the link leads that the message names.
    """

    leads: str = ""


@dataclass(frozen=True)
class Root:
    """A place that sources may read: a folder with all links resolved, or `scheme://bucket/prefix`.

    `address` is what the settings say of a bucket, with its credentials and options.
    """

    place: str
    address: str = ""

    @property
    def is_remote(self) -> bool:
        return "://" in self.place

    def holds(self, place: str) -> bool:
        return place == self.place or place.startswith(f"{self.place.rstrip('/')}/")


@dataclass(frozen=True)
class Named:
    """What a source's path stands for: where its listing begins and, of a bucket, how to open it.

    `path` is whole, its links not resolved; `base` the landing folder that it was relative to, or empty.
    """

    path: str
    base: str
    address: str = ""

    @property
    def is_remote(self) -> bool:
        return "://" in self.path

    def shown(self, path: str) -> str:
        """A file of the source as the pipeline would write it: relative to landing, or whole."""
        if self.is_remote or not self.base:
            return path
        return path.removeprefix(f"{self.base.rstrip('/')}/")


@dataclass(frozen=True)
class Roots:
    """Where the file sources of one environment may read. `kept` are the places of DRLS itself."""

    landing: str
    landing_root: Root
    others: tuple[Root, ...]
    kept: tuple[str, ...]

    @classmethod
    def of(cls, settings: Settings, environment: Environment) -> Roots:
        landing = settings.landing_for(environment)
        root = _root(landing)
        return cls(landing, root, tuple(map(_root, settings.roots_for(environment))), tuple(_kept(settings, root)))

    def named(self, node: str, path: str) -> Named:
        """What a source's path stands for. Raises OutsideRoots, before anything is looked at, where that is outside."""
        found = self._named(node, path)
        if found.is_remote and "//" in found.path.partition("://")[2]:
            raise OutsideRoots(
                f"node '{node}': {path} has an empty name between two slashes, and keys with one cannot be read; "
                "correct the path, or rename them"
            )
        begins = _start(found.path)
        start = begins if found.is_remote else os.path.realpath(begins)
        if not self.admits(start):
            below = begins.removeprefix(found.base.rstrip("/")) if found.base else ""
            link = bool(found.base) and start != f"{self.landing_root.place.rstrip('/')}{below}"
            raise self.refusal(node, path, start, link=link)
        return found

    def admits(self, place: str) -> bool:
        """Whether a resolved place may be read."""
        return self._holds(place) and not self._keeps(place)

    def refusal(self, node: str, shown: str, place: str, *, link: bool = False) -> OutsideRoots:
        """Why a place may not be read. Where a link leads is not said."""
        if self._holds(place):
            what = "leads to a file or folder of DRLS itself" if link else "belongs to DRLS itself"
            error = OutsideRoots(f"node '{node}': {shown} {what}, which file sources never read")
        else:
            what = "is a link that leads outside" if link else "is outside"
            error = OutsideRoots(f"node '{node}': {shown} {what} of landing and of [sources] roots; {REMEDY}")
        if link:
            error.leads = f"node '{node}': {shown} leads to {place}, which no source may read"
        return error

    @property
    def _all(self) -> tuple[Root, ...]:
        return (self.landing_root, *self.others)

    def _holds(self, place: str) -> bool:
        return any(root.holds(place) for root in self._all)

    def _keeps(self, place: str) -> bool:
        """Whether DRLS keeps it for itself. Landing, which may lie in its home, is for sources."""
        landing = self.landing_root
        for kept in map(Root, self.kept):
            if kept.holds(place):
                inside = kept.place != landing.place and kept.holds(landing.place)
                if not (inside and landing.holds(place)):
                    return True
        return False

    def _named(self, node: str, path: str) -> Named:
        local = _FILE.fullmatch(path)
        if local is not None:
            if (local["host"] or "").lower() not in {"", "localhost"} or not local["path"]:
                raise OutsideRoots(f"node '{node}': {path} names another machine; {REMEDY}")
            return Named(os.path.normpath(_single(unquote(local["path"]))), "")
        if os.path.isabs(path):
            return Named(os.path.normpath(_single(path)), "")
        uri = _URI.fullmatch(path)
        if uri is not None:
            if "@" in uri["bucket"] or _OPTIONS.search(path):
                raise OutsideRoots(
                    f"node '{node}': a source's path takes no credentials and no options of a server; write them in "
                    "landing or sources.roots in drls.toml"
                )
            whole = f"{_scheme(uri['scheme'])}://{uri['bucket']}{uri['key'] or ''}"
            start = _start(whole)
            return Named(whole, "", next((one.address for one in self._all if one.holds(start)), ""))
        if self.landing_root.is_remote:
            return Named(f"{self.landing_root.place.rstrip('/')}/{path}", self.landing_root.place, self.landing)
        base = os.path.abspath(os.path.expanduser(_local(self.landing)))
        return Named(os.path.normpath(f"{base}/{path}"), base)


def outside(spec: PipelineSpec, settings: Settings) -> list[str]:
    """What is to be said of each file source that a run with these settings would refuse in some environment."""
    found: list[str] = []
    for node in spec.sources:
        refused: dict[str, list[str]] = {}
        for environment in Environment if isinstance(node.source, FilesSource) else ():
            try:
                Roots.of(settings, environment).named(node.id, node.source.subject)
            except OutsideRoots as error:
                refused.setdefault(str(error), []).append(str(environment))
        for text, where in refused.items():
            found.append(text if len(where) == len(Environment) else f"in {', '.join(where)}, {text}")
    return found


def is_pattern(segment: str) -> bool:
    """Whether a part of a path may stand for several names."""
    return _WILD.search(segment) is not None


def _root(given: str) -> Root:
    local = _local(given)
    if "://" not in local:
        return Root(os.path.realpath(os.path.expanduser(local)))
    parts = urlsplit(given)
    return Root(f"{_scheme(parts.scheme)}://{parts.netloc.rpartition('@')[2]}{parts.path}".rstrip("/"), given)


def _local(given: str) -> str:
    """A folder of this machine without its `file:`; a URI of another kind as it is."""
    found = _FILE.fullmatch(given)
    return _single(unquote(found["path"] or "/")) if found else given


def _scheme(scheme: str) -> str:
    return "s3" if scheme.lower() in _S3 else scheme.lower()


def _single(path: str) -> str:
    """POSIX lets `//a` mean something else than `/a`, and `normpath` keeps it."""
    return "/" + path.lstrip("/")


def _start(path: str) -> str:
    """The part of a path before the first name that is a pattern: what is listed or looked at lies below it."""
    scheme, mark, rest = path.partition("://")
    names = (rest if mark else path).split("/")
    plain = next((at for at, name in enumerate(names) if at and is_pattern(name)), len(names))
    start = "/".join(name for at, name in enumerate(names[:plain]) if name or not at)
    return f"{_scheme(scheme)}://{start}" if mark else start or "/"


def _kept(settings: Settings, landing: Root) -> Iterator[str]:
    """The places of this machine that are DRLS's own."""
    yield os.path.realpath(settings.home)
    for url in (settings.lifecycle.url, settings.catalog.uri):
        if url and url.startswith("sqlite") and (path := url.partition(":///")[2].partition("?")[0]):
            yield from (f"{os.path.realpath(path)}{journal}" for journal in ("", "-wal", "-shm", "-journal"))
    for folder in (settings.catalog.warehouse, settings.staging):
        if folder and "://" not in (local := _local(folder)) and local.startswith(("/", "~")):
            yield os.path.realpath(os.path.expanduser(local))
    secrets = [*settings.catalog.secrets.values(), settings.notify.webhook_secret, settings.notify.smtp_password]
    secrets += [one.password for one in settings.all_connections]
    for source in (*secrets, settings.oidc and settings.oidc.client_secret):
        if source and source.startswith("file:"):
            yield os.path.realpath(os.path.expanduser(source.removeprefix("file:")))
