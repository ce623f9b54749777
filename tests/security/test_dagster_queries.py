"""Finding 21: what takes long to validate ends at Dagster's door, before anything validates it."""

from __future__ import annotations

import pytest

from drls_dagster.up.web.operations import MAX_FRAGMENTS, MAX_SAME, Unreadable, read_documents


def nested(depth: int) -> str:
    """Two of the same in each of two of the same, and so on: 2 ** depth fields that are merged."""
    return "version" if depth == 0 else f"a: x {{ {nested(depth - 1)} }} a: x {{ {nested(depth - 1)} }}"


COSTLY = {
    "one field often": "{" + " a: permissions { value }" * 3_000 + "}",
    "without fields of its own": "{" + " version" * 5_000 + "}",
    "each in two of its kind": f"{{ {nested(10)} }}",
    "in inline fragments": "{" + " ... on Query { permissions { value } }" * 1_000 + "}",
    "in a product": "{" + (" a: permissions {" + " value" * 60 + " }") * 60 + "}",
    "through fragments": "{"
    + "".join(f" ...f{one}" for one in range(1_000))
    + "}"
    + "".join(f" fragment f{one} on Query {{ version }}" for one in range(1_000)),
    "many fields in some fragments": "{ version }"
    + "".join(f" fragment f{one} on Query {{ {'version ' * 30} }}" for one in range(100)),
    "in a mutation": "mutation {" + " a: reloadWorkspace { __typename }" * 1_000 + "}",
}


@pytest.mark.parametrize("query", COSTLY.values(), ids=COSTLY)
def test_a_query_that_repeats_itself_is_refused_before_it_is_validated(query: str) -> None:
    """A Viewer could keep a processor busy for seconds with 20 kB. Fails without `_check_cost`."""
    with pytest.raises(Unreadable, match="more than"):
        read_documents([query])


def test_what_programs_ask_for_is_far_from_the_limit() -> None:
    fields = " id name status { __typename }"
    fragments = "".join(f" fragment f{one} on Run {{{fields} }}" for one in range(MAX_FRAGMENTS - 50))
    spread = "".join(f" ...f{one}" for one in range(MAX_FRAGMENTS - 50))
    many = "".join(
        f' r{one}: runOrError(runId: "{one}") {{ ... on Run {{{spread if one == 0 else fields} }} }}'
        for one in range(500)
    )
    assert read_documents([f"query Q {{{many} }}{fragments}"]).kinds
    assert read_documents(["{" + " version" * MAX_SAME + "}"]).kinds
