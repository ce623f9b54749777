"""What Spark's errors say to people: what is wrong in words, and what to do about it.

By Spark's error conditions (`[DIVIDE_BY_ZERO]`), which its releases keep, with the parameters that come with them; a
condition's own entry counts before that of the group it is in.
"""

from __future__ import annotations

_CAST = "cast one of them to the type of the other"
_TRY = "use the try_ form of the function for null instead, or correct the values at their source"
_RESTORE = "restore it from a backup, or return to a snapshot of the table that does not need it"
_NARROW = "use a larger type, or try_cast for null instead"

CONDITIONS: dict[str, tuple[str, str]] = {
    # Names
    "UNRESOLVED_COLUMN.WITH_SUGGESTION": ("there is no column '{objectName}'", "columns there are: {proposal}"),
    "UNRESOLVED_COLUMN": ("there is no column '{objectName}'", "check its name and what the nodes above give"),
    "UNRESOLVED_FIELD.WITH_SUGGESTION": ("'{columnPath}' has no field '{fieldName}'", "it has {proposal}"),
    "FIELD_NOT_FOUND": ("the struct has no field '{fieldName}'", "it has {fields}"),
    "UNRESOLVED_USING_COLUMN_FOR_JOIN": (
        "the {side} side of the join lacks the column '{colName}'",
        "it has {suggestion}",
    ),
    "UNRESOLVED_ROUTINE": ("there is no function '{routineName}'", "check its name; Spark's own functions can be used"),
    "AMBIGUOUS_REFERENCE": ("'{name}' may be any of {referenceNames}", "put the table's name or alias before it"),
    "CANNOT_RESOLVE_STAR_EXPAND": ("'{targetString}.*' names no table here", "the columns are {columns}"),
    "TABLE_OR_VIEW_NOT_FOUND": ("there is no table {relationName}", "name an upstream node"),
    "COLUMN_ALREADY_EXISTS": ("the column {columnName} appears twice", "give each column a name of its own"),
    # The form of a query
    "PARSE_SYNTAX_ERROR": ("the SQL does not parse near {error}", "correct it there"),
    "MISSING_GROUP_BY": ("columns and aggregates are selected without GROUP BY", "add GROUP BY with the other columns"),
    "MISSING_AGGREGATION": ("'{expression}' is not in GROUP BY", "add it there, or select {expressionAnyValue}"),
    "INVALID_WHERE_CONDITION": ("WHERE cannot contain {expressionList}", "use HAVING, or a subquery around it"),
    "NESTED_AGGREGATE_FUNCTION": ("an aggregate is inside another one", "compute the inner one in a subquery"),
    "WINDOW_FUNCTION_WITHOUT_OVER_CLAUSE": ("{funcName} needs an OVER clause", "add OVER (PARTITION BY … ORDER BY …)"),
    "WRONG_NUM_ARGS": ("{functionName} takes {expectedNum} arguments and got {actualNum}", "correct the call"),
    "NUM_COLUMNS_MISMATCH": (
        "{operator} has {firstNumColumns} columns in one part and {invalidNumColumns} in another",
        "select the same columns in both",
    ),
    "INCOMPATIBLE_COLUMN_TYPE": (
        "the {columnOrdinalNumber} column is {dataType1} in one part of {operator} and {dataType2} in another",
        _CAST,
    ),
    "NON_LITERAL_PIVOT_VALUES": ("PIVOT needs constants, and {expression} is not one", "write the values"),
    "INVALID_LIMIT_LIKE_EXPRESSION": ("LIMIT or OFFSET {expr} is not valid", "write a number that is not negative"),
    "INVALID_TYPED_LITERAL": ("{value} cannot be read as {valueType}", "correct the literal"),
    "INVALID_NUMERIC_LITERAL_RANGE": ("{rawStrippedQualifier} is too large for a {typeName}", "use another type"),
    "DECIMAL_PRECISION_EXCEEDS_MAX_PRECISION": (
        "a decimal of {precision} digits is needed, but the maximum is {maxPrecision}",
        "use fewer digits, or double",
    ),
    "SCALAR_SUBQUERY_TOO_MANY_ROWS": (
        "a subquery gave several rows where one is needed",
        "aggregate it, or add LIMIT 1",
    ),
    # Types
    "DATATYPE_MISMATCH.FILTER_NOT_BOOLEAN": (
        "the condition {filter} is {type}, not true or false",
        "compare it with a value",
    ),
    "DATATYPE_MISMATCH.BINARY_OP_DIFF_TYPES": ("{sqlExpr} combines {left} with {right}", _CAST),
    "DATATYPE_MISMATCH.DATA_DIFF_TYPES": ("{sqlExpr} mixes the types {dataType}", "cast them to one type"),
    "DATATYPE_MISMATCH.UNEXPECTED_INPUT_TYPE": (
        "{sqlExpr} needs {requiredType}, but {inputSql} is {inputType}",
        "cast it, or use another column",
    ),
    "DATATYPE_MISMATCH.CAST_WITHOUT_SUGGESTION": (
        "{srcType} cannot be cast to {targetType}",
        "take a part of it first",
    ),
    "DATATYPE_MISMATCH.VALUE_OUT_OF_RANGE": (
        "{exprName} is {currentValue}, but must be in {valueRange}",
        "correct the argument",
    ),
    "DATATYPE_MISMATCH.NON_FOLDABLE_INPUT": ("{inputName} must be a constant", "write a value instead of {inputExpr}"),
    "DATATYPE_MISMATCH.INVALID_ORDERING_TYPE": ("{dataType} has no order", "order by one of its parts"),
    "DATATYPE_MISMATCH.IN_SUBQUERY_LENGTH_MISMATCH": (
        "IN compares {leftLength} column(s) with a subquery of {rightLength}",
        "select the same number",
    ),
    "DATATYPE_MISMATCH.NON_STRING_TYPE": ("{funcName} takes strings only", "cast its arguments to string"),
    "INVALID_EXTRACT_BASE_FIELD_TYPE": ("{base} is {other} and has no parts", "take the value itself"),
    "UNSUPPORTED_FEATURE.SET_OPERATION_ON_MAP_TYPE": (
        "DISTINCT, UNION and the like cannot compare the map column {colName}",
        "leave it out, or compare map_entries of it",
    ),
    # Values
    "CAST_INVALID_INPUT": (
        "the value {expression} cannot be read as {targetType}",
        "use try_cast for null instead, or correct the value",
    ),
    "CAST_OVERFLOW": ("the value {value} does not fit into {targetType}", _NARROW),
    "NUMERIC_VALUE_OUT_OF_RANGE": ("the value {value} does not fit into decimal({precision},{scale})", _NARROW),
    "ARITHMETIC_OVERFLOW": ("the result is too large for its type ({message})", _NARROW),
    "BINARY_ARITHMETIC_OVERFLOW": ("{value1} {symbol} {value2} is too large for its type", _NARROW),
    "DIVIDE_BY_ZERO": ("a value is divided by zero", "use try_divide for null instead, or filter such rows out"),
    "REMAINDER_BY_ZERO": ("the remainder of a division by zero is requested", "use try_mod for null instead"),
    "INVALID_ARRAY_INDEX": (
        "the array has {arraySize} elements, but index {indexValue} is requested",
        "use get() for null instead",
    ),
    "INVALID_ARRAY_INDEX_IN_ELEMENT_AT": (
        "the array has {arraySize} elements, but index {indexValue} is requested",
        "use try_element_at for null instead",
    ),
    "INVALID_INDEX_OF_ZERO": ("element 0 is requested, but element_at counts from 1", "use 1 for the first"),
    "CANNOT_PARSE_TIMESTAMP": ("a text does not have the requested format ({message})", _TRY),
    "INVALID_FORMAT.MISMATCH_INPUT": ("the text '{input}' does not have the format {format}", _TRY),
    "INVALID_FORMAT": ("the format {format} is not valid", "correct the format"),
    "INVALID_DATETIME_PATTERN": ("{pattern} is not a pattern of dates", "write it like yyyy-MM-dd HH:mm:ss"),
    "INCONSISTENT_BEHAVIOR_CROSS_VERSION.DATETIME_PATTERN_RECOGNITION": (
        "{pattern} is not a pattern of dates",
        "write it like yyyy-MM-dd HH:mm:ss",
    ),
    "INCONSISTENT_BEHAVIOR_CROSS_VERSION": (
        "a date or time is before 1900, or has a format that older releases of Spark read differently",
        "read the column as a string and convert it in SQL",
    ),
    "INVALID_TIMEZONE": ("'{timeZone}' is not a time zone", "write a name such as Europe/Berlin, or +01:00"),
    "DATETIME_OVERFLOW": ("the date is outside the calendar ({operation})", "use a smaller step"),
    "DATETIME_FIELD_OUT_OF_BOUNDS": ("there is no such date or time ({rangeMessage})", _TRY),
    "MALFORMED_RECORD_IN_PARSING": ("a record cannot be read", "correct it, or use a mode that keeps it"),
    "DUPLICATED_MAP_KEY": ("a map would have the key {key} twice", "make the keys distinct first"),
    "NULL_MAP_KEY": ("a map would have null as a key", "filter null keys out first"),
    "INVALID_PARAMETER_VALUE.PATTERN": (
        "{value} is not a regular expression",
        "put a backslash before special characters",
    ),
    "INVALID_PARAMETER_VALUE": ("the argument {parameter} of {functionName} is not valid", "correct it"),
    "USER_RAISED_EXCEPTION": ("the SQL raised an error: {errorMessage}", "check the condition under which it does"),
    "NOT_NULL_ASSERT_VIOLATION": ("a required column contains null ({walkedTypePath})", "filter or fill such rows"),
    "MERGE_CARDINALITY_VIOLATION": ("several rows match one row of the table", "make the rows distinct by the keys"),
    "COLLECTION_SIZE_LIMIT_EXCEEDED": ("an array would be longer than Spark allows", "build a shorter one"),
    # Files
    "FAILED_READ_FILE.FILE_NOT_EXIST": ("the file {path} is gone or not readable", "put it back, or run again"),
    "FAILED_READ_FILE.PARQUET_COLUMN_DATA_TYPE_MISMATCH": (
        "the file {path} has column {column} as {actualType}, but the others have {expectedType}",
        "write it again with that type, or declare the source's schema",
    ),
    "FAILED_READ_FILE": ("the file {path} cannot be read", "check that it is complete and in the source's format"),
    "PATH_NOT_FOUND": ("there is nothing at {path}", "check the source's path"),
    "UNABLE_TO_INFER_SCHEMA": ("the files have no columns", "declare the source's schema"),
    "INTERNAL_ERROR": ("Spark itself failed here", "simplify the SQL of this node"),
}

