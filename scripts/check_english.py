"""Find phrases that read like a translation, in the documentation and in text that the program shows.

One line a finding: file, line, the phrase, what to say instead. Where a phrase is right, put `english: ok` and the
reason into a comment on that line; the last line of the output counts these.
"""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import shorten
from typing import NamedTuple

# Folders and files that are checked; add a folder of code when its text is clean.
ROOTS = (
    "*.md",
    "docs",
    ".github",
    "Makefile",
    "pyproject.toml",
    "scripts",
    "examples",
    "benchmarks",
    "agent",
    "drls_dagster/*.py",
    "drls_dagster/assets",
    "drls_dagster/cli",
    "drls_dagster/dagster_private",
    "drls_dagster/demo",
    "drls_dagster/engine",
    "drls_dagster/gate",
    "drls_dagster/lakehouse",
    "drls_dagster/launch",
    "drls_dagster/ledger",
    "drls_dagster/lifecycle_client",
    "drls_dagster/locations",
    "drls_dagster/orchestrator",
    "drls_dagster/resources",
    "drls_dagster/sensors",
    "drls_dagster/serving",
    "drls_dagster/steps",
    "drls_dagster/up",
    "lifecycle/*.py",
    "lifecycle/app",
    "lifecycle/audit",
    "lifecycle/bundle",
    "lifecycle/domain",
    "lifecycle/spec",
    "lifecycle/store",
    "lifecycle/usecases",
    "lifecycle/verbs",
)
# Of all code, at least what the program shows: messages, help texts, the docstrings of commands and routes.
SHOWN = ("lifecycle", "drls_dagster", "agent")
ALLOW = "english: ok"
ELSEWHERE = {"vendor", "reference"}  # of others, and made from code that is checked itself


class Tic(NamedTuple):
    pattern: re.Pattern[str]
    instead: str
    sentences: bool = False  # only in whole sentences, so not in docstrings


def tic(pattern: str, instead: str, *, flags: re.RegexFlag = re.IGNORECASE, sentences: bool = False) -> Tic:
    return Tic(re.compile(pattern.replace(" ", r"\s+"), flags), instead, sentences)


TICS = (
    tic(r"\bis none\b", "there is no …, … does not exist", flags=re.NOFLAG),
    tic(r"\bbeside\b", "besides, next to"),
    tic(r"\btold\b(?! otherwise)|\btells? of\b", "shown, reported, notified"),
    tic(r"\bby (?:itself|themselves)\b", "automatically"),
    tic(r"\bstands?\b(?! for| out| in for)", "is"),
    tic(r"\b(?:tak(?:es?|ing|en)|took) (?:\S+ ){0,2}away\b", "remove"),
    tic(r"\bmend(?:s|ed|ing)?\b", "fix"),
    tic(r"\b(?:go|goes|going|went) on\b", "continue"),
    tic(r"\bcarr(?:y|ies|ied|ying) on\b", "resume, continue"),
    tic(r"\bafterwards\b|\bbeforehand\b", "later, then, after …; first, before …"),
    tic(r", too(?=\s*[.,;:!)]|$)", "also, before the verb", flags=re.MULTILINE),
    tic(r"\b(?:in|out)side of\b", "inside, outside"),
    tic(r"\b(?:is|are|was|were) said\b|\bput (?:in|into) words\b", "is shown, is reported, is explained"),
    tic(r"\bwithout a word\b", "silently"),
    tic(r"\bone's\b(?! own two)", "your, their"),
    tic(r"\bany more\b", "no longer"),
    tic(r"\bof before\b", "previous"),
    tic(r"\bat home\b", "locally"),
    tic(r"\bdouble keys?\b", "duplicate keys"),
    tic(r"\bgrowing distances\b", "increasing intervals"),
    tic(r"\banswers? for\b", "explain"),
    tic(r"\bNot like this\b|\bNot now\b", "Method not allowed; Conflict", flags=re.NOFLAG),
    tic(
        r"(?:^|[.!?]\s)(?:[-*]\s)?(?:What|Who|Whoever|Whatever)\s[^.?!:|]+[.!](?=\s|$)",
        "Anyone who …, The rows that …: the person or thing as the subject",
        flags=re.MULTILINE,
        sentences=True,
    ),
    tic(
        r"^#+\s(?:What|Who|Whoever)\s(?:[a-z]+\s)*(?:is|are|was|waits)\s[^?\n]+$",
        "a noun or a verb as the heading",
        flags=re.MULTILINE,
        sentences=True,
    ),
)


class Text(NamedTuple):
    """Words that people read, and the line they begin at; `shown`: by the program."""

    line: int
    words: str
    sentences: bool = True
    shown: bool = True


