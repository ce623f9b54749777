# ruff: noqa
# fmt: off
import time, traceback
import dagster as dg, pytest, json
import pyarrow as pa
from pyiceberg.schema import Schema
from pyiceberg.types import *
from lab import Lab, files, iceberg, sink, sql, python, ray, monitor
from drls_dagster.assets.failures import as_failure

COL = {"id": "long", "n": "int", "name": "string", "at": "timestamp", "d": "date", "x": "double", "dec": "decimal(10,2)"}
CSV = "id,n,name,at,d,x,dec\n1,0,abc,2024-01-15T10:00:00Z,2024-01-15,1.5,12.25\n2,5,def,2024-01-16T10:00:00Z,2024-01-16,2.5,99999.99\n"
CASES = []
def case(name, *nodes, flow, table=None, before=None, **more):
    CASES.append((name, nodes, flow, table, before, more))
def q(name, text, mode="overwrite", table=None, checks=None, **kw):
    more = {k: kw.pop(k) for k in ("partitions","window","parameters") if k in kw}
    case(name, sql("made", text), sink("out", "OUT", mode, **kw), *( [monitor("quality", *checks)] if checks else []), flow="raw>made>out" + (">quality" if checks else ""), table=table, **more)
def py(name, text):
    case(name, python("made", text), sink("out", "OUT", "overwrite"), flow="raw>made>out")
def ry(name, text, **schema):
    case(name, ray("made", text, **(schema or {"id": "long"})), sink("out", "OUT", "overwrite"), flow="raw>made>out")
