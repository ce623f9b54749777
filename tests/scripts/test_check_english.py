"""The phrases that `make check` refuses in documentation and in text that people see."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
SCRIPT = CHECKOUT / "scripts" / "check_english.py"
CHECK = f"""
import sys
sys.path.insert(0, {str(SCRIPT.parent)!r})
import check_english
check_english.ROOTS, check_english.SHOWN = ("*.*", "Makefile"), ("shown",)
sys.exit(check_english.main())
"""


def check(folder: Path, name: str, text: str) -> subprocess.CompletedProcess[str]:
    (folder / name).write_text(text)
    return subprocess.run([sys.executable, "-c", CHECK], cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.md", "It works.\nThe run starts by\nitself.\n", "a.md:2: 'by itself': say 'automatically'"),
        ("a.md", "It is shown, too.\n", "a.md:1: ', too': say 'also, before the verb'"),
        ("a.md", "First.\n\nWhat is over waits for nobody.\n", "a.md:3: 'What is over waits for nobody.'"),
        ("a.md", "It ends. Whoever asks gets it.\n", "a.md:1: 'Whoever asks gets it.'"),
        ("a.md", "## What is over waits\n", "a.md:1: '## What is over waits'"),
        ("a.py", 'raise ValueError(\n    f"{name}: such a table is none"\n)\n', "a.py:2: 'is none'"),
        ("a.py", 'def f():\n    """Line.\n\n    It goes on.\n    """\n', "a.py:4: 'goes on'"),
        ("a.py", "x = 1  # the reason stands below\n", "a.py:1: 'stands'"),
        ("a.html", "<p>\nSomebody\nwas told</p>\n", "a.html:3: 'told'"),
        ("a.html", '<a title="It goes on">x</a>\n', "a.html:1: 'goes on'"),
        ("a.html", '{{ note("Executes by itself") }}\n', "a.html:1: 'by itself'"),
        ("a.js", "say(`${name} is taken away`)\n", "a.js:1: 'taken away'"),
        ("a.sh", "x=1\n# It goes on.\n", "a.sh:2: 'goes on'"),
        ("Makefile", "up: ## Start, and go on\n", "Makefile:1: 'go on'"),
    ],
)
def test_a_phrase_is_named_with_its_place_and_what_to_say(tmp_path: Path, name: str, text: str, said: str) -> None:
    result = check(tmp_path, name, text)
    assert said in result.stdout
    assert result.returncode == 1


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "a.md",
            "```sh\nit goes on\n```\nRun `goes on`, see [the page](goes on.md). What is it? Unless told otherwise.\n",
        ),
        ("a.md", "# What a run promises\n\n- It stands for a name, too many times.\n"),
        ("a.py", 'told = {"stands": told}\nif told is None:\n    goes = on\n'),
        ("a.html", '<div class="told stale">{% if one is none %}{{ told("bad", text) }}{% endif %}</div>\n'),
        ("a.js", 'const told = document.getElementById("told");\n'),
        ("vendor.css", "a { content: 'goes on' }\n"),
        ("a.sh", "goes on; stands\n"),
    ],
)
def test_code_names_and_questions_are_left_alone(tmp_path: Path, name: str, text: str) -> None:
    result = check(tmp_path, name, text)
    assert (result.returncode, result.stdout) == (0, "English: 0 phrases to change, 0 allowed\n")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('"""It goes on."""\nx = "all is well"  # it stands\n"""It goes on."""\n', None),
        ('raise Refused("it stands in the way")\n', 1),
        ('@command()\ndef go():\n    """It goes on."""\n', 3),
        ('@option("--x", help="What is new in it.")\ndef go():\n    pass\n', 1),
    ],
)
def test_of_some_folders_only_text_that_people_see_counts(tmp_path: Path, text: str, line: int | None) -> None:
    (tmp_path / "shown").mkdir()
    result = check(tmp_path, "shown/a.py", text)
    assert result.returncode == (line is not None)
    assert result.stdout.startswith(f"shown/a.py:{line}: " if line else "English: 0 phrases")


def test_an_allowed_phrase_is_counted(tmp_path: Path) -> None:
    result = check(tmp_path, "a.md", "The tower stands. <!-- english: ok, it is a tower -->\n")
    assert (result.returncode, result.stdout) == (0, "English: 0 phrases to change, 1 allowed\n")
