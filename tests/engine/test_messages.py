"""What people see when Spark refuses or fails: where, what, and what to do. F10, and finding 26."""

from __future__ import annotations

import re
from pathlib import Path

import dagster as dg
import pytest
from lab import Lab, files, sink, sql

from drls_dagster.assets.failures import as_failure
from drls_dagster.cli.main import run
from drls_dagster.steps.spark import run_sql

RAW = """
SELECT * FROM VALUES
    (1L, 0, 'abc', timestamp'2024-01-01', 9223372036854775807L, 123.456BD, array(1, 2), map('a', 1), named_struct('a', 1))
    t(id, n, name, at, big, dec, l, m, s)
"""

ERRORS = [
    ('SELECT gone FROM raw', "there is no column 'gone'; columns there are: n, at, id, l, m"),
    ('SELECT raw.gone FROM raw', "there is no column 'raw.gone'; columns there are: raw.n, raw.at, raw.id, raw.l, raw.m"),
    ('SELECT id FROM raw r JOIN raw q ON r.id=q.id', "'id' may be any of q.id, r.id; put the table's name or alias before it"),
    ('SELECT id, count(*) FROM raw', 'columns and aggregates are selected without GROUP BY; add GROUP BY with the other columns'),
    ('SELECT sum(name) FROM raw', "the value 'abc' cannot be read as DOUBLE; use try_cast for null instead, or correct the value"),
    ('SELECT upper(id, name) FROM raw', 'upper takes 1 arguments and got 2; correct the call'),
    ('SELECT nope(id) FROM raw', "there is no function 'nope'; check its name; Spark's own functions can be used"),
    ('SELECT * FROM raw WHERE id', 'the condition id is BIGINT, not true or false; compare it with a value'),
    ('SELECT * FROM raw WHERE sum(id) > 1', "WHERE cannot contain sum(raw.id); use HAVING, or a subquery around it"),
    ('SELECT id + at FROM raw', '(id + at) combines BIGINT with TIMESTAMP; cast one of them to the type of the other'),
    ('SELECT id FROM raw UNION SELECT id, n FROM raw', 'UNION has 1 columns in one part and 2 in another; select the same columns in both'),
    ('SELECT at FROM raw UNION SELECT id FROM raw', 'the first column is BIGINT in one part of UNION and TIMESTAMP in another; cast one of them to the type of the other'),
    ('SELECT id AS x, n AS x FROM raw WHERE x > 1', "there is no column 'x'; columns there are: l, m, n, s, at"),
    ('SELECT * FROM raw GROUP BY id', "'n' is not in GROUP BY; add it there, or select any_value(n)"),
    ('SELECT s.nope FROM raw', "the struct has no field 'nope'; it has a"),
    ('SELECT l.a FROM raw', 'l[a] needs INTEGRAL, but a is STRING; cast it, or use another column'),
    ('SELECT explode(id) FROM raw', 'explode(id) needs (ARRAY or MAP), but id is BIGINT; cast it, or use another column'),
    ('SELECT id, row_number() FROM raw', 'row_number() needs an OVER clause; add OVER (PARTITION BY … ORDER BY …)'),
    ('SELECT * FROM raw ORDER BY gone', "there is no column 'gone'; columns there are: n, at, id, l, m"),
    ('SELECT row_number() OVER (ORDER BY id) r FROM raw WHERE r > 1', "there is no column 'r'; columns there are: l, m, n, s, at"),
    ('SELECT CAST(name AS array<int>) FROM raw', 'STRING cannot be cast to ARRAY<INT>; take a part of it first'),
    ("SELECT id IN ('a', at) FROM raw", '(id IN (a, at)) mixes the types BIGINT, STRING, TIMESTAMP; cast them to one type'),
    ('SELECT CASE WHEN id > 1 THEN at ELSE id END FROM raw', 'CASE WHEN (id > 1) THEN at ELSE id END mixes the types TIMESTAMP, BIGINT; cast them to one type'),
    ('SELECT coalesce(id, at) FROM raw', 'coalesce(id, at) mixes the types (BIGINT or TIMESTAMP); cast them to one type'),
    ('SELECT map(id, at, name) FROM raw', 'map takes 2n (n > 0) arguments and got 3; correct the call'),
    ('SELECT id:x FROM raw', "Spark itself failed here; simplify the SQL of this node"),
    ("SELECT m['a'].b FROM raw", 'm[a] is INT and has no parts; take the value itself'),
    ('SELECT date_add(name, at) FROM raw', 'date_add(name, at) needs (INT or SMALLINT or TINYINT), but at is TIMESTAMP; cast it, or use another column'),
    ('SELECT percentile(id, 2) FROM raw', "percentage is 2.0D, but must be in [0.0, 1.0]; correct the argument"),
    ("SELECT to_date(name, 'YYYY-ww') FROM raw", "'YYYY-ww' is not a pattern of dates; write it like yyyy-MM-dd HH:mm:ss"),
    ('SELECT make_interval(name) FROM raw', "the value 'abc' cannot be read as INT; use try_cast for null instead, or correct the value"),
    ("SELECT json_tuple(id, 'a') FROM raw", 'json_tuple takes strings only; cast its arguments to string'),
    ('SELECT name::int FROM raw', "the value 'abc' cannot be read as INT; use try_cast for null instead, or correct the value"),
    ('SELECT id / n FROM raw', 'a value is divided by zero; use try_divide for null instead, or filter such rows out'),
    ('SELECT id % n FROM raw', "the remainder of a division by zero is requested; use try_mod for null instead"),
    ('SELECT CAST(name AS int) FROM raw', "the value 'abc' cannot be read as INT; use try_cast for null instead, or correct the value"),
    ('SELECT CAST(name AS date) FROM raw', "the value 'abc' cannot be read as DATE; use try_cast for null instead, or correct the value"),
    ('SELECT CAST(name AS timestamp) FROM raw', "the value 'abc' cannot be read as TIMESTAMP; use try_cast for null instead, or correct the value"),
    ('SELECT CAST(name AS boolean) FROM raw', "the value 'abc' cannot be read as BOOLEAN; use try_cast for null instead, or correct the value"),
    ('SELECT CAST(name AS decimal(5,2)) FROM raw', "the value 'abc' cannot be read as DECIMAL(5,2); use try_cast for null instead, or correct the value"),
    ('SELECT CAST(big AS int) FROM raw', 'the value 9223372036854775807L does not fit into INT; use a larger type, or try_cast for null instead'),
    ('SELECT CAST(dec AS decimal(3,2)) FROM raw', 'the value 123.456 does not fit into decimal(3,2); use a larger type, or try_cast for null instead'),
    ('SELECT big + 9223372036854775807 FROM raw', 'the result is too large for its type (long overflow); use a larger type, or try_cast for null instead'),
    ('SELECT cast(127 as tinyint) + cast(n as tinyint) + cast(120 as tinyint) FROM raw', '127S + 120S is too large for its type; use a larger type, or try_cast for null instead'),
    ('SELECT l[10] FROM raw', "the array has 2 elements, but index 10 is requested; use get() for null instead"),
    ('SELECT element_at(l, 10) FROM raw', "the array has 2 elements, but index 10 is requested; use try_element_at for null instead"),
    ('SELECT element_at(l, 0) FROM raw', "element 0 is requested, but element_at counts from 1; use 1 for the first"),
    ("SELECT to_timestamp(name, 'yyyy-MM-dd') FROM raw", "a text does not have the requested format (Text 'abc' could not be parsed at index 0); use the try_ form of the function for null instead, or correct the values at their source"),
    ("SELECT to_number(name, '999') FROM raw", "the text 'abc' does not have the format 999; use the try_ form of the function for null instead, or correct the values at their source"),
    ('SELECT parse_json(name) FROM raw', 'a record cannot be read; correct it, or use a mode that keeps it'),
    ("SELECT from_json(name, 'id INT', map('mode','FAILFAST')) FROM raw", 'a record cannot be read; correct it, or use a mode that keeps it'),
    ('SELECT make_date(2024, 13, n) FROM raw', "there is no such date or time (Invalid value for MonthOfYear (valid values 1 - 12): 13); use the try_ form of the function for null instead, or correct the values at their source"),
    ('SELECT sum(big) FROM (SELECT big FROM raw UNION ALL SELECT 9223372036854775807)', 'the result is too large for its type (long overflow); use a larger type, or try_cast for null instead'),
    ('SELECT abs(cast(-9223372036854775808 as bigint)) + n FROM raw', 'the result is too large for its type (long overflow); use a larger type, or try_cast for null instead'),
    ('SELECT assert_true(id > 1) FROM raw', "the SQL raised an error: '(id > 1)' is not true!; check the condition under which it does"),
    ("SELECT raise_error('own words') FROM raw", "the SQL raised an error: own words; check the condition under which it does"),
    ('SELECT map_from_arrays(l, array(1)) FROM raw', "a map has different numbers of keys and values; give both arrays the same length"),
    ('SELECT map_from_entries(array(struct(1,2),struct(1,3))) x, id FROM raw', 'a map would have the key 1 twice; make the keys distinct first'),
    ("SELECT format_string('%d', name) FROM raw", "%d in the format does not fit its argument's type; cast the argument, or write %s"),
    ("SELECT printf('%q', name) FROM raw", "%q is not a format; write %s for text, %d for whole numbers, %f for others"),
    ('SELECT sequence(1, 5, 0 - n) FROM raw', 'sequence() cannot count 1 to 5 by 0; correct its step'),
    ('SELECT rand(name) FROM raw', 'rand(name) needs (INT or BIGINT), but name is STRING; cast it, or use another column'),
    ("SELECT regexp_replace(name, '(', '') FROM raw", "'(' is not a regular expression; put a backslash before special characters"),
    ("SELECT regexp_extract(name, '(a)', 5) FROM raw", 'the argument idx of regexp_extract is not valid; correct it'),
    ("SELECT decode(cast(name as binary), 'NOPE') FROM raw", 'the argument charset of decode is not valid; correct it'),
    ("SELECT aes_decrypt(cast(name as binary), cast('x' as binary)) FROM raw", 'the argument key of aes_encrypt/aes_decrypt is not valid; correct it'),
    ('SELECT timestampadd(YEAR, 999999, at) FROM raw', "the date is outside the calendar (add 999999L YEAR to TIMESTAMP '2024-01-01 00:00:00'); use a smaller step"),
    ("SELECT date_format(at, 'bbbb') FROM raw", "'bbbb' is not a pattern of dates; write it like yyyy-MM-dd HH:mm:ss"),
    ("SELECT from_utc_timestamp(at, 'Mars/Base') FROM raw", "'Mars/Base' is not a time zone; write a name such as Europe/Berlin, or +01:00"),
    ('SELECT repeat(name, 2147483647) FROM raw', 'a number is too large for its type; use a larger type, or try_cast for null instead'),
    ('SELECT id FROM raw TABLESAMPLE (200 PERCENT)', "TABLESAMPLE takes 0 to 100 percent, not 2.0 times the rows; correct it"),
    ('SELECT bround(dec, name) FROM raw', 'scale must be a constant; write a value instead of name'),
    ('SELECT a.* FROM raw', "'a.*' names no table here; the columns are at, big, dec, id, l, m, n, name, s"),
    ('SELECT * EXCEPT (gone) FROM raw', "there is no column 'gone'; columns there are: n, id, at, l, m"),
    ('SELECT id FROM raw LIMIT -1', 'LIMIT or OFFSET -1 is not valid; write a number that is not negative'),
    ('SELECT id FROM raw LIMIT name', "there is no column 'name'; columns there are: id"),
    ('SELECT max(struct(m)) FROM raw', 'STRUCT<m: MAP<STRING, INT> NOT NULL> has no order; order by one of its parts'),
    ('SELECT DISTINCT m FROM raw', "DISTINCT, UNION and the like cannot compare the map column m; leave it out, or compare map_entries of it"),
    ('SELECT * FROM raw ORDER BY m', 'MAP<STRING, INT> has no order; order by one of its parts'),
    ('SELECT * FROM raw r JOIN raw q USING (gone)', "the left side of the join lacks the column 'gone'; it has at, big, dec, id, l, m, n, name, s"),
    ('SELECT /*+ nope */ * FROM raw r, raw q WHERE q.id IN (SELECT id, n FROM raw)', 'IN compares 1 column(s) with a subquery of 2; select the same number'),
    ("SELECT to_char(dec, 'x') FROM raw", "the format 'X' is not valid; correct the format"),
    ("SELECT interval '1' nope", "'1' cannot be read as INTERVAL; correct the literal"),
    ("SELECT DATE'2024-13-01'", "'2024-13-01' cannot be read as DATE; correct the literal"),
    ("SELECT TIMESTAMP'x'", "'x' cannot be read as TIMESTAMP; correct the literal"),
    ('SELECT 99999999999999999999999999999999999999999 FROM raw', "a decimal of 41 digits is needed, but the maximum is 38; use fewer digits, or double"),
    ('SELECT 1e400D FROM raw', '1e400 is too large for a double; use another type'),
    ('SELECT try_cast(m AS int) FROM raw', 'MAP<STRING, INT> cannot be cast to INT; take a part of it first'),
    ('SELECT a FROM (SELECT id a, id a FROM raw)', "'a' may be any of a, a; put the table's name or alias before it"),
    ('SELECT lag(id) FROM raw', 'lag(id, 1, NULL) needs an OVER clause; add OVER (PARTITION BY … ORDER BY …)'),
    ('SELECT sum(sum(id)) FROM raw', "an aggregate is inside another one; compute the inner one in a subquery"),
    ('SELECT sum(id) OVER (ROWS BETWEEN 1 FOLLOWING AND 1 PRECEDING) FROM raw', 'the frame of the window ends before it begins; correct the window of the function'),
    ('SELECT PIVOT FROM raw PIVOT (sum(id) FOR name IN (id))', 'PIVOT needs constants, and id is not one; write the values'),
    ('SELECT stack(0, id) FROM raw', "n is 0, but must be in (0, 2147483647]; correct the argument"),
    ('SELECT inline(l) FROM raw', 'inline(l) needs ARRAY<STRUCT>, but l is ARRAY<INT>; cast it, or use another column'),
]  # fmt: skip
RARE = [
    ('SELECT id id2, FROM raw', 'the list of SELECT ends with a comma; remove it'),
    ('SELECT (SELECT id, n FROM raw) FROM raw', 'a subquery that stands for a value has several columns; select one'),
    ('SELECT * FROM raw r JOIN raw q ON r.id', 'the condition id is BIGINT, not true or false; compare it with a value'),
    ('SELECT id, sum(n) OVER (PARTITION BY m ORDER BY id) FROM raw', 'm is MAP<STRING, INT>, which has no order; order by one of its parts'),
    ('SELECT sum(id) OVER w FROM raw', "there is no window 'w'; add WINDOW w AS (…)"),
    ('SELECT sum(id) OVER (ORDER BY id, n RANGE BETWEEN 1 PRECEDING AND CURRENT ROW) FROM raw', 'RANGE with values needs one column in ORDER BY; order by one'),
    ('SELECT 1 + explode(l) FROM raw', '(1 + explode(l)) computes with a function that makes rows; compute it in a subquery first'),
    ('SELECT * FROM raw WHERE explode(l) = 1', 'a function that makes rows is not in SELECT; use LATERAL VIEW'),
    ('SELECT id FROM raw GROUP BY 3', 'GROUP BY 3 is not in the list, which has 1 columns; correct it'),
    ('SELECT id FROM raw ORDER BY 9', 'ORDER BY 9 is not in the list, which has 1 columns; correct it'),
    ('SELECT id, n FROM raw GROUP BY sum(n)', 'GROUP BY cannot contain sum(raw.n); compute it in a subquery first'),
    ('SELECT max(id) FILTER (WHERE sum(n) > 1) FROM raw', 'FILTER takes a plain condition; use columns only, without aggregates and windows'),
    ("SELECT name LIKE 'a' ESCAPE 'xx' FROM raw", "the escape 'xx' is longer than one character; write one"),
    ("SELECT name LIKE '%\\\\x' FROM raw", "the pattern '%\\\\x' escapes a plain character; escape %, _ or the escape only"),
    ('SELECT extract(nope FROM at) FROM raw', 'nope is no part of at; write YEAR, MONTH, DAY, HOUR, MINUTE or SECOND'),
    ('SELECT cast(id AS date) FROM raw', 'BIGINT cannot be cast to DATE; use DATE_FROM_UNIX_DATE'),
    ('SELECT element_at(m, 1) FROM raw', 'element_at compares MAP<STRING, INT> with INT; cast the key'),
    ('SELECT named_struct(name, 1) FROM raw', 'named_struct needs names as constants, not name; write them in quotes'),
    ("SELECT array_sort(l, (a, b) -> 'x') FROM raw", 'lambdafunction must give INT, not STRING; cast it'),
    ("SELECT from_json(name, 'nope') FROM raw", 'there is no type NOPE; check its name'),
    ('SELECT from_json(name, id) FROM raw', "id is no schema; write it like 'id INT, name STRING'"),
    ('SELECT to_json(id) FROM raw', 'BIGINT is no struct, array or map; correct the schema'),
    ("SELECT parse_url('x y', 'HOST') FROM raw", 'the text x y is no URL; use try_parse_url for null instead'),
    ("SELECT url_decode('%zz') FROM raw", 'the text %zz is no encoded URL; use try_url_decode for null instead'),
    ("SELECT to_binary('zz', 'hex') FROM raw", "the value 'zz' cannot be read as BINARY ('HEX'); use try_to_binary for null instead, or correct the value"),
    ('SELECT hll_sketch_agg(id, 99) FROM raw', 'lgConfigK of hll_sketch_agg must be 4 to 21, not 99; correct it'),
    ('SELECT bit_get(id, 99) FROM raw', 'bit 99 is not in [0, 64); correct it'),
    ('WITH a AS (SELECT 1), a AS (SELECT 2) SELECT * FROM a', 'WITH names a twice; give each query a name of its own'),
    ('WITH RECURSIVE r(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM r) SELECT * FROM r', 'the recursion does not end after 100 steps; add a condition that ends it'),
    ('WITH a(x, y) AS (SELECT id FROM raw) SELECT * FROM a', 'the list of names and the columns differ in number (1 and 2); give each column one name'),
    ('SELECT * FROM VALUES (1), (2, 3)', 'VALUES has 1 columns, but row 1 has 2; give each row the same number'),
    ('SELECT * FROM raw UNPIVOT (v FOR k IN (id, name))', 'the columns of UNPIVOT have the types BIGINT (id), STRING (name); cast them to one type'),
    ('SELECT * FROM range(1, 2, 0)', 'range cannot work with its arguments; correct them'),
    ('SELECT * FROM nope(1)', "there is no function 'nope' that gives a table; check its name, or name an upstream node"),
    ('SELECT rank() OVER (PARTITION BY id) FROM raw', 'the window of rank() has no order; add ORDER BY to it'),
    ('SELECT sum(rank() OVER (ORDER BY id)) FROM raw', 'an aggregate contains a window function; compute it in a subquery first'),
    ("SELECT xpath(name, '//') FROM raw", "'//' is no XPath; write it like a/b/text()"),
    ('SELECT cast(id AS decimal(2, 5)) FROM raw', 'a decimal of 2 digits cannot have 5 behind the point; write decimal(digits, digits behind the point)'),
    ('SELECT raw.* EXCEPT (id, id) FROM raw', 'EXCEPT leaves a column out twice (id, id); name each once'),
    ('SELECT * FROM raw PIVOT (id FOR n IN (1))', 'PIVOT needs an aggregate instead of raw.id; write sum(raw.id), for example'),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("query", "told"), [*ERRORS, *RARE])