A = "SELECT * FROM raw"
q("merge dup keys", "SELECT 1L AS id, n FROM raw", "merge", keys=["id"])
q("merge no key", "SELECT n FROM raw", "merge", keys=["id"])
q("merge map key", "SELECT map('a', id) AS id, n FROM raw", "merge", keys=["id"])
q("clash", "SELECT name AS id FROM raw", table={"id": "int"})
q("clash ts", "SELECT cast(at AS timestamp_ntz) AS id FROM raw", table={"id": "timestamp"})
q("clash nested", "SELECT named_struct('a', name) AS s FROM raw", table=Schema(NestedField(1,"s",StructType(NestedField(2,"a",IntegerType(),required=False)),required=False)))
q("clash array", "SELECT array(name) AS s FROM raw", table=Schema(NestedField(1,"s",ListType(2,IntegerType(),element_required=False),required=False)))
q("fail on new", "SELECT id, n FROM raw", table={"id": "long"}, on_schema_change="fail")
q("required null", "SELECT cast(null AS bigint) AS id FROM raw", table=Schema(NestedField(1,"id",LongType(),required=True)))
q("required null some", "SELECT nullif(id, 2) AS id FROM raw", table=Schema(NestedField(1,"id",LongType(),required=True)))
q("required lacks", "SELECT n FROM raw", table=Schema(NestedField(1,"id",LongType(),required=True),NestedField(2,"n",IntegerType(),required=False)))
q("required append", "SELECT nullif(id, 2) AS id FROM raw", "append", repeat=True, table=Schema(NestedField(1,"id",LongType(),required=True)))
q("required merge", "SELECT nullif(id, 2) AS n, id FROM raw", "merge", keys=["id"], table=Schema(NestedField(1,"id",LongType(),required=True),NestedField(2,"n",LongType(),required=True)))
q("required nested", "SELECT named_struct('a', nullif(id, 2)) AS s FROM raw", table=Schema(NestedField(1,"s",StructType(NestedField(2,"a",LongType(),required=True)),required=False)))
q("narrow dec", "SELECT cast(dec AS decimal(12,4)) AS id FROM raw", table=Schema(NestedField(1,"id",DecimalType(5,2),required=False)))
q("narrow long", "SELECT id * 9000000000 AS id FROM raw", table={"id": "int"})
q("double to long", "SELECT x * 1e300 AS id FROM raw", table={"id": "long"})
q("string to date", "SELECT 'x' AS id FROM raw", table={"id": "date"})
q("part gone", A, partition_by=["days(nope)"])
q("part days of string", A, partition_by=["days(name)"])
q("part bucket of double", A, partition_by=["bucket(16, x)"])
q("part truncate date", A, partition_by=["truncate(3, d)"])
q("part of map", "SELECT map('a', id) AS m FROM raw", partition_by=["m"])
q("part hours of date", A, partition_by=["hours(d)"])
q("part of struct", "SELECT named_struct('a', id) AS m FROM raw", partition_by=["m"])
q("part twice", A, partition_by=["days(at)", "days(at)"])
q("part twice kinds", A, partition_by=["days(at)", "months(at)"])
q("sort gone", A, sort_by=["nope"])
q("sort map", "SELECT map('a', id) AS m FROM raw", sort_by=["m"])
q("codec", A, properties={"write.parquet.compression-codec": "nope"})
q("format", A, properties={"write.format.default": "nope"})
q("prop number", A, properties={"write.target-file-size-bytes": "many"})
q("prop version", A, properties={"format-version": "9"})
q("interval", "SELECT INTERVAL '1' DAY AS i FROM raw")
q("void", "SELECT null AS i, id FROM raw")
q("variant", "SELECT parse_json('1') AS i FROM raw")
q("time", "SELECT TIME'10:00' AS i FROM raw")
q("case twice", "SELECT id, n AS ID FROM raw")
q("empty name", "SELECT id AS `` FROM raw")
q("dup cols", "SELECT id, n AS id FROM raw")
q("no rows far date", "SELECT DATE'9999-12-31' + 1 AS d FROM raw")
q("window outside", A, "overwrite_partitions", partitions={"kind":"daily","start":"2024-01-01","end":"2024-02-01","column":"d"}, window="2024-01-15")
q("window no column", "SELECT id FROM raw", "overwrite_partitions", partitions={"kind":"daily","start":"2024-01-01","end":"2024-02-01","column":"d"}, window="2024-01-15")
q("window string", "SELECT id, name AS d FROM raw", "overwrite_partitions", partitions={"kind":"daily","start":"2024-01-01","end":"2024-02-01","column":"d"}, window="2024-01-15")
q("window int", "SELECT id, n AS d FROM raw", "overwrite_partitions", partitions={"kind":"daily","start":"2024-01-01","end":"2024-02-01","column":"d"}, window="2024-01-15")
q("param missing", "SELECT id FROM raw WHERE n = :least", parameters={"least": {"type": "integer"}})
for name, check in {
  "sql bad": {"kind":"sql","name":"c","sql":"SELECT count(*) = 0 FROM out WHERE gone > 1"},
  "sql no bool": {"kind":"sql","name":"c","sql":"SELECT name FROM out"},
  "sql no rows": {"kind":"sql","name":"c","sql":"SELECT id = 1 FROM out WHERE id = 77"},
  "sql two cols": {"kind":"sql","name":"c","sql":"SELECT true, id FROM out"},
  "sql cast": {"kind":"sql","name":"c","sql":"SELECT count(*) = 0 FROM out WHERE cast(name AS int) = 1"},
  "sql parse": {"kind":"sql","name":"c","sql":"SELECT count(* = 0 FROM out"},
  "gone col": {"kind":"not_null","columns":["gone"]},
  "range string": {"kind":"range","column":"name","min":1},
  "range date": {"kind":"range","column":"d","min":1},
  "fresh string": {"kind":"freshness","column":"name","within":"2d"},
  "fresh int": {"kind":"freshness","column":"n","within":"2d"},
  "accepted": {"kind":"accepted_values","column":"id","values":["a"]},
  "accepted date": {"kind":"accepted_values","column":"d","values":["a"]},
}.items():
    q("check " + name, A, checks=[check])
q("check unique map", "SELECT map('a', id) AS m FROM raw", checks=[{"kind":"unique","columns":["m"]}])
for name, text in {"no select": "SELECT FROM raw", "typo": "SELECT id FRM raw WHERE", "quote": "SELECT 'abc FROM raw", "paren": "SELECT (id FROM raw", "two": "SELECT 1 FROM raw; SELECT 2 FROM raw",
   "drop": "DROP TABLE raw", "insert": "INSERT INTO raw VALUES (1)", "reserved": "SELECT id AS order by FROM raw", "brace": "SELECT id FROM raw WHERE n = {{ x }}", "qualify": "SELECT id FROM raw QUALIFY row_number() OVER (ORDER BY id) = 1", "line": "SELECT id,\n  n\nFROM raw\nWHERE WHERE id = 1",
   "group": "SELECT name, n FROM raw\nGROUP BY name", "create": "CREATE TABLE x AS SELECT * FROM raw", "set": "SET spark.sql.ansi.enabled=false", "empty": "  ", "comment": "-- only\n"}.items():
    q("parse " + name, text)
