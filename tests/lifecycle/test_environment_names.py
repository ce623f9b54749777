"""What people call the environments, and what is stored."""

from __future__ import annotations

from lifecycle.domain.environment import Environment


def test_sentences_say_qa_and_uat_in_capitals_and_values_stay() -> None:
    assert [one.label for one in Environment] == ["development", "QA", "UAT", "production"]
    assert [one.value for one in Environment] == ["development", "qa", "uat", "production"]
