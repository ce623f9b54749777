"""What runs and the platform tell each other of tables: a table's state, and the errors that a run counts on."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Literal, ParamSpec, Protocol, TypeVar

from lifecycle.domain.model import Frozen, SnapshotId
from lifecycle.domain.run import Work

if TYPE_CHECKING:
    from collections.abc import Mapping

P = ParamSpec("P")
T = TypeVar("T")
Name = tuple[str, ...]


class TableState(Frozen):
    """Where a table's metadata is kept; and the metadata as JSON, where that is not a file of this machine."""

    metadata_location: str
    metadata: str | None = None


class FileContent(Frozen):
    """A file, in base64."""

    content: str


class Raised(Frozen):
    """An error that is part of the answer: the run decides what it means."""

    raised: Literal[
        "NoSuchTableError",
        "NoSuchNamespaceError",
        "TableAlreadyExistsError",
        "CommitFailedException",
        "FileNotFoundError",
    ]
    message: str

    def error(self) -> Exception:
        """The error itself."""
        return _errors()[self.raised](self.message)


class Candidate(Frozen):
    """What a sink wants to publish: `snapshot`, the head of its `branch`, in place of `base` (None: there was none).

    `table` is as the spec names it. `rebuilt_as` is the table's schema where the rows were written for a rebuild.
    """

    step: str
    partition: str
    table: str
    branch: str
    base: SnapshotId | None
    snapshot: SnapshotId
    rebuilt_as: int | None
    work: Work


class Tables(Protocol):
    """What a run asks of tables. Schemas, partition specs, sort orders and commits are PyIceberg's models as JSON."""

    def load_table(self, table: Name) -> TableState | Raised: ...

    def create_namespace(self, namespace: Name) -> Raised | None: ...

    def create_table(
        self, table: Name, columns: str, partition_spec: str, sort_order: str, properties: Mapping[str, str]
    ) -> TableState | Raised: ...

    def commit_table(self, commit: str) -> TableState | Raised: ...

    def read_metadata(self, table: Name, location: str) -> FileContent | Raised: ...


def answering(act: Callable[P, T]) -> Callable[P, T | Raised]:
    """Makes the errors that a run counts on part of the answer."""

    @wraps(act)
    def answered(*args: P.args, **kwargs: P.kwargs) -> T | Raised:
        try:
            return act(*args, **kwargs)
        except expected() as error:
            name = next(name for name, kind in _errors().items() if isinstance(error, kind))
            return Raised.model_validate({"raised": name, "message": str(error)})

    return answered


def said(answer: T | Raised) -> T:
    """The answer. Raises the error that it carries."""
    if isinstance(answer, Raised):
        raise answer.error()
    return answer


def expected() -> tuple[type[Exception], ...]:
    """The errors that a run counts on."""
    return tuple(_errors().values())


def _errors() -> dict[str, type[Exception]]:
    from pyiceberg import exceptions

    return {
        "NoSuchTableError": exceptions.NoSuchTableError,
        "NoSuchNamespaceError": exceptions.NoSuchNamespaceError,
        "TableAlreadyExistsError": exceptions.TableAlreadyExistsError,
        "CommitFailedException": exceptions.CommitFailedException,
        "FileNotFoundError": FileNotFoundError,
    }