def blank(text: str, pattern: str) -> str:
    """`text` without what matches, at unchanged lines."""
    return re.sub(pattern, lambda match: re.sub(r"[^\n]", "·", match.group()), text, flags=re.DOTALL | re.MULTILINE)


def of_markdown(source: str) -> Iterator[Text]:
    """The prose: no code blocks, code or targets of links."""
    yield Text(1, blank(source, r"^ *```.*?^ *```|`[^`\n]+`|(?<=\])\([^)\n]*\)|<!--.*?-->"))


def of_python(source: str) -> Iterator[Text]:
    """Strings of more than one word, parts of f-strings, docstrings and comments.

    The docstring of a function that is decorated by a call, such as a command or a route, is shown.
    """
    tree = ast.parse(source)
    shown = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and isinstance(node.body[0], ast.Expr)
        and any(isinstance(one, ast.Call) for one in node.decorator_list)
    }
    docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value.strip():
            is_doc = id(node) in docs
            yield Text(node.lineno, node.value, not is_doc, not is_doc or id(node) in shown)
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield Text(token.start[0], token.string, sentences=False, shown=False)


def quoted(source: str) -> Iterator[Text]:
    """Strings of more than one word, between any of the three quotes."""
    for match in re.finditer(r"(?<![=\w])([\"'`])((?:(?!\1)[^\\\n]|\\.)* (?:(?!\1)[^\\\n]|\\.)*)\1", source):
        yield Text(source.count("\n", 0, match.start()) + 1, match.group(2))


def of_template(source: str) -> Iterator[Text]:
    """Text between tags, the attributes that people read, and strings in expressions."""
    readable = r"(?:title|aria-label|placeholder|alt|data-says|data-confirm)=\"([^\"]*)\""
    expressions = r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}"
    plain = blank(source, expressions)
    for match in re.finditer(readable, plain):
        yield Text(plain.count("\n", 0, match.start()) + 1, match.group(1))
    yield Text(1, blank(plain, r"<script.*?</script>|<style.*?</style>|<[^>]*>"))
    for match in re.finditer(r"\{%.*?%\}|\{\{.*?\}\}", source, re.DOTALL):
        first = source.count("\n", 0, match.start())
        yield from (Text(first + text.line, text.words) for text in quoted(match.group()))


def of_comments(source: str) -> Iterator[Text]:
    """Comments and help of shell scripts, YAML, TOML and the Makefile."""
    for number, line in enumerate(source.splitlines(), start=1):
        comment = re.search(r"(?:^|\s)#+ (.*)", line)
        if comment:
            yield Text(number, comment.group(1))


READERS: dict[str, Callable[[str], Iterator[Text]]] = {
    ".md": of_markdown, ".py": of_python, ".html": of_template, ".js": quoted, ".txt": of_template,
    ".sh": of_comments, ".yaml": of_comments, ".yml": of_comments, ".toml": of_comments, "": of_comments,
}  # fmt: skip


def files(roots: tuple[str, ...]) -> Iterator[Path]:
    """Every file of the roots that a reader knows, in order."""
    for root in roots:
        for path in sorted(Path().glob(root)):
            inside = [path] if path.is_file() else sorted(path.rglob("*"))
            known = (one for one in inside if one.is_file() and one.suffix in READERS)
            yield from (one for one in known if not ELSEWHERE & {*one.parts})


def findings(path: Path, *, shown: bool = False) -> Iterator[tuple[int, str, str, bool]]:
    """Line, phrase, what to say instead and whether the line allows it; `shown`: only in what the program shows."""
    source = path.read_text()
    lines = source.splitlines()
    for text in READERS[path.suffix](source):
        if shown and not text.shown:
            continue
        for one in TICS:
            if one.sentences and not text.sentences:
                continue
            for match in one.pattern.finditer(text.words):
                phrase = match.group().lstrip(".!?-* \n")
                line = text.line + text.words.count("\n", 0, match.end() - len(phrase))
                phrase = shorten(phrase, 60, placeholder=" …")
                yield line, phrase, one.instead, ALLOW in lines[min(line, len(lines)) - 1]


def main() -> int:
    found = {(path, *finding) for path in files(ROOTS) for finding in findings(path)}
    found |= {(path, *finding) for path in files(SHOWN) for finding in findings(path, shown=True)}
    bad = sorted(one for one in found if not one[-1])
    for path, line, phrase, instead, _ in bad:
        print(f"{path}:{line}: {phrase!r}: say {instead!r}")
    print(f"English: {len(bad)} phrases to change, {len(found) - len(bad)} allowed")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
