"""Definitions and versions on a server."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from drls_dagster.lifecycle_client.http.session import HttpSession
from drls_dagster.lifecycle_client.interface import Pipelines
from drls_dagster.lifecycle_client.results import PipelineInfo, VersionDetail, VersionInfo
from lifecycle.spec import PipelineSpec, canonical_json, local_code

_ALL = "/api/pipeline-defs"


class HttpPipelines(Pipelines):
    """Asks the server. Local code goes along; what is not found here is looked for there."""

    def __init__(self, session: HttpSession) -> None:
        self._session = session

    def save(
        self,
        spec: PipelineSpec,
        *,
        search_path: Sequence[Path] = (),
        message: str = "",
        on: int | None = None,
        if_newest: str | None = None,
        key: str | None = None,
    ) -> VersionInfo:
        definition = json.loads(canonical_json(spec.model_copy(update={"lock": None})))
        path = f"{_ALL}/{spec.name}/versions" if if_newest else _ALL
        body: dict[str, Any] = {"definition": definition, "message": message, "on": on}
        files = local_code(spec, search_path).files
        if files:
            body["code"] = {name: base64.b64encode(content).decode() for name, content in files.items()}
        return _info(self._session.call("POST", path, json=body, key=key, if_match=if_newest).json())

    def list(self) -> tuple[PipelineInfo, ...]:
        return tuple(PipelineInfo.model_validate(one) for one in self._session.pages(_ALL, "after"))

    def versions(self, name: str) -> tuple[VersionInfo, ...]:
        found = self._session.pages(f"{_ALL}/{name}/versions", "before")
        return tuple(VersionInfo.model_validate({**one, "pipeline": name}) for one in found)

    def version(self, name: str, number: int | None = None) -> VersionDetail:
        path = f"{_ALL}/{name}" if number is None else f"{_ALL}/{name}/versions/{number}"
        found = self._session.get(path)
        definition = json.dumps(found.pop("definition"))
        return VersionDetail.model_validate({**found, "spec": definition})

    def export(self, name: str, number: int) -> bytes:
        return self._session.call("GET", f"{_ALL}/{name}/versions/{number}/export").content

    def import_bundle(self, data: bytes, *, trusted: Sequence[str] = (), key: str | None = None) -> VersionInfo:
        params = {"trust": list(trusted)}
        return _info(self._session.call("POST", f"{_ALL}/import", content=data, params=params, key=key).json())

    def clone(self, name: str, number: int, *, to: str | None = None, key: str | None = None) -> VersionInfo:
        path = f"{_ALL}/{name}/versions/{number}/clone"
        return _info(self._session.call("POST", path, json={"to": to}, key=key).json())

    def delete(self, name: str, *, key: str | None = None) -> None:
        self._session.call("DELETE", f"{_ALL}/{name}", key=key)


def _info(found: dict[str, Any]) -> VersionInfo:
    return VersionInfo.model_validate({name: found[name] for name in VersionInfo.model_fields})