def test_an_error_of_sql_says_where_what_and_what_to_do(lab: Lab, query: str, told: str) -> None:
    """Failed on 0.1.0: each of them was Spark's own sentence, with its codes, settings and addresses."""
    spark = lab.session.spark
    spark.sql(RAW).createOrReplaceTempView("drls_messages")
    with pytest.raises(dg.Failure) as failed, as_failure("out", lab.settings, {"part": query}):
        run_sql(spark, query, {"raw": "drls_messages"}, {}).collect()
    said = str(failed.value.description)
    place, _, rest = said.partition(": ")
    assert place.startswith("node 'out'")
    assert rest == told
    assert not any(word in said for word in ("\n", "SQLSTATE", "spark.sql", "https://", "org.apache", "JVM"))
    assert not re.search(r"\[[A-Z_]{4,}", said), "a code of Spark's"


def test_the_messages_are_many_and_none_is_without_a_remedy() -> None:
    assert len(ERRORS) >= 60
    assert all("; " in told for _, told in (*ERRORS, *RARE))


def test_an_error_names_the_node_whose_sql_it_is_and_the_line(lab: Lab) -> None:
    lab.file("a.csv", "id,n\n1,0\n")
    ran = lab.run(
        lab.pipeline(
            files("raw", lab.path("*.csv"), id="long", n="int"),
            sql("ratio", "SELECT id,\n       id / n AS share\nFROM raw"),
            sql("kept", "SELECT * FROM ratio WHERE share > 0"),
            sink("out", lab.named("out"), "overwrite"),
            flow="raw>ratio>kept>out",
        )
    )
    assert not ran.success
    assert ran.failure == (
        "node 'out', from the SQL of node 'ratio', line 2, at id / n: a value is divided by zero; "
        "use try_divide for null instead, or filter such rows out"
    )


