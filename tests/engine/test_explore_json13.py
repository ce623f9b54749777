# ruff: noqa
# fmt: off
import bz2, gzip, json, os, time, traceback
from contextlib import contextmanager
from pathlib import Path
import duckdb, pytest
from lab import Lab, sink
import zstandard
J = {}
def j(name, files, schema=None, **options): J[name] = (files if isinstance(files, dict) else {"a.json": files}, schema, options)
L = lambda *v: "".join(json.dumps({"v": x}) + "\n" for x in v)
R = lambda *v: "".join('{"v":%s}\n' % x for x in v)
# no schema
j("int+float", R(1, 2.5)); j("int+text", R(1, '"a"')); j("bool+text", R("true", '"a"')); j("bool+int", R("true", "1"))
j("over files int/text", {"1.json": R(1), "2.json": R('"a"')}); j("over files int/float", {"1.json": R(1), "2.json": R("2.5")})
j("over files rev", {"1.json": R('"a"'), "2.json": R(1)}); j("over files obj/int", {"1.json": R('{"a":1}'), "2.json": R(1)})
j("over files arr/int", {"1.json": R("[1]"), "2.json": R(1)}); j("obj+arr", R('{"a":1}', "[1]")); j("obj+int", R('{"a":1}', 5))
j("over files nested", {"1.json": R('{"a":1}'), "2.json": R('{"b":"x"}')}); j("nested within", R('{"a":1}', '{"b":"x"}', "null"))
j("nested deep clash", R('{"a":1}', '{"a":"x"}')); j("arr of objects", R('[{"a":1},{"b":2}]', "[]")); j("arr mixed", R('[1,"a",true]')); j("arr nested", R("[[1],[2,3]]", "[[]]"))
j("empty arrays", R("[]", "[]")); j("empty objects", R("{}", "{}")); j("null only", '{"id":1,"v":null}\n{"id":2,"v":null}\n'); j("missing keys", '{"id":1}\n{"v":"a"}\n')
j("huge int", R(9223372036854775807, 9223372036854775808)); j("huger int", R(10**30, 1)); j("huge 45", R(10**45)); j("float long", R("0.1234567890123456789012345")); j("exp", R("1e400")); j("neg zero", R("-0", "0"))
j("dates", R('"2024-01-31"', '"2024-02-01"')); j("timestamps", R('"2024-01-31T10:00:00Z"')); j("date+text", R('"2024-01-31"', '"x"')); j("num text", R('"1"', '"2"'))
j("dup keys", '{"v":1,"v":2}\n'); j("dup keys text", '{"v":1,"v":"a"}\n'); j("order", '{"a":1,"b":2}\n{"b":3,"a":4}\n'); j("unicode esc", R('"\\u00fc\\ud83d\\ude00"')); j("key esc", '{"\\u0076":1}\n'); j("nul esc", R('"a\\u0000b"'))
j("bom", b"\xef\xbb\xbf" + R(1, 2).encode()); j("bom second", {"1.json": R(1), "2.json": b"\xef\xbb\xbf" + R(2).encode()})
j("nan", R("NaN", 1)); j("inf", R("Infinity")); j("single quote", "{'v':1}\n"); j("unquoted", "{v:1}\n"); j("comment", "/* a */{\"v\":1}\n"); j("trailing comma", '{"v":1,}\n'); j("leading zero", R("01"))
j("top array", "[" + '{"v":1},{"v":2}' + "]"); j("top array lines", "[\n" + '{"v":1},\n{"v":2}\n' + "]\n"); j("array per line", '[{"v":1}]\n[{"v":2}]\n'); j("top scalars", "1\n2\n"); j("top text", '"a"\n'); j("top null", "null\n" + R(1)); j("empty array", "[]"); j("array scalars", "[1,2]")
j("several lines", '{\n "v":\n 1\n}\n'); j("several objs lines", '{\n "v": 1}\n{\n "v": 2}\n'); j("one line two", '{"v":1} {"v":2}\n'); j("crlf", '{"v":1}\r\n{"v":2}\r\n'); j("cr", '{"v":1}\r{"v":2}'); j("blank lines", '\n{"v":1}\n\n \n{"v":2}\n\n'); j("no newline", '{"v":1}')
j("empty", ""); j("empty + rows", {"1.json": "", "2.json": R(1)}); j("space only", " \n\n"); j("garbage end", R(1) + "xyz\n"); j("cut", '{"v":1}\n{"v":'); j("cut pretty", '[\n{"v":1},\n{"v":'); j("array end missing", '[{"v":1}'); j("after array", '[{"v":1}]\nxyz'); j("line sep", R('"a\u2028b"')); j("raw newline", '{"v":"a\nb"}\n'); j("raw tab", '{"v":"a\tb"}\n')
j("gz", {"a.json.gz": gzip.compress(R(1).encode())}); j("bz2", {"a.json.bz2": bz2.compress(R(1).encode())}); j("zst", {"a.json.zst": zstandard.compress(R(1).encode())}); j("gz two", {"a.json.gz": gzip.compress(R(1).encode()) + gzip.compress(R(2).encode())}); j("gz cut", {"a.json.gz": gzip.compress(R(*range(5000)).encode())[:-200]}); j("gz named plain", {"a.json": gzip.compress(R(1).encode())}); j("plain named gz", {"a.json.gz": R(1)})
j("dot key", '{"a.b":1}\n'); j("empty key", '{"":1}\n'); j("case keys", '{"V":1}\n'); j("corrupt col", '{"_corrupt_record":"a","v":1}\n'); j("latin", '{"v":"gr\xf6\xdfe"}\n'.encode("latin-1")); j("deep", R("[" * 40 + "1" + "]" * 40)); j("very deep", R("[" * 1500 + "1" + "]" * 1500))
# declared
for kind, bad in {"int": ["1.5", '"a"', '"1"', "true", "99999999999", "[1]", '{"a":1}', "1e2", "1.0", "-0"], "long": ["1.5", '"5"', "9223372036854775808", "1e3", "true"], "double": ['"a"', '"1.5"', "true", "1e400", '"NaN"', "NaN", '"Infinity"', "10000000000000000000000000"],
   "float": ["1e300", "0.1"], "boolean": ["1", '"true"', '"yes"', "0"], "string": ["1", "true", "1.50", '{"a": 1}', "[1, 2]", "1e2", "12345678901234567890123"], "date": ['"2024-01-31"', '"2024-13-01"', '"31.01.2024"', "19000", '"2024-01-31T10:00:00"', '""', '"2024-1-5"', "true"],
   "timestamp": ['"2024-01-31T10:00:00Z"', '"2024-01-31 10:00:00"', '"2024-01-31"', '"x"', "1700000000", "true", '""'], "timestamp_ntz": ['"2024-01-31T10:00:00"', '"2024-01-31T10:00:00Z"', '"x"', "5"], "decimal(5,2)": ["1.5", "1.005", "1234.5", '"1.5"', '"x"', "1e2", "true", "0.125"],
   "array<int>": ["[1,2]", "[]", "1", '["a"]', "[1.5]", "[null]", '{"a":1}', '"[1]"'], "struct<a:int,b:string>": ['{"a":1}', '{"b":2,"a":3}', "[1]", "1", '{"a":"x"}', '{"a":1,"c":2}', '"{}"'], "map<string,int>": ['{"x":1}', '{"x":"a"}', "[1]", "{}"], "binary": ['"aGk="', "1"], "short": ["40000", "7"], "byte": ["300"]}.items():
    for b in bad:
        j(f"as {kind}: {b}", '{"id":1,"v":null}\n{"id":2,"v":%s}\n' % b, {"id": "int", "v": kind})
