"""Every link that a page offers leads somewhere, for everybody to whom it is offered."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

import pytest
from starlette.routing import compile_path

from lifecycle.domain.roles import Role
from tests.lifecycle.app.everything import fill
from tests.lifecycle.app.sites import PAGES
from tests.lifecycle.app.visit import Visit
from tests.lifecycle.life import Life

# Where a browser goes by itself or by a click; a form is not sent, but whoever sees it must have its role.
LEADS = {("a", "href"), ("link", "href"), ("script", "src"), ("img", "src"), ("use", "href")}
PARTS = {"hx-get", "data-url"}
ROLES = {"vic": Role.VIEWER, "pia": Role.VIEWER, "ada": Role.DATA_ENGINEER, "lea": Role.LEAD, "adam": Role.ADMIN}
GETS = {path: need.role for (method, path), need in PAGES.items() if method == "GET"}
POSTS = {path: need.role for (method, path), need in PAGES.items() if method == "POST"}
# Two numbers are typed into a form that leads here, which sends on to the comparison's own address.
BY_FORM = {"/pipelines/{name}/compare"}
# Everybody can open these and is told why they may not act; to a Viewer and an engineer no page offers the act.
ACTS = {
    "/pipelines/{name}/versions/{number}/demote",
    "/pipelines/{name}/versions/{number}/retire",
    "/pipelines/{name}/versions/{number}/break-glass",
    "/pipelines/{name}/rollback",
    "/environments/{environment}/freeze",
    "/environments/{environment}/stop",
}
ASKS = {"/pipelines/{name}/versions/{number}/promote/{target}", "/environments/{environment}/session/{name}"}
NOT_OFFERED = {"vic": ACTS | ASKS, "pia": ACTS | ASKS, "ada": ACTS}


class Offers(HTMLParser):
    """What a page offers: where its links lead, and the forms that somebody can send."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.ids: set[str] = set()
        self.forms: set[str] = set()
        self._form: str | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.links |= {value for name, value in given.items() if (tag, name) in LEADS or name in PARTS}
        if "id" in given:
            self.ids.add(given["id"])
        if tag == "form":
            self._form = given["action"] if given.get("method") == "post" else None
        elif tag == "button" and self._form and given.get("type", "submit") == "submit" and "disabled" not in given:
            self.forms.add(self._form)

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._form = None


@dataclass
class Walk:
    """Where a walk over all links came, and everything wrong with the page that offers it."""

    visitor: Visit
    role: Role
    reached: set[str] = field(default_factory=set)
    wrong: list[str] = field(default_factory=list)

    def go(self, start: str = "/") -> None:
        queue, seen = deque([(start, "the start")]), {start}
        while queue:
            path, offered_by = queue.popleft()
            answer = self.visitor.get(path)
            if answer.status_code != 200:
                self.wrong.append(f"{offered_by} offers {path}, which answers {answer.status_code}")
                continue
            self.reached |= matching(GETS, path)
            if not answer.headers["content-type"].startswith("text/html"):
                continue
            for goal in self.look(path, answer.text) - seen:
                seen.add(goal)
                queue.append((goal, path))

    def look(self, path: str, text: str) -> set[str]:
        """The addresses in this app to which a page leads."""
        offers = Offers(text)
        for action in offers.forms:
            needs = [POSTS[one] for one in matching(POSTS, action)]
            if not any(need is None or self.role.includes(need) for need in needs):
                self.wrong.append(f"{path} offers {action}, which a {self.role.value} cannot send")
        goals: set[str] = set()
        for link in offers.links:
            # A part of a page may point at another part of it.
            if link.startswith("#") and "<!doctype" in text and link[1:] not in offers.ids:
                self.wrong.append(f"{path} points at {link}, which it does not have")
            goal = urlsplit(urljoin(path, link))
            if not goal.scheme and not goal.netloc:
                goals.add(goal._replace(fragment="").geturl())
        return goals


def matching(pages: dict[str, Role | None], address: str) -> set[str]:
    path = address.split("?", maxsplit=1)[0]
    return {page for page in pages if re.fullmatch(compile_path(page)[0].pattern, path)}


@pytest.mark.slow
@pytest.mark.parametrize("name", ROLES)
def test_every_link_leads_somewhere_for_whom_it_is_offered(life: Life, name: str) -> None:
    fill(life)
    walk = Walk(Visit(life, name), ROLES[name])
    walk.go()
    assert not walk.wrong, "\n".join(walk.wrong)
    # And the walk comes to every page that is there for this role: none can be reached by its address alone.
    meant = {page for page, need in GETS.items() if need is not None and ROLES[name].includes(need)}
    assert sorted(meant - walk.reached - BY_FORM - NOT_OFFERED.get(name, set())) == []