def test_a_value_that_is_too_long_for_a_folder_names_the_remedy(lab: Lab) -> None:
    lab.file("a.csv", "name,n\n" + "x" * 300 + ",1\n")
    ran = lab.run(
        lab.pipeline(
            files("raw", lab.path("*.csv"), name="string", n="int"),
            sink("out", lab.named("out"), "overwrite", partition_by=["name"]),
            flow="raw>out",
        )
    )
    assert not ran.success
    assert "a value of column 'name' is too long for a partition's folder name" in ran.failure


def test_a_file_of_a_table_that_is_gone_or_damaged_is_named_with_the_remedy(
    lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    """Failed on 0.1.0: "Exception thrown in awaitResult:", and an outage of the catalog."""
    lab.file("a.csv", "id\n1\n")
    text = lab.pipeline(
        files("raw", lab.path("*.csv"), id="int"),
        sink("out", lab.named("out"), "merge", keys=["id"], partition_by=["id"]),
        flow="raw>out",
    )
    assert lab.run(text).success
    name = ".".join(lab.identifier("out"))
    data = Path(
        next(iter(lab.table("out").scan().plan_files())).file.file_path.removeprefix("file://").removeprefix("file:")
    )
    bytes_, warehouse = data.read_bytes(), lab.settings.home / "warehouse"
    for broken, told in ((b"x" * 200, "is damaged"), (None, "is missing")):
        data.unlink() if broken is None else data.write_bytes(broken)
        assert f"the file warehouse/{data.relative_to(warehouse)} {told}" in lab.run(text).failure
        assert run(["table", "preview", name]) == 1
        assert "; restore it from a backup, or return to a snapshot" in capsys.readouterr().err
    data.write_bytes(bytes_)

    metadata = Path(lab.table("out").metadata_location.removeprefix("file://"))
    metadata.rename(metadata.with_suffix(".away"))
    shown = f"warehouse/{metadata.relative_to(warehouse)}"
    missing = f"the table's metadata file {shown} is missing; restore it from a backup, or drop the table"
    assert missing in lab.run(text).failure
    for command in ("preview", "show"):
        assert run(["table", command, name]) == 1
        assert f"Error: {missing}" in capsys.readouterr().err
    metadata.with_suffix(".away").rename(metadata)
    assert lab.run(text).success