py("py raises", "def transform(spark, raw):\n    raise ValueError('no such thing')")
py("py none", "def transform(spark, raw):\n    return None")
py("py pandas", "def transform(spark, raw):\n    return raw.toPandas()")
py("py syntax", "def transform(spark, raw)\n    return raw")
py("py nofunc", "def other(spark, raw):\n    return raw")
py("py args", "def transform(spark):\n    return spark.range(1)")
py("py import", "import nosuchmodule\ndef transform(spark, raw):\n    return raw")
py("py col", "def transform(spark, raw):\n    return raw.select('gone')")
py("py attr", "def transform(spark, raw):\n    return raw.gone")
py("py where", "def transform(spark, raw):\n    return raw.where('n >')")
py("py udf raises", "from pyspark.sql.functions import udf\ndef transform(spark, raw):\n    return raw.select(udf(lambda x: 1 // x, 'long')('n').alias('id'))")
py("py udf type", "from pyspark.sql.functions import udf\ndef transform(spark, raw):\n    return raw.select(udf(lambda x: 'a', 'array<int>')('n').alias('id'))")
py("py udf pickle", "import threading\nfrom pyspark.sql.functions import udf\ndef transform(spark, raw):\n    lock = threading.Lock()\n    return raw.select(udf(lambda x: str(lock), 'string')('n').alias('id'))")
py("py udf import", "from pyspark.sql.functions import udf\ndef f(x):\n    import nosuchmodule\n    return x\ndef transform(spark, raw):\n    return raw.select(udf(f, 'long')('n').alias('id'))")
py("py pandas raises", "import pandas as pd\nfrom pyspark.sql.functions import pandas_udf\ndef transform(spark, raw):\n    @pandas_udf('long')\n    def f(x: pd.Series) -> pd.Series:\n        raise KeyError('own')\n    return raw.select(f('n').alias('id'))")
py("py pandas length", "import pandas as pd\nfrom pyspark.sql.functions import pandas_udf\ndef transform(spark, raw):\n    @pandas_udf('long')\n    def f(x: pd.Series) -> pd.Series:\n        return x[:1]\n    return raw.select(f('n').alias('id'))")
py("py pandas type", "import pandas as pd\nfrom pyspark.sql.functions import pandas_udf\ndef transform(spark, raw):\n    @pandas_udf('long')\n    def f(x: pd.Series) -> pd.Series:\n        return x.astype(str) + 'a'\n    return raw.select(f('n').alias('id'))")
py("py mapin cols", "def transform(spark, raw):\n    def f(parts):\n        for p in parts:\n            yield p[['id']]\n    return raw.mapInPandas(f, 'id long, gone string')")
py("py mapin type", "def transform(spark, raw):\n    def f(parts):\n        for p in parts:\n            yield 7\n    return raw.mapInPandas(f, 'id long')")
py("py apply cols", "def transform(spark, raw):\n    def f(p):\n        return p[['id', 'n']]\n    return raw.groupBy('n').applyInPandas(f, 'id long')")
py("py exit", "def transform(spark, raw):\n    import sys; sys.exit(3)")
py("py abort", "def transform(spark, raw):\n    import os; os._exit(3)")
py("py recursion", "def transform(spark, raw):\n    return transform(spark, raw)")
py("py other session", "def transform(spark, raw):\n    return spark.table('nope')")
py("py rdd", "def transform(spark, raw):\n    return raw.rdd.map(lambda r: r).toDF()")
py("py worker dies", "from pyspark.sql.functions import udf\ndef f(x):\n    import os; os._exit(9)\ndef transform(spark, raw):\n    return raw.select(udf(f, 'long')('n').alias('id'))")
py("py create df", "def transform(spark, raw):\n    return spark.createDataFrame([(1, 'a'), ('b', 2)], 'id long, n string')")
ry("ray raises", "def process(batch):\n    raise ValueError('no such thing')")
ry("ray none", "def process(batch):\n    return None")
ry("ray pandas", "def process(batch):\n    return batch.to_pandas()")
ry("ray lacks", "def process(batch):\n    return batch.select(['n'])")
ry("ray extra", "def process(batch):\n    return batch.select(['id', 'n'])")
ry("ray type", "def process(batch):\n    return batch.select(['name']).rename_columns(['id'])")
ry("ray syntax", "def process(batch)\n    return batch")
ry("ray nofunc", "def other(batch):\n    return batch")
ry("ray import", "import nosuchmodule\ndef process(batch):\n    return batch")
ry("ray keyerror", "def process(batch):\n    return batch.select(['gone'])")
ry("ray exit", "def process(batch):\n    import sys; sys.exit(2)")
ry("ray gen", "def process(batch):\n    yield batch")
ry("ray overflow", "import pyarrow as pa\ndef process(batch):\n    return pa.table({'id': pa.array([2**40])})", id="int")
ry("ray args", "def process():\n    return 1")
case("ice none", iceberg("raw2", "NS.nope"), sink("out", "OUT", "overwrite"), flow="raw2>out")
case("ice snap", iceberg("raw2", "NS.src", "as_of", snapshot=12345), sink("out", "OUT", "overwrite"), flow="raw2>out", before="src")
case("ice time", iceberg("raw2", "NS.src", "as_of", timestamp="2001-01-01T00:00:00Z"), sink("out", "OUT", "overwrite"), flow="raw2>out", before="src")
case("ice dropped col", iceberg("raw2", "NS.src"), sql("made", "SELECT gone FROM raw2"), sink("out", "OUT", "overwrite"), flow="raw2>made>out", before="src")
case("ice file gone", iceberg("raw2", "NS.src"), sink("out", "OUT", "overwrite"), flow="raw2>out", before="filegone")


