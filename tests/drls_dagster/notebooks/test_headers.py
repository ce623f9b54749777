"""What a notebook's server may say to a browser."""

from __future__ import annotations

import pytest

from drls_dagster.up.web.notebook_headers import own_place

BASE = "/notebook/ada/"


@pytest.mark.parametrize(
    ("location", "aim"),
    [
        ("/notebook/ada/?file=x.py", "/notebook/ada/?file=x.py"),
        ("auth/login", "/notebook/ada/auth/login"),
        ("/api/approvals/1/approve", None),
        ("../../api/approvals/1/approve", None),
        ("/notebook/ada/../../api", None),
        ("/notebook/ada/%2e%2e/%2e%2e/api", None),
        ("/notebook/eve/", None),
        ("http://evil.example/notebook/ada/", None),
        ("//evil.example/notebook/ada/", None),
        ("/\\evil.example/notebook/ada/", None),
        ("javascript:alert(1)", None),
    ],
)
def test_a9_a_redirect_stays_in_its_notebook(location: str, aim: str | None) -> None:
    assert own_place(location, "/notebook/ada/start", BASE) == aim
