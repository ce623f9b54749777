"""The `custom` step: a command that works on files."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from lifecycle.spec.base import CodePath, Frozen, NodeId, ScalarText, Seconds
from lifecycle.spec.columns import Schema
from lifecycle.spec.errors import FieldError, shorten
from lifecycle.spec.kind import Step

# Programs that run what they are given; what that is lies with the version, or is text in the command itself.
INTERPRETERS = frozenset({
    "python", "python3", "bash", "sh", "dash", "zsh", "perl", "ruby", "node", "Rscript", "julia",
})  # fmt: skip
_INLINE = re.compile(r"-[a-z]*[ce]\Z")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
# DRLS and Dagster say these, and the loader would act on them before the command is there.
_OWN = re.compile(r"(DRLS|DAGSTER|LD)_|(PATH|HOME|TMPDIR|PYTHONPATH|IFS|ENV|BASH_ENV)\Z")


Argument = Annotated[ScalarText, Field(max_length=100_000)]


class CommandResources(Frozen):
    """What a command may take: memory of all its processes together, and time."""

    memory: Annotated[str, Field(pattern=r"^[1-9][0-9]{0,5}[mg]$")] = "2g"
    timeout: Seconds = 3600.0

    @model_validator(mode="after")
    def _some_time(self) -> CommandResources:
        if self.timeout <= 0:
            raise FieldError("a timeout of 0 leaves the command no time", "write 10s or more")
        return self

    @property
    def memory_bytes(self) -> int:
        return int(self.memory[:-1]) * (2**30 if self.memory.endswith("g") else 2**20)


class CustomTransform(Step):
    """A command that gets its inputs as Parquet files and leaves Parquet files, or an image (Dagster Pipes).

    `files` are files and folders next to the pipeline file that are kept with the version, besides those that the
    command names and the Python modules that they import. Without `output_schema` nothing can follow the step.
    `checks` are the names of the checks that the command reports.
    """

    called: ClassVar[str] = "the command"
    infers: ClassVar[bool] = False  # whether it gives rows whose columns the step does not declare
    id: NodeId
    type: Literal["transform"] = "transform"
    step: Literal["custom"] = "custom"
    command: tuple[Argument, ...] = ()
    image: Annotated[str, Field(pattern=r"^[a-z0-9][A-Za-z0-9._:/@-]*$", max_length=512)] | None = None
    files: tuple[CodePath, ...] = ()
    env: dict[str, Argument] = Field(default_factory=dict)
    output_schema: Schema | None = None
    checks: tuple[NodeId, ...] = ()
    resources: CommandResources | None = None

    @model_validator(mode="after")
    def _something_to_run(self) -> CustomTransform:
        if not self.command and self.image is None:
            raise FieldError("a custom transform has nothing to run", "set command, image or both")
        if self.command and not self.command[0].strip():
            raise FieldError("the command begins with empty text", "begin with a program: [python, score.py]")
        for name in self.env:
            if not _NAME.match(name):
                raise FieldError(f"'{shorten(name)}' is no name for a variable", "use letters, digits and _")
            if _OWN.match(name):
                raise FieldError(f"the variable {name} is set by DRLS or by the system", "use another name")
        if len(set(self.checks)) < len(self.checks):
            raise FieldError("a check is named twice", "remove one of them")
        return self

    @property
    def label(self) -> str:
        return "custom command"

    @property
    def subject(self) -> str:
        return self.image or " ".join(self.command)

    @property
    def image_digest(self) -> str | None:
        """`sha256:…` if the image is named by its digest, which UAT and production demand (L2)."""
        _, at, digest = (self.image or "").partition("@")
        return digest if at else None

    @property
    def limits(self) -> CommandResources:
        return self.resources or CommandResources()

    def is_kept(self, files: Mapping[str, str]) -> bool:
        """Whether a version says all that the step runs: an image by digest, or a program among its own `files`,
        or an interpreter of one of them or of text in the command (L2).
        """
        if self.image is not None:
            return bool(self.image_digest and self.image_digest.startswith("sha256:"))
        program = self.command[0]
        if plain_path(program) in files:
            return True
        if program.rpartition("/")[2] not in INTERPRETERS:
            return False
        return bool(files) or any(_INLINE.match(option) for option in self.command[1:-1])

    def named_files(self) -> Iterator[str]:
        """The arguments that may be files next to the pipeline file, as paths."""
        yield from dict.fromkeys(path for one in self.command if (path := plain_path(one)))

    @property
    def script(self) -> str | None:
        """The file that an interpreter is given, or that the command is; None for a program of the machine."""
        program = self.command[0] if self.command else ""
        if "/" in program and not program.startswith("/"):
            return plain_path(program) or program
        if program.rpartition("/")[2] in INTERPRETERS and len(self.command) > 1:
            first = self.command[1]
            return None if first.startswith("-") else plain_path(first)
        return None

    @property
    def module(self) -> str | None:
        """The module that `python -m` runs."""
        program = self.command[0].rpartition("/")[2] if self.command else ""
        if program in {"python", "python3"} and self.command[1:2] == ("-m",) and len(self.command) > 2:
            return self.command[2]
        return None


def plain_path(argument: str) -> str:
    """The argument as a path below the step's folder; empty where it cannot be one."""
    path = argument.removeprefix("./")
    if not path or len(path) > 500 or path.startswith(("/", "-")) or path != path.strip():
        return ""
    parts = path.split("/")
    return "" if any(not part or part.startswith(".") for part in parts) else path
