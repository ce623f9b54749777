"""The verbs of the lifecycle as REST routes."""

from __future__ import annotations

from lifecycle.app.kit.bodies import SMALL
from lifecycle.app.kit.rest.routes import router_of
from lifecycle.app.kit.section import Api, Section
from lifecycle.bundle.envelope import MAX_BYTES as MAX_BUNDLE
from lifecycle.spec.notebook_cells import MAX_NOTEBOOK
from lifecycle.spec.reading import MAX_BYTES as MAX_DEFINITION
from lifecycle.verbs.table import ROWS

# A definition is text inside JSON, which escapes some of it.
_DEFINITION = 2 * MAX_DEFINITION
_NOTEBOOK = 6 * MAX_NOTEBOOK
LARGE = {
    ("POST", "/api/pipeline-defs"): _DEFINITION,
    ("PUT", "/api/pipeline-defs/{name}"): _DEFINITION,
    ("POST", "/api/pipeline-defs/{name}/versions"): _DEFINITION,
    ("POST", "/api/pipeline-defs/import"): MAX_BUNDLE + SMALL,
    ("POST", "/api/notebook/pipeline"): _NOTEBOOK,
    ("POST", "/api/notebook/save"): _NOTEBOOK,
}

SECTION = Section("verbs", api=Api((router_of(ROWS),), {(row.method, row.path): row.asks for row in ROWS}, LARGE))