j("schema lacks", '{"id":1,"w":2}\n', {"id": "int", "v": "int"}); j("schema case", '{"ID":1}\n', {"id": "int"}); j("schema order", '{"v":1,"id":2}\n', {"id": "int", "v": "int"}); j("schema dup", '{"id":1,"id":2}\n', {"id": "int"}); j("schema garbage", '{"id":1}\nxyz\n', {"id": "int"}); j("schema all missing", '{"x":1}\n', {"id": "int"}); j("schema empty", "", {"id": "int"}); j("schema top array nums", "[1,2]", {"id": "int"}); j("schema null line", 'null\n{"id":1}\n', {"id": "int"}); j("schema nested dup", '{"v":{"a":1,"a":2}}\n', {"v": "struct<a:int>"}); j("schema nan", R("NaN"), {"v": "double"}); j("schema nan opt", R("NaN"), {"v": "double"}, allowNonNumericNumbers=True)

@pytest.mark.timeout(900)
def test_explore(lab: Lab, engine, monkeypatch):
    out = open("/tmp/rest13-x/json.txt", "w")
    session = lab.session
    monkeypatch.setattr("lab.engine_session.session", lambda s: contextmanager(lambda: iter([session]))())
    only = os.environ.get("ONLY")
    for name, (files, schema, options) in J.items():
        if only and only not in name: continue
        began = time.monotonic()
        with Lab(engine, "e") as here:
            here._session = session
            for f, d in files.items():
                (here.landing / f).write_bytes(d if isinstance(d, bytes) else d.encode())
            src = {"kind": "files", "format": "json", "path": here.path("*.json*"), "options": options, **({"schema": schema} if schema else {})}
            try:
                text = here.pipeline({"id": "raw", "type": "source", "source": src}, sink("out", here.named("out"), "overwrite"), flow="raw>out")
                step = here.prepare(text)
                reads = step.run.reads_of("raw")
                with step.frames.reading("raw", reads):
                    frame = step.frames.frame("raw", reads)
                    said = "ROWS " + str([r.asDict(True) for r in frame.collect()]) + " " + frame.schema.simpleString()
            except Exception as e:
                said = f"X {type(e).__name__}: {str(e)[:500]}"
            try:
                cols = ", columns={%s}" % ", ".join(f"'{k}': '{t}'" for k, t in {k: t.replace("long","bigint").replace("timestamp_ntz","timestamp").replace("string","varchar").replace("array<int>","int[]").replace("struct<a:int,b:varchar>","struct(a int, b varchar)").replace("struct<a:int>","struct(a int)").replace("map<varchar,int>","map(varchar,int)").replace("byte","tinyint").replace("short","smallint").replace("binary","blob") for k, t in schema.items()}.items()) if schema else ""
                duck = str(duckdb.sql(f"SELECT * FROM read_json('{here.landing}/*.json*', union_by_name=true{cols})").fetchall())
            except Exception as e:
                duck = "X " + str(e).replace(str(here.landing), "")[:160]
        print(f"{name} [{time.monotonic()-began:.1f}]\n   {said}\n   DUCK {duck}".replace(here.ns, "NS"), file=out, flush=True)