# Of errors without a condition, and of what executors and libraries raise.
PATTERNS: tuple[tuple[str, str, str], ...] = (
    (
        r"Python worker exited unexpectedly",
        "a Python function of the step ended the process that it ran in: it crashed, was killed, or ended it",
        "work on smaller batches if memory may have run out, and check native libraries and os._exit",
    ),
    (
        r"Python worker failed to connect|python worker|Python worker",
        "Spark's Python did not start or did not answer",
        "run again; `drls logs engine` says why",
    ),
    (r"Checksum error: (?:file:)?(\S+)", "the file {0} is damaged: its checksum does not match", _RESTORE),
    (r"Failed to open input stream for file: (?:file:)?(\S+)", "the file {0} is missing", _RESTORE),
    (r"(\S+) is not a Parquet file", "the file {0} is damaged, or not Parquet", _RESTORE),
    (r"Failed to fetch file: (?:file:)?(\S+)", "the file {0} cannot be read to the end", _RESTORE),
    (
        r"Mkdirs failed to create \S*/([^/\s=]+)=[^/\s]{200,}",
        "a value of column '{0}' is too long for a partition's folder name",
        "partition by truncate(width, {0}) or bucket(number, {0}), or shorten the value",
    ),
    (
        r"Mkdirs failed to create (\S{1,120})",
        "the folder {0} cannot be created",
        "check the permissions and the disk",
    ),
    (
        r"File name too long",
        "a value is too long for a partition's folder name",
        "partition by truncate(width, column) or bucket(number, column), or shorten the value",
    ),
    (
        r"\b([a-zA-Z]) != (?:java|org)\.",
        "%{0} in the format does not fit its argument's type",
        "cast the argument, or write %s",
    ),
    (r"Conversion = '(.)'", "%{0} is not a format", "write %s for text, %d for whole numbers, %f for others"),
    (
        r"Value at index is null",
        "a Python function of the step returns null in a column that its schema has as NOT NULL",
        "fill it, or leave NOT NULL out of the schema",
    ),
    (r"No space left on device", "the disk is full", "free some space, then run again"),
    (
        r"Requested array size exceeds VM limit|Cannot grow BufferHolder|Cannot reserve additional contiguous bytes",
        "a text, an array or a row would be larger than 2 GB",
        "ask for a shorter one",
    ),
    (
        r"Java heap space|OutOfMemoryError|GC overhead limit",
        "Spark ran out of memory",
        "raise engine.memory, then run again",
    ),
    (r"Permission denied", "a file or folder cannot be read or written", "check its permissions"),
    (r"Illegal sequence boundaries: ([^\n]*)", "sequence() cannot count {0}", "correct its step"),
    (
        r"key array and value array of MapData must have the same length",
        "a map has different numbers of keys and values",
        "give both arrays the same length",
    ),
    (r"Invalid XPath '([^']*)'", "'{0}' is no XPath", "write it like a/b/text()"),
    (r"integer overflow|long overflow", "a number is too large for its type", _NARROW),
    (r"Cannot write (?:incompatible|nullable) .*?'?(\w+)'?", "column {0} does not fit the table", "cast or fill it"),
    (
        r"annot (?:load|find) (?:current offset at )?snapshot (\d+)",
        "the snapshot {0} is no longer in the table",
        "run again: a new run reads the current data",
    ),
    (r"Sampling fraction \(([^)]*)\)", "TABLESAMPLE takes 0 to 100 percent, not {0} times the rows", "correct it"),
    (
        r"exceeds (?:the )?maximum allowed|larger than spark\.driver\.maxResultSize",
        "a result is too large for Spark's driver",
        "aggregate or filter more before collecting it",
    ),
)

# By the first two characters of the SQLSTATE.
REMEDIES = {
    "0A": "Spark cannot do this; write it differently",
    "21": "aggregate it to one value",
    "22": _TRY,
    "23": "correct the values at their source",
    "42": "correct the SQL there",
    "53": "give the engine more memory (engine.memory), or process less at once",
    "54": "make it smaller or simpler",
}
OTHERWISE = "check the SQL and the data of this node; `drls logs runs` has Spark's own message"
