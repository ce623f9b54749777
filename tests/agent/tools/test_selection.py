"""Dagster's asset selection syntax, over a small graph; Dagster's own parser says the same."""

from __future__ import annotations

import dagster as dg
import pytest

from agent.tools.errors import ToolError
from agent.tools.selection import Asset, Graph, select, select_nodes

_READS = {"raw": (), "clean": ("raw",), "daily": ("clean",), "late": ("clean",), "report": ("daily", "late")}
_TAGS = {"daily": {"tier": "gold", "hot": ""}, "late": {"tier": "silver"}}
_GROUPS = {"report": "boards"}


def _asset(name: str) -> Asset:
    return Asset(
        key=(name,),
        pipeline=_GROUPS.get(name, "flights"),
        node=name,
        reads=frozenset((one,) for one in _READS[name]),
        kinds=frozenset({"table"} if name in ("daily", "late") else {"view"}),
        tags=_TAGS.get(name, {}),
        owners=frozenset({"ada@example.com"} if name == "late" else ()),
        runs=name != "raw",
        partitioned=False,
    )


GRAPH = Graph({(name,): _asset(name) for name in _READS})


def _dagsters() -> list[dg.AssetSpec | dg.AssetsDefinition]:
    def made(one: Asset) -> dg.AssetSpec | dg.AssetsDefinition:
        spec = dg.AssetSpec(
            one.node,
            deps=[key[0] for key in one.reads],
            group_name=one.pipeline,
            kinds=set(one.kinds),
            tags=dict(one.tags),
            owners=list(one.owners),
        )
        if not one.runs:
            return spec

        @dg.multi_asset(specs=[spec], name=one.node)
        def compute() -> None:
            pass

        return compute

    return [made(one) for one in GRAPH.assets.values()]


@pytest.mark.filterwarnings("ignore::dagster.BetaWarning")
@pytest.mark.parametrize(
    "text",
    [
        'key:"daily"',
        "key:da*",
        'key:"clean"+',
        '+key:"daily"',
        '1+key:"report"',
        'key:"raw"+1',
        '+key:"clean"+',
        "*",
        "tag:tier",
        "tag:tier=gold",
        'tag:"tier"="silver"',
        "kind:table and not tag:tier=gold",
        "kind:table or group:boards",
        "not kind:view",
        'not (key:"raw" or key:"clean")',
        'owner:"ada@example.com"',
        'sinks(group:"flights")',
        "roots(*)",
        'key:"raw"+ and kind:table or key:"report"',
        "kind:table and tag:hot",
    ],
)
def test_a_selection_means_what_dagster_makes_of_it(text: str) -> None:
    graph = dg.Definitions(assets=_dagsters()).resolve_asset_graph()
    wanted = dg.AssetSelection.from_string(text, include_sources=True).resolve(graph)
    # Dagster leaves sources out of what is above.
    runs = {dg.AssetKey(list(key)) for key, one in GRAPH.assets.items() if one.runs}
    assert {dg.AssetKey(list(key)) for key in select(text, GRAPH)} & runs == wanted & runs


@pytest.mark.parametrize(
    "text", ["", "daily daily", "key:", "key", "(key:a", "colour:red", 'key:"a', "and", "not", "key:a)", "(" * 60]
)
def test_what_is_no_selection_is_refused_in_a_line(text: str) -> None:
    with pytest.raises(ToolError, match="selection") as told:
        select(text, GRAPH)
    assert len(told.value.message) < 500
    assert "\n" not in told.value.message


def test_steps_are_chosen_by_their_names() -> None:
    def chosen(text: str) -> set[str]:
        return {key[0] for key in select_nodes(text, GRAPH)}

    assert chosen("daily, late") == {"daily", "late"}
    assert chosen("+daily") == {"clean", "daily"}
    assert chosen("clean+") == {"clean", "daily", "late", "report"}
    with pytest.raises(ToolError, match="there is no step raw; the steps are: clean, daily, late, report"):
        select_nodes("raw", GRAPH)
