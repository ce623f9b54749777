"""Where the nodes of a graph are drawn."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lifecycle.app.kit.spec.graph_layout import GAP_Y, HEIGHT, WIDTH, layered

NAMES = [f"n{number}" for number in range(12)]
EDGES = st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES)), max_size=40)


@given(EDGES)
def test_no_two_nodes_touch_and_every_edge_has_its_way(edges: list[tuple[str, str]]) -> None:
    """Also with edges to itself, cycles and the same edge twice, as two versions drawn together can have."""
    drawn = layered(NAMES, edges)
    boxes = list(drawn.boxes.values())
    assert set(drawn.boxes) == set(NAMES)
    for number, one in enumerate(boxes):
        assert one.x >= 0
        assert one.y >= 0
        assert one.x + WIDTH <= drawn.width
        assert one.y + HEIGHT <= drawn.height
        for other in boxes[number + 1 :]:
            assert one.x != other.x or abs(one.y - other.y) >= HEIGHT + GAP_Y - 1
    assert set(drawn.routes) == {edge for edge in edges if edge[0] != edge[1]}
    for (start, end), points in drawn.routes.items():
        left, right = (start, end) if points[0][0] < points[-1][0] else (end, start)
        first, last = min(points), max(points)
        assert first == (drawn.boxes[left].x + WIDTH, drawn.boxes[left].y + HEIGHT // 2)
        assert last == (drawn.boxes[right].x, drawn.boxes[right].y + HEIGHT // 2)


def test_data_flows_to_the_right_and_a_late_source_stands_beside_its_reader() -> None:
    drawn = layered(["a", "b", "c", "late"], [("a", "b"), ("b", "c"), ("late", "c")])
    x = {name: box.x for name, box in drawn.boxes.items()}
    assert x["a"] < x["b"] < x["c"]
    assert x["late"] == x["b"]


def test_crossings_are_undone() -> None:
    """Two chains whose nodes are named in crossed order come out side by side."""
    drawn = layered(["a", "b", "d", "c"], [("a", "c"), ("b", "d")])
    assert (drawn.boxes["a"].y < drawn.boxes["b"].y) == (drawn.boxes["c"].y < drawn.boxes["d"].y)


def test_a_chain_is_a_straight_line_and_a_long_edge_goes_round_it() -> None:
    drawn = layered(["a", "b", "c"], [("a", "b"), ("b", "c")])
    assert len({box.y for box in drawn.boxes.values()}) == 1
    round_it = layered(["a", "b", "c"], [("a", "b"), ("b", "c"), ("a", "c")])
    passing = [y for x, y in round_it.routes["a", "c"] if x == round_it.boxes["b"].x]
    assert passing
    assert not round_it.boxes["b"].y <= passing[0] <= round_it.boxes["b"].y + HEIGHT


def test_nothing_is_drawn_of_nothing() -> None:
    assert layered([], []).boxes == {}
