"""A browser without scripts: what it gets is what everybody gets, and its forms carry what a page's forms carry."""

from __future__ import annotations

from typing import Any, ClassVar

from anyio.from_thread import BlockingPortal
from fastapi.testclient import TestClient

from lifecycle.app.kit.csrf import FIELD, masked
from lifecycle.app.kit.request import COOKIE
from tests.lifecycle.app.sites import site_of
from tests.lifecycle.life import Life

PASSWORD = "a long enough password"


class Visit:
    """Somebody's browser; `name` None: nobody is signed in. Redirects are not followed.

    All of them share the event loop `loop`, while there is one: an own loop per request takes a fifth of a test's time.
    """

    loop: ClassVar[BlockingPortal | None] = None

    def __init__(self, life: Life, name: str | None, **options: Any) -> None:
        self.client = TestClient(site_of(life.ctx, **options), follow_redirects=False)
        self.client.portal = self.loop
        if name is not None:
            life.give_password(name, PASSWORD)
            answer = self.client.post("/sign-in", data={"account": name, "password": PASSWORD})
            assert answer.status_code == 303

    @property
    def session(self) -> str:
        return self.client.cookies[COOKIE]

    def get(self, path: str, **options: Any):
        return self.client.get(path, **options)

    def page(self, path: str) -> str:
        """The HTML of a page that must be there."""
        answer = self.client.get(path)
        assert answer.status_code == 200, (path, answer.status_code, answer.text[-600:])
        return answer.text

    def post(self, path: str, /, **fields: Any):
        """Sends a page's form."""
        return self.client.post(path, data={FIELD: masked(self.session), "key": "k-" + path, **fields})

    def said(self, path: str, /, **fields: Any) -> str:
        """The refusal that a page with scripts shows in its form."""
        data = {FIELD: masked(self.session), "key": "k-" + path, **fields}
        answer = self.client.post(path, data=data, headers={"HX-Request": "true"})
        assert answer.status_code >= 400, answer.status_code
        return answer.text
