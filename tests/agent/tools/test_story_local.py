"""The whole story without an engine: find, check, save, plan, ask, and no way to approve."""

from __future__ import annotations

import pytest

from agent.tools.errors import ToolError
from lifecycle.spec import dump_yaml
from tests.agent.tools.conftest import Asked, Hands
from tests.lifecycle.life import QA, make_spec


def test_from_a_search_to_a_request_that_people_decide(hands: Hands) -> None:
    assert hands("search", text="flights")["found"] == []
    text = dump_yaml(make_spec(owners=["ada@example.org"], description="Delays per day"))
    wrong = hands("validate", definition=text.replace("mode: overwrite", "mode: overwrit", 1))
    assert wrong["problems"][0]["instead"] == "did you mean 'overwrite'?"
    assert hands("validate", definition=text)["valid"]
    saved = hands("save_version", definition=text, message="first")
    assert "flights.daily" in [one["name"] for one in hands("search", text="flights", kind="table")["found"]]
    client = Asked(True)
    hands("request_promotion", pipeline="flights", version=1, to="qa", reason="try", dry_run=False, client=client)
    assert hands("plan_promotion", pipeline="flights", version=1, to="uat")["missing"]
    life = hands.world.life
    with life.store.read() as view:
        version = view.pipelines.numbered(view.pipelines.named("flights"), saved["version"])
    life.run(version, QA)
    assert hands("plan_promotion", pipeline="flights", version=1, to="uat")["possible"]
    asked = {"pipeline": "flights", "version": 1, "to": "uat", "reason": "season"}
    made = hands("request_promotion", **asked, dry_run=False, client=client)
    hands("comment", request=made["request"], text="ready")
    for name in ("approve", "execute", "review", "reject", "break_glass"):
        with pytest.raises(ToolError, match=f"no tool {name} here"):
            hands(name, by="lea", request=made["request"])
    shown = hands("get_request", id=made["request"])
    assert (shown["state"], shown["quorum"]) == ("requested", ["0 of 1 LeadDataEngineer"])
    assert "requested v1 for UAT" in [one["what"] for one in hands("history", pipeline="flights")["events"]]
