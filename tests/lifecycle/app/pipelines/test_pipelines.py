"""The list of pipelines, their pages, comparing, importing, cloning, deleting."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from lifecycle.app.kit.csrf import FIELD, masked
from lifecycle.audit.keys import SigningKey
from lifecycle.domain.promotion import State
from lifecycle.spec import PipelineSpec, dump_yaml
from lifecycle.usecases.break_glass import break_glass
from lifecycle.usecases.export_version import export_version
from tests.lifecycle.app.visit import Visit
from tests.lifecycle.life import QA, UAT, Life, make_spec

Open = Callable[[str | None], Visit]
SCRIPT = "<script>alert(1)</script>"
IMAGE = "\"'><img src=x onerror=alert(1)>"
RAW = re.compile(r"<script>alert|<img|<svg/|onerror=alert\(1\)>")


def changed(spec: PipelineSpec, **nodes: dict[str, Any]) -> PipelineSpec:
    data = spec.model_dump(by_alias=True)
    for node in data["nodes"]:
        node.update(nodes.get(node["id"], {}))
    return PipelineSpec.model_validate(data)


def send(visit: Visit, path: str, data: bytes, name: str = "flights.yaml", *, htmx: bool = True, **fields: Any):
    """A form with a file, as a page with scripts sends it."""
    values = {FIELD: masked(visit.session), "key": ("k-" + name + path)[:200], **fields}
    headers = {"HX-Request": "true"} if htmx else {}
    files = {"file": (name, data, "application/octet-stream")}
    return visit.client.post(path, data=values, files=files, headers=headers)


def numbers(life: Life, name: str = "flights") -> list[int]:
    with life.store.read() as view:
        return [one.number for one in view.pipelines.versions(view.pipelines.named(name).id)]


def test_the_list_shows_what_runs_where_and_finds_by_all_filters(visit: Open, life: Life) -> None:
    life.to_qa(life.save(make_spec(owners=["team:air"], tags={"domain": "air"}, description="Delays per day")))
    life.save(make_spec("sales", tags={"domain": "shop"}))
    vic = visit("vic")
    page = vic.page("/pipelines")
    for word in ("flights", "sales", "Delays per day", "team:air", "domain=air", "QA</span> v1", "by ada"):
        assert word in page
    for query in ("q=delays", "environment=qa", "owner=team:air", "tag=domain=air", "q=FLIGHT&tag=domain"):
        found = vic.page(f"/pipelines?{query}")
        assert 'href="/pipelines/flights"' in found, query
        assert 'href="/pipelines/sales"' not in found, query
    assert "No pipeline matches" in vic.page("/pipelines?environment=production")
    assert 'action="/pipelines/import"' not in page
    assert 'action="/pipelines/import"' in visit("ada").page("/pipelines")


def test_a_page_shows_the_graph_the_nodes_and_the_history(visit: Open, life: Life) -> None:
    life.save(make_spec(schedule={"cron": "0 6 * * 1-5", "timezone": "Europe/Berlin"}), message="first")
    life.clock.advance(days=1)
    life.save(make_spec(rows=2), by="eve", message="two rows")
    page = visit("vic").page("/pipelines/flights")
    for word in (
        "v2 is read-only", "two rows", "eve", "first", 'href="/pipelines/flights/compare/1/2"',
        'aria-label="delays, Spark SQL"', 'aria-label="sink0, overwrite sink, flights.daily, 1 blocking check"',
        '<span class="tok-k">LIMIT</span>', "blocks publishing", "only when started by a person or program",
    ):  # fmt: skip
        assert word in page, word
    older = visit("vic").page("/pipelines/flights/versions/1")
    assert "Monday to Friday at 06:00 (Europe/Berlin)" in older
    assert "The newest is" in older
    assert "Schedules do not run where it is active." in older


def test_every_id_on_the_pages_is_there_once(visit: Open, life: Life) -> None:
    life.save()
    life.save(make_spec(rows=2))
    break_glass(life.ctx, life.as_("lea"), "flights", 1, UAT, reason="now")
    for path in ("/", "/pipelines", "/pipelines/flights", "/pipelines/flights/versions/1",
                 "/pipelines/flights/compare/1/2", "/pipelines/flights/versions/1/clone", "/pipelines/flights/delete"):  # fmt: skip
        ids = re.findall(r'\bid="([^"]+)"', visit("lea").page(path))
        assert len(ids) == len(set(ids)), (path, [one for one in ids if ids.count(one) > 1])


def test_actions_are_offered_to_those_who_have_the_role(visit: Open, life: Life) -> None:
    version = life.save()
    assert life.to_production(version).state is State.DONE
    lead, engineer, viewer = (visit(name).page("/pipelines/flights") for name in ("lea", "ada", "vic"))
    for url in ("/versions/1/demote", "/versions/1/retire", "/rollback", "/delete"):
        assert f'href="/pipelines/flights{url}"' in lead
        assert f'href="/pipelines/flights{url}"' not in engineer
    assert 'href="/pipelines/flights/versions/1/clone"' in engineer
    assert "/clone" not in viewer
    assert "new-version" not in viewer
    # It is in production, so there is nowhere to promote it to.
    assert "Promote to" not in lead
    life.save(make_spec(rows=2))
    assert 'href="/pipelines/flights/versions/2/promote/qa"' in visit("ada").page("/pipelines/flights")


def test_l7_an_unreviewed_version_is_marked_on_its_page_and_in_the_list(visit: Open, life: Life) -> None:
    life.save()
    break_glass(life.ctx, life.as_("lea"), "flights", 1, UAT, reason="now")
    assert visit("vic").page("/pipelines/flights").count(">unreviewed</span>") >= 3
    assert ">unreviewed</span>" in visit("vic").page("/pipelines")


def test_the_moving_part_of_a_page_answers_with_itself(visit: Open, life: Life) -> None:
    life.save()
    vic = visit("vic")
    part = vic.page("/pipelines/flights/state")
    assert part.strip().startswith('<div id="state" class="stack" data-live hx-get="/pipelines/flights/state"')
    assert part.strip() in vic.page("/pipelines/flights")


def test_runs_link_to_dagster_where_it_is_reached(visit: Open, life: Life) -> None:
    version = life.save()
    life.to_qa(version)
    life.run(version, QA)
    page = Visit(life, "vic", dagster="/dagster").page("/pipelines/flights")
    assert 'href="/dagster/runs/test-run-1"' in page
    assert "published</span>" in page


def test_the_history_is_paged(visit: Open, life: Life) -> None:
    for rows in range(1, 24):
        life.save(make_spec(rows=rows))
    vic = visit("vic")
    page = vic.page("/pipelines/flights")
    assert 'href="/pipelines/flights/versions/23?below=4#history"' in page
    older = vic.page("/pipelines/flights/versions/23?below=4")
    assert 'href="/pipelines/flights/versions/3"' in older
    assert "Older versions" not in older


def test_a_large_graph_is_a_list_and_draws_around_a_node(visit: Open, life: Life) -> None:
    life.save(make_spec(tables=tuple(f"flights.t{number}" for number in range(110))))
    vic = visit("vic")
    page = vic.page("/pipelines/flights")
    assert "112 nodes are too many to draw" in page
    assert "graph-drawing" not in page
    part = vic.page("/pipelines/flights/versions/1?around=raw")
    assert "Showing the nearest 100 of 112 nodes" in part
    assert "graph-drawing" in part


def test_what_is_not_there_is_not_found(visit: Open, life: Life) -> None:
    life.save()
    vic = visit("vic")
    for path in ("nope", "flights/versions/2", "flights/compare/1/9", "flights/versions/0", "FLIGHTS", "flights/versions/x",
                 "nope/state", "flights/versions/9/definition.yaml", "..%2f..%2fetc", "%3Cscript%3E"):  # fmt: skip
        assert vic.get(f"/pipelines/{path}").status_code == 404, path


def test_a_definition_can_be_loaded_changed_and_saved_on_top(visit: Open, life: Life) -> None:
    saved = life.save()
    ada = visit("ada")
    text = ada.page("/pipelines/flights/versions/1/definition.yaml").replace("LIMIT 1", "LIMIT 5")
    fields = {"on": "1", "newest": saved.digest, "message": "five"}
    answer = send(ada, "/pipelines/flights/versions", text.encode(), **fields)
    assert (answer.status_code, answer.headers["HX-Redirect"]) == (204, "/pipelines/flights/versions/2")
    # Again, as by a second click on the button of the same page: one change.
    again = send(ada, "/pipelines/flights/versions", text.encode(), **fields)
    assert again.headers["HX-Redirect"] == "/pipelines/flights/versions/2"
    assert numbers(life) == [2, 1]
    assert "Saved as flights v2" in ada.page("/pipelines/flights/versions/2")
    # Somebody else, whose page is older, is told instead of overwriting.
    late = send(visit("eve"), "/pipelines/flights/versions", text.replace("5", "6").encode(), **fields)
    assert late.status_code == 409
    assert "is now v2; review it" in late.text
    other = send(ada, "/pipelines/flights/versions", dump_yaml(make_spec("sales")).encode(), "s.yaml", **fields)
    assert "s.yaml defines the pipeline sales, not flights" in other.text


def test_a_json_definition_is_imported_without_scripts_too(visit: Open, life: Life) -> None:
    text = json.dumps(make_spec().model_dump(mode="json", by_alias=True))
    answer = send(visit("ada"), "/pipelines/import", text.encode(), "flights.json", htmx=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/pipelines/flights/versions/1")
    assert visit("vic").post("/pipelines/import").status_code == 403


def test_a_bundle_is_imported_with_its_provenance(visit: Open, life: Life) -> None:
    life.save()
    bundle = export_version(life.ctx, life.as_("ada"), "flights", 1)
    life.clock.advance(hours=1)
    answer = send(visit("eve"), "/pipelines/import", bundle, "flights-v1.json")
    assert answer.headers["HX-Redirect"] == "/pipelines/flights/versions/1"
    eve = visit("eve").page("/pipelines/flights")
    assert "ada, eve" in eve
    foreign = json.loads(bundle)
    foreign["signatures"] = []
    refused = send(visit("eve"), "/pipelines/import", json.dumps(foreign).encode(), "x.json")
    assert refused.status_code == 422
    assert "x.json: the bundle is not signed by a trusted key" in refused.text


def test_a_bundle_of_another_installation_needs_its_key(visit: Open, life: Life) -> None:
    life.save()
    bundle = export_version(life.ctx, life.as_("ada"), "flights", 1)
    own = life.store.signing_key.public
    life.store.signing_key = SigningKey.generate()
    eve = visit("eve")
    assert send(eve, "/pipelines/import", bundle, "a.json").status_code == 422
    assert send(eve, "/pipelines/import", bundle, "b.json", trust="zz").status_code == 422
    assert send(eve, "/pipelines/import", bundle, "c.json", trust=own).status_code == 204


DEEP = b"{" + b'"a":{' * 100_000
HOSTILE = {
    "nothing chosen": (b"", "", 422, "choose a file first"),
    "empty": (b"", "empty.yaml", 422, "empty.yaml: the file is empty"),
    "no mapping": (b"- 1", "list.yaml", 422, "list.yaml: the file is not a mapping"),
    "binary": (b"\x89PNG\r\n\x1a\n\xff\xfe", "picture.png", 422, "picture.png: line 1: the file is not UTF-8"),
    "deep": (DEEP, "deep.json", 422, "deep.json"),
    "deep bundle": (b'{"payloadType":' + b"[" * 100_000, "deep.json", 422, "at most 60 are read"),
    "large": (b"a: " + b"x" * (5 * 1024 * 1024), "large.yaml", 422, "larger than 5 MB"),
    "too large": (b"x" * (6 * 1024 * 1024), "huge.yaml", 413, "the file is too large: at most 6 MB may be sent"),
    "alias": (b"a: &x 1\nb: *x", "bomb.yaml", 422, "anchors and aliases"),
    "object": (b"a: !!python/object/apply:os.system ['id']", "evil.yaml", 422, "is not supported"),
    "path": (b"- 1", "../../etc/passwd", 422, "passwd: the file is not a mapping"),
    "markup": (b"- 1", f"{IMAGE}{SCRIPT}.yaml", 422, "the file is not a mapping"),
    "long": (b"- 1", "x" * 3_000, 422, "xxx…: the file is not a mapping"),
    "longer": (b"- 1", "x" * 50_000, 400, "Invalid multipart data"),
    "node": (dump_yaml(make_spec()).replace("id: raw", f"id: '{SCRIPT}'").encode(), "n.yaml", 422, "n.yaml: "),
    "name": (dump_yaml(make_spec()).replace("name: flights\n", f"name: '{SCRIPT}'\n", 1).encode(), "n.yaml", 422, "n.yaml: name"),
    "owner": ((dump_yaml(make_spec()) + f"owners: ['{SCRIPT}']\n").encode(), "o.yaml", 422, "o.yaml: owners"),
    "place": (dump_yaml(make_spec()).replace("name: flights\n", "name: ../../etc/passwd\n", 1).encode(), "n.yaml", 422, "name"),
    "table": (dump_yaml(make_spec(tables=("a.b",))).replace("a.b", "../x.b").encode(), "t.yaml", 422, "t.yaml: "),
    "sql": (dump_yaml(make_spec()).replace("FROM raw", f"FROM raw, {SCRIPT}").encode(), "q.yaml", 422, "q.yaml: "),
}  # fmt: skip


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_or_wrong_file_is_refused_in_a_clear_line(visit: Open, life: Life, what: str) -> None:
    data, name, status, said = HOSTILE[what]
    answer = send(visit("ada"), "/pipelines/import", data, name)
    assert answer.status_code == status
    assert said in answer.text
    assert not RAW.search(answer.text)
    assert answer.text.count("<p>") <= 11
    with life.store.read() as view:
        assert view.pipelines.list() == ()


def evil_spec() -> PipelineSpec:
    sql = f"SELECT '{SCRIPT}' AS a, \"{IMAGE}\" FROM raw -- {SCRIPT}"
    fields: dict[str, Any] = {"description": SCRIPT + IMAGE, "tags": {SCRIPT: IMAGE}}
    fields["parameters"] = {"p": {"type": "string", "default": SCRIPT, "description": IMAGE}}
    checks = {"checks": [{"kind": "sql", "name": "one", "sql": f'SELECT count(*) > 0 AS "{SCRIPT}" FROM sink0'}]}
    return changed(
        make_spec(**fields), delays={"sql": sql}, sink0={"properties": {SCRIPT: IMAGE}}, checks0=checks,
        raw={"source": {"kind": "files", "format": "csv", "path": f"{SCRIPT}/*.csv", "options": {IMAGE: SCRIPT}}},
    )  # fmt: skip


def test_no_text_of_a_version_becomes_markup_on_any_page(visit: Open, life: Life) -> None:
    life.save(message="before")
    life.save(evil_spec(), message=f"why {SCRIPT}{IMAGE}")
    lea = visit("lea")
    for path in ("/", "/board", "/pipelines", "/pipelines/flights", "/pipelines/flights/state", "/pipelines/flights/versions/2",
                 "/pipelines/flights/compare/1/2", "/pipelines/flights/compare/2/1", "/pipelines/flights/versions/2/clone",
                 "/pipelines/flights/delete"):  # fmt: skip
        page = lea.page(path)
        assert not RAW.search(page), (path, RAW.search(page))
    for path in ("/pipelines/flights", "/pipelines/flights/compare/1/2"):
        assert "&lt;script&gt;" in lea.page(path)
    for query in ("q", "owner", "tag"):
        assert not RAW.search(lea.page(f"/pipelines?{query}={SCRIPT}{IMAGE}"))
    headers = lea.get("/pipelines/flights/versions/2/definition.yaml").headers
    assert headers["content-type"].startswith("application/yaml")
    assert headers["content-disposition"] == 'attachment; filename="flights-v2.yaml"'
    assert headers["x-content-type-options"] == "nosniff"


def test_comparing_leads_to_an_address_of_its_own(visit: Open, life: Life) -> None:
    life.save()
    life.save(make_spec(rows=2))
    vic = visit("vic")
    answer = vic.get("/pipelines/flights/compare?before=1&after=2")
    assert answer.headers["location"] == "/pipelines/flights/compare/1/2"
    assert "1 node changed" in vic.page("/pipelines/flights/compare/1/2")
    assert "versions are identical" in vic.page("/pipelines/flights/compare/2/2")
    assert vic.get("/pipelines/flights/compare?before=x&after=2").status_code == 422


def test_an_old_version_is_used_again_and_cloned_under_another_name(visit: Open, life: Life) -> None:
    life.save()
    life.save(make_spec(rows=2))
    ada = visit("ada")
    life.clock.advance(hours=1)
    answer = ada.post("/pipelines/flights/versions/1/clone")
    assert answer.headers["location"] == "/pipelines/flights/versions/1"
    assert "has the same content" in ada.page("/pipelines/flights/versions/1")
    assert "is already written by pipeline flights" in ada.said(
        "/pipelines/flights/versions/1/clone", to="copy", key="another-key"
    )
    assert "is refused" in ada.page("/pipelines/flights/versions/1/clone")
    assert ada.said("/pipelines/flights/versions/1/clone", to=SCRIPT, key="a-third-key")
    assert visit("vic").post("/pipelines/flights/versions/1/clone").status_code == 403


def test_l16_deleting_shows_the_consequences_and_wants_the_name(visit: Open, life: Life) -> None:
    version = life.save()
    life.to_qa(version)
    life.run(version, QA)
    asked = life.ask(version, UAT)
    lea = visit("lea")
    page = lea.page("/pipelines/flights/delete")
    assert "v1 to UAT</a> is withdrawn" in page
    assert "flights.daily" in page
    assert "stays reserved" in page
    assert "type the name flights" in lea.said("/pipelines/flights/delete", typed="fligths")
    assert lea.post("/pipelines/flights/delete", typed="flights").headers["location"] == "/pipelines"
    assert life.promotion(asked.id).state is State.WITHDRAWN
    assert lea.get("/pipelines/flights").status_code == 404
    assert (
        "was deleted and its name stays reserved"
        in send(visit("ada"), "/pipelines/import", dump_yaml(make_spec()).encode()).text
    )


def test_l16_what_runs_in_uat_or_production_cannot_be_deleted_and_the_page_says_why(visit: Open, life: Life) -> None:
    version = life.save()
    life.to_uat(version)
    lea = visit("lea")
    page = lea.page("/pipelines/flights/delete")
    assert "missing: </span>flights is active in UAT; demote or retire it there first" in page
    assert "fulfilled: </span>flights is not active in production" in page
    assert 'type="submit"' not in page.split("Confirm")[-1]
    assert "is active in UAT" in lea.said("/pipelines/flights/delete", typed="flights")
    assert visit("ada").get("/pipelines/flights/delete").status_code == 403
