"""The approvals app with 1,000 pipelines and 5,000 requests: what the server takes, what Chromium waits for."""

from __future__ import annotations

import shutil
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
from playwright.sync_api import Browser, Page, Request, sync_playwright

from benchmarks.lab import Lab, median
from benchmarks.pages_store import fill_pages
from benchmarks.report import Line, Side, at_most
from lifecycle.app.kit.request import COOKIE

PIPELINES, VERSIONS, APPROVALS = 1_000, 5, 5_000
WAITING, MANY_WAITING = 200, 4_000  # of the approvals: on an ordinary day, and when nobody decides
SERVER, PAINT, WEIGHT = 100.0, 500.0, 150_000  # milliseconds (p95), milliseconds, bytes
_PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? null"


def run(lab: Lab) -> list[Line]:
    ordinary = _measure(lab, lab.times(WAITING, 20), pages)
    return [*ordinary, *_measure(lab, lab.times(MANY_WAITING, 200), pages_with_many)]


def _measure(lab: Lab, waiting: int, pages_of: Callable[[int], dict[str, str]]) -> list[Line]:
    """The pages of a store in which `waiting` requests wait for the visitor."""
    began = time.perf_counter()
    folder = lab.folder / f"pages-{waiting}"
    pipelines, approvals = lab.times(PIPELINES, 100), lab.times(APPROVALS, 300)
    session, request = fill_pages(folder, pipelines, VERSIONS, approvals, waiting)
    took = time.perf_counter() - began
    lab.log(f"pages: {pipelines} pipelines, {approvals} requests of which {waiting} wait, in {took:.0f} s")
    worker = lab.worker("lifecycle_server", folder)
    url = f"http://127.0.0.1:{worker.ask()['port']}"
    paths = pages_of(request)
    try:
        return [*_server(url, session, paths, lab.times(60, 10)), *_browser(url, session, paths, lab.times(5, 2))]
    finally:
        worker.close()


def pages(request: int) -> dict[str, str]:
    """What is measured, by the words of the table; `request` waits."""
    one = "/pipelines/pipeline_0007"
    return {
        "home": "/",
        "pipelines": "/pipelines",
        "pipelines, searched": "/pipelines?q=0042",
        "pipeline": one,
        "version": f"{one}/versions/2",
        "compare": f"{one}/compare/1/5",
        "promote": f"{one}/versions/5/promote/uat",
        "approvals": "/approvals",
        "review": f"/approvals/{request}",
        "environments": "/environments",
        "production": "/environments/production",
        "audit": "/audit",
        "policies": "/settings/policies",
        "people": "/settings/people",
        "profile": "/profile",
    }


def pages_with_many(request: int) -> dict[str, str]:
    """What shows, or counts, all that waits, and one page that only has the badge."""
    paths = {
        "home": "/",
        "approvals": "/approvals",
        "approvals, searched": "/approvals?pipeline=004&mine=1",
        "review": f"/approvals/{request}",
        "pipelines": "/pipelines",
    }
    return {f"{what}, thousands waiting": path for what, path in paths.items()}


def _server(url: str, session: str, paths: dict[str, str], times: int) -> list[Line]:
    """One visitor, one page after another, over HTTP."""
    took: dict[str, list[float]] = {what: [] for what in paths}
    with httpx.Client(base_url=url, cookies={COOKIE: session}, timeout=60) as client:
        for position in range(times + 3):
            for what, path in paths.items():
                began = time.perf_counter()
                answer = client.get(path)
                if answer.status_code != 200:
                    raise RuntimeError(f"{path}: {answer.status_code}")
                # Not the first looks: templates and connections are new.
                if position >= 3:
                    took[what].append(1000 * (time.perf_counter() - began))
    lines: list[Line] = []
    for what, values in took.items():
        a = Side(f"p95 of {len(values)} answers", (statistics.quantiles(values, n=20)[-1],), "ms")
        b = Side("median of them", (median(values),), "ms")
        lines.append(at_most("pages", f"{what}: server", a, b, SERVER, f"≤ {SERVER:.0f} ms"))
    return lines


def _browser(url: str, session: str, paths: dict[str, str], times: int) -> list[Line]:
    """Each page in a browser that has seen nothing yet."""
    lines: list[Line] = []
    with _chromium() as chromium:
        for what, path in paths.items():
            looks = [_look(chromium, url, session, path) for _ in range(times + 1)][1:]
            paint = Side("first contentful paint", tuple(one for one, _ in looks), "ms")
            whole = Side("looks", (len(looks),), "")
            lines.append(at_most("pages", f"{what}: seen", paint, whole, PAINT, f"≤ {PAINT:.0f} ms"))
            weight = Side("transferred", tuple(float(one) for _, one in looks), "bytes")
            lines.append(at_most("pages", f"{what}: weight", weight, whole, WEIGHT, f"≤ {WEIGHT // 1000} kB"))
    return lines


def _look(chromium: Browser, url: str, session: str, path: str) -> tuple[float, int]:
    """Milliseconds to the first contentful paint, and bytes that came over the wire, headers too."""
    context = chromium.new_context(base_url=url)
    context.add_cookies([{"name": COOKIE, "value": session, "url": url}])
    page = context.new_page()
    # Ask for their sizes later: a page that closes meanwhile would give only some of them.
    finished: list[Request] = []
    page.on("requestfinished", lambda request: finished.append(request))  # noqa: PLW0108  Playwright takes no builtin
    try:
        page.goto(path, wait_until="load")
        painted = _painted(page)
        return painted, sum(_weight(request) for request in tuple(finished))
    finally:
        context.close()


def _weight(request: Request) -> int:
    sizes = request.sizes()
    return sizes["responseBodySize"] + sizes["responseHeadersSize"]


def _painted(page: Page) -> float:
    # Playwright's own waiting evaluates text in the page, which the policy of the pages forbids.
    for _ in range(200):
        painted = page.evaluate(_PAINT)
        if painted is not None:
            return float(painted)
        page.wait_for_timeout(20)
    raise RuntimeError(f"{page.url} showed nothing within 4 seconds")


@contextmanager
def _chromium() -> Iterator[Browser]:
    found = shutil.which("chromium")
    if found is None:
        raise RuntimeError("chromium is not installed; scripts/chromium.sh installs it on Debian")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()
