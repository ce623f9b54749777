"""What went wrong in a Python function of a pipeline that Spark called: what in words, and what to do."""

from __future__ import annotations

import re

Words = tuple[str, str]

CORRECT = "correct the function, or the values that it gets"
_LONGEST = 500
_IN_PYTHON = "exception was thrown from the Python worker"
_TRACE = re.compile(
    r"Traceback \(most recent call last\):\n(.*?)(?=\n\s*(?:SQLSTATE|JVM stacktrace|at \w+\.)|\Z)", re.DOTALL
)
_SETTING = re.compile(r"\s*[^.]*\bspark\.\w+\..*", re.DOTALL)
_FRAME = re.compile(r'^\s*(?:\| *)?File "', re.MULTILINE)
_OURS = re.compile(r'File "<pipeline>", line (\d+), in ([\w<>]+)')
_STATE = re.compile(r"\s*SQLSTATE: [0-9A-Z]{5}.*", re.DOTALL)
_GROUP = re.compile(r"^\s*\| ?", re.MULTILINE)
# Of PySpark's own errors about the function: by condition a pattern of the text, what it says, and what to do.
_SCHEMA = "return what the schema of the call says, or correct the schema"
_SPARK: dict[str, tuple[str, str, str]] = {
    "RESULT_COLUMN_NAMES_MISMATCH": (
        r"schema\.\s*(?:Missing: (?P<missing>.*?)\.)?\s*(?:Unexpected: (?P<extra>.*?)\.)?\s*$",
        "returns other columns than the schema of the call has",
        _SCHEMA,
    ),
    "RESULT_COLUMN_SCHEMA_MISMATCH": (
        r"Expected: (?P<wanted>\d+) Actual: (?P<given>\d+)",
        "returns {given} columns where the schema of the call has {wanted}",
        _SCHEMA,
    ),
    "RESULT_COLUMN_TYPES_MISMATCH": (
        r"Mismatch: column '(?P<column>.*?)' \(expected (?P<wanted>.*?), actual (?P<given>.*?)\)",
        "returns column '{column}' as {given}, which the schema of the call has as {wanted}",
        _SCHEMA,
    ),
    "RESULT_ROWS_MISMATCH": (
        r"output rows \((?P<given>\d+)\) must match the number of input rows \((?P<wanted>\d+)\)",
        "returns {given} rows for {wanted}",
        "return one for each row that it gets, in their order",
    ),
    "SCHEMA_MISMATCH_FOR_PANDAS_UDF": (
        r"expected (?P<wanted>\d+), got (?P<given>\d+)",
        "returns {given} values for {wanted} rows",
        "return one for each row that it gets, in their order",
    ),
    "UDF_RETURN_TYPE": (
        r"should be (?P<wanted>.*), but is (?P<given>.*?)\.?$",
        "returns {given}, not {wanted}",
        "return what this kind of function has to",
    ),
    "STOP_ITERATION_OCCURRED": (r"", "raised StopIteration", "end a generator with return"),
    "CONTEXT_ONLY_VALID_ON_DRIVER": (
        r"",
        "uses the Spark session",
        "use it in transform() only, and give functions plain values",
    ),
    "NO_ACTIVE_SESSION": (
        r"",
        "uses the Spark session",
        "use it in transform() only, and give functions plain values",
    ),
    "UDTF_EXEC_ERROR": (r"'(?P<method>\w+)' method: (?P<said>.*)", "raised in {method}(): {said}", CORRECT),
    "UDTF_RETURN_SCHEMA_MISMATCH": (
        r"count: (?P<wanted>\d+), Actual column count: (?P<given>\d+)",
        "yields rows of {given} columns where its returnType has {wanted}",
        "yield what returnType says, or correct it",
    ),
    "UDTF_INVALID_OUTPUT_ROW_TYPE": (
        r"but got '(?P<given>.*?)'",
        "yields {given}, not a row",
        "yield tuples, such as (value,) for one column",
    ),
    "UDTF_RETURN_NOT_ITERABLE": (
        r"but got '(?P<given>.*?)'",
        "returns {given}, not rows",
        "yield each row as a tuple",
    ),
}
# PySpark has three sentences for it, without a condition, one of which continues with a setting of Spark.
_NUMBERED = re.compile(r"^_\d+$")  # of a function that returns one column, which has no name
_ARROW = re.compile(
    r"(?:pandas\.Series \([^)]*\)(?: with name '(?P<named>.*?)')? to Arrow Array \((?P<array>.*?)\)"
    r"|value of the column '(?P<column>.*?)' with type '.*?' to (?:Arrow type|the specified return type of the column:)"
    r" '(?P<kind>.*?)')"
)
# What libraries say of values that do not fit, whose texts quote the values.
_UNFIT = re.compile(r"(?:pyarrow\.lib\.)?Arrow(?:Invalid|TypeError|NotImplementedError): ")


def python_words(text: str) -> Words | None:
    """The words for an error of Spark's that a Python function caused; None for other errors."""
    found = _TRACE.search(text) if _IN_PYTHON in text else None
    if found is None:
        return None
    trace = _GROUP.sub("", found[1]) if "Exception Group" in text else found[1]
    raised = _raised(trace)
    if not raised:
        return None
    who = _who(trace)
    kind, _, said = raised.partition(":")
    said = said.strip()
    condition = re.match(r"\[([A-Z_]+)\]\s*", said)
    if kind.startswith("pyspark.") and condition is not None:
        said = _SETTING.sub("", said[condition.end() :])
        words = _of_spark(condition[1], said)
        if words is not None:
            return f"{who} {words[0]}", words[1]
    if unfit := _ARROW.search(said):
        name = _NUMBERED.sub("", unfit["named"] or unfit["column"] or "")
        values = f"column '{name}' with values" if name else "values"
        return f"{who} returns {values} that are not {unfit['array'] or unfit['kind']}", _SCHEMA
    if _UNFIT.match(raised):
        return f"{who} returns values that do not fit the schema of the call", _SCHEMA
    kind = kind.rpartition(".")[2]
    if kind == "MemoryError":
        return f"{who} ran out of memory", "work on smaller batches or groups, or use a machine with more memory"
    told = f"{kind}: {said}" if said else kind
    return f"{who} raised {told[:_LONGEST]}", CORRECT


def _of_spark(condition: str, said: str) -> Words | None:
    known = _SPARK.get(condition)
    if known is None:
        return None
    pattern, what, remedy = known
    match = re.search(pattern, said)
    parts = {name: value or "" for name, value in (match.groupdict() if match else {}).items()}
    try:
        what = what.format_map(parts)
    except KeyError:  # it says it in another way
        return None
    details = [f"{word} {parts[word]}" for word in ("missing", "extra") if parts.get(word)]
    return (f"{what} ({', '.join(details)})" if details else what), remedy


def _raised(trace: str) -> str:
    """The class and the text of what was raised, in one line: what follows the last frame."""
    frames = [match.start() for match in _FRAME.finditer(trace)]
    lines = trace[frames[-1] :].splitlines()[1:] if frames else trace.splitlines()
    first = next((at for at, line in enumerate(lines) if line[:1].strip()), None)
    return "" if first is None else " ".join(_STATE.sub("", "\n".join(lines[first:])).split())


def _who(trace: str) -> str:
    """The function of the pipeline's own source in which it happened, as far as that is known."""
    own = _OURS.findall(trace)
    if not own:
        return "a Python function of the step"
    line, name = own[-1]
    return f"a Python function of the step ({'' if name.startswith('<') else name + ', '}line {line})"