@pytest.mark.timeout(1500)
def test_explore(lab: Lab, engine, monkeypatch):
    import os, threading
    out = open("/tmp/rest13-x/out.txt", "w")
    from drls_dagster.engine import session as es
    from drls_dagster.steps import sink as sinks
    from contextlib import contextmanager
    only = os.environ.get("ONLY")
    spoiled = []
    real = sinks.interrupt
    def noted(*a, **k):
        spoiled.append(1)
        return real(*a, **k)
    monkeypatch.setattr(sinks, "interrupt", noted)
    held = {"s": lab.session}
    asked = 0
    monkeypatch.setattr("lab.engine_session.session", lambda s: contextmanager(lambda: iter([held["s"]]))())
    for name, nodes, flow, table, before, more in CASES:
        if only and only not in name: continue
        if spoiled:
            spoiled.clear()
            if asked < 2:
                asked += 1
                t = threading.Thread(target=lambda: print("  same session again", held["s"].spark.sql("select 1").collect(), file=out, flush=True), daemon=True)
                t.start(); t.join(25); print("  hangs:", t.is_alive(), file=out, flush=True)
            held["s"] = es.open_session(engine)
        session = held["s"]
        began = time.monotonic()
        with Lab(engine, "e") as here:
            here._session = session
            here.file("a.csv", CSV)
            try:
                if table is not None:
                    here.catalog.create_namespace_if_not_exists(here.identifier("out")[:1])
                    if isinstance(table, Schema): here.catalog.create_table(here.identifier("out"), table)
                    else: here.create("out", **table)
                if before:
                    here.create("src", id="int", gone="string"); here.append("src", (1, "a"))
                    with here.table("src").update_schema() as u: u.delete_column("gone")
                    if before == "filegone":
                        p = next(iter(here.table("src").scan().plan_files())).file.file_path.replace("file://", "")
                        os.unlink(p)
                nodes = json.loads(json.dumps(nodes).replace("NS.", here.ns + ".").replace('"OUT"', json.dumps(here.named("out"))))
                if flow.startswith("raw>"):
                    nodes = [files("raw", here.path("*.csv"), **COL), *nodes]
                window = more.pop("window", None)
                text = here.pipeline(*nodes, flow=flow, **more)
                spec = here.spec(text)
                w = None
                if window:
                    from drls_dagster.steps.window import Window
                    pass
                    w = Window('d', ('2024-01-15',), start=__import__('datetime').datetime(2024,1,15,tzinfo=__import__('datetime').timezone.utc), end=__import__('datetime').datetime(2024,1,16,tzinfo=__import__('datetime').timezone.utc)) 
                step = here.prepare(text, window=w)
                with as_failure("out", here.settings, {n.id: n.sql for n in spec.transforms if getattr(n, "sql", None)}):
                    step.sink("out")
                said = "DONE " + str(here.rows("out"))
            except dg.Failure as e:
                said = "F " + str(e.description)
            except Exception as e:
                said = "X " + type(e).__name__ + ": " + str(e)[:600] + ("\n" + traceback.format_exc()[-900:] if "Refused" not in type(e).__name__ and "Invalid" not in type(e).__name__ else "")
        print(f"{name} [{time.monotonic()-began:.1f}] {said}".replace(here.ns, "NS"), file=out, flush=True)
