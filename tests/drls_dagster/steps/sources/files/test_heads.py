"""What a file is, by its beginning: never taken for text that it is not (finding 24, F9 and F17)."""

from __future__ import annotations

import bz2
import gzip
import lzma
from pathlib import Path

import pyarrow as pa
import pytest

from drls_dagster.steps.sources.files.csv_header import Dialect, header_of
from drls_dagster.steps.sources.files.heads import Head, heads_of
from drls_dagster.steps.sources.files.hive import folders_of
from drls_dagster.steps.sources.files.json_files import _is_laid_out, _records
from drls_dagster.steps.sources.pins import SourceUnreadable


@pytest.mark.parametrize("ending", ["br", "Z", "zz", "lzo", "lzma", "sz"])
def test_a_compression_that_is_not_read_is_refused_by_the_files_name(tmp_path: Path, ending: str) -> None:
    """Failed before: the file was "not UTF-8; set its encoding", or contained zero bytes."""
    for data in (b"\x0b\x02\x80id,who\n\x03", b"id,who\n"):
        with pytest.raises(
            SourceUnreadable, match=rf"a\.csv\.{ending} is named as compressed with .*; decompress it, or"
        ):
            head(tmp_path, f"a.csv.{ending}", data)


TEXT = "id,who\n1,größe\n"


def head(tmp_path: Path, name: str, data: bytes, encoding: str | None = None) -> Head:
    path = tmp_path / name
    path.write_bytes(data)
    return heads_of("raw", [(str(path), str(path))], encoding, "CSV file")[0]


def packed(codec: str) -> bytes:
    out = pa.BufferOutputStream()
    with pa.CompressedOutputStream(out, codec) as stream:
        stream.write(TEXT.encode())
    return out.getvalue().to_pybytes()


def packed_plainly(codec: str) -> bytes:
    return pa.compress(TEXT.encode(), codec=codec, asbytes=True)


@pytest.mark.parametrize(
    ("name", "data", "encoding"),
    [
        ("a.csv", TEXT.encode(), None),
        ("bom.csv", b"\xef\xbb\xbf" + TEXT.encode(), None),
        ("wide.csv", TEXT.encode("utf-16"), None),
        ("be.csv", b"\xfe\xff" + TEXT.encode("utf-16-be"), "UTF-16"),
        ("le.csv", TEXT.encode("utf-16-le"), "UTF-16LE"),
        ("nomark.csv", TEXT.encode("utf-16-be"), "utf-16"),
        ("quad.csv", TEXT.encode("utf-32"), None),
        ("latin.csv", TEXT.encode("latin-1"), "ISO-8859-1"),
        ("windows.csv", TEXT.encode("cp1252"), "windows-1252"),
        ("a.csv.gz", gzip.compress(TEXT.encode()), None),
        ("two.csv.gz", gzip.compress(TEXT[:5].encode()) + gzip.compress(TEXT[5:].encode()), None),
        ("a.csv.GZ", gzip.compress(TEXT.encode()), None),
        ("a.csv.bz2", bz2.compress(TEXT.encode()), None),
        ("a.csv.xz", lzma.compress(TEXT.encode()), None),
        ("a.csv.zst", packed("zstd"), None),
        ("a.csv.lz4", packed("lz4"), None),
        ("wide.csv.gz", gzip.compress(TEXT.encode("utf-16")), None),
    ],
)
def test_text_is_found_whatever_its_packing_and_encoding(
    tmp_path: Path, name: str, data: bytes, encoding: str | None
) -> None:
    assert head(tmp_path, name, data, encoding).text.removeprefix("\ufeff") == TEXT


@pytest.mark.parametrize(
    ("name", "data", "encoding", "told"),
    [
        ("b.csv.zip", b"PK\x03\x04abc", None, "is not a CSV file but a ZIP archive"),
        ("b.csv", b"PK\x03\x04abc", None, "is not a CSV file but a ZIP archive"),
        ("b.csv", b"PAR1abcPAR1", None, "read it with `format: parquet`"),
        ("b.csv", gzip.compress(b"id\n"), None, "is compressed with gz, but its name does not say so"),
        ("b.csv.gz", b"id\n1\n", None, "is named as if compressed, but is not"),
        ("b.csv.gz", gzip.compress(gzip.compress(b"id\n")), None, "is compressed twice"),
        ("b.csv.gz", gzip.compress(b"id\n1\n" * 100)[:-20], None, "cannot be decompressed"),
        ("b.csv.gz", gzip.compress(b"a" * 257 + b"ustar" + b"x" * 400), None, "tar archive"),
        (
            "b.csv",
            TEXT.encode("latin-1"),
            None,
            r"is not UTF-8: byte 11 \(0xf6\) cannot be decoded; set its `encoding`",
        ),
        ("b.csv", TEXT.encode("latin-1"), "utf-8", "is not UTF-8: byte 11"),
        ("b.csv", b"id\n\x81\n", "windows-1252", "byte 3"),
        ("b.csv", TEXT.encode("utf-16-le"), None, "set `encoding: UTF-16LE`"),
        ("b.csv", TEXT.encode("utf-16-be"), None, "set `encoding: UTF-16BE`"),
        ("b.csv", TEXT.encode("utf-16"), "ISO-8859-1", "starts with the byte order mark of UTF-16"),
        ("b.csv", TEXT.encode(), "klingon", "the encoding 'klingon' is unknown"),
        ("b.csv", b"\n<!DOCTYPE html>\n<html>404", None, "is not a CSV file but an HTML page"),
        ("b.csv.snappy", b"\xff\x06\x00\x00sNaPpY", None, "is not in Hadoop's form of Snappy"),
        ("b.csv.snappy", packed_plainly("snappy"), None, "is not in Hadoop's form of Snappy"),
    ],
)
def test_what_is_no_text_is_refused_by_name(
    tmp_path: Path, name: str, data: bytes, encoding: str | None, told: str
) -> None:
    """Finding 24; failed on 0.1.0, which published what came out."""
    with pytest.raises(SourceUnreadable, match=told) as refused:
        head(tmp_path, name, data, encoding)
    assert "klingon" in told or name in str(refused.value)


def test_only_the_beginning_of_a_file_is_read(tmp_path: Path) -> None:
    found = head(tmp_path, "long.csv", b"id\n" + b"1\n" * 1_000_000)
    assert not found.whole
    assert len(found.text) == 64 * 1024


@pytest.mark.parametrize(
    ("text", "options", "names"),
    [
        ("id,t\n1,a\n", {}, ["id", "t"]),
        ('"id","a ""b"", c"\n', {}, ["id", 'a "b", c']),
        ("\n  \n#x\nid;t\r\n", {"sep": ";", "comment": "#"}, ["id", "t"]),
        ("id\tt\r1\t2\r", {"delimiter": "\\t"}, ["id", "t"]),
        ("id||t\n", {"sep": "||"}, ["id", "t"]),
        ('id,"t\nu"\n1,2\n', {"multiline": "true"}, ["id", "t\nu"]),
        ("'a,b',c\n", {"quote": "'"}, ["a,b", "c"]),
        ("id,,t,", {}, ["id", "", "t", ""]),
    ],
)
def test_a_header_is_read_as_spark_reads_it(text: str, options: dict[str, str], names: list[str]) -> None:
    assert header_of(Head("a.csv", text=text), Dialect.of(options)) == names


def test_hadoops_own_snappy_is_left_to_spark(tmp_path: Path) -> None:
    data = packed_plainly("snappy")
    framed = len(TEXT.encode()).to_bytes(4) + len(data).to_bytes(4) + data
    assert head(tmp_path, "a.csv.snappy", framed).opaque


@pytest.mark.parametrize(
    ("text", "laid_out", "records"),
    [
        ('{"a":1}\n{"a":2}\n', False, ['{"a":1}', '{"a":2}']),
        ('[\n{"a":1},\n{"a":[2]}\n]\n', True, ['{"a":1}', '{"a":[2]}']),
        ('[{"a":1},{"a":2}]', False, ['{"a":1}', '{"a":2}']),
        ('{"a":1}{"a":2}\n', True, ['{"a":1}', '{"a":2}']),
        ('{\n"a":1\n}\n{\n"a":2\n}', True, ['{\n"a":1\n}', '{\n"a":2\n}']),
        ("[\n]", True, []),
    ],
)
def test_json_records_are_found_however_they_are_laid_out(text: str, laid_out: bool, records: list[str]) -> None:
    """Finding 24, F8; failed on 0.1.0, which made rows of nulls of their lines."""
    assert _is_laid_out(Head("a.json", text=text)) == laid_out
    for size in (1, 3, 1000):
        pieces = (text[at : at + size] for at in range(0, len(text), size))
        assert list(_records(pieces, cut=False)) == records


@pytest.mark.parametrize(
    ("folders", "declared", "kinds"),
    [
        (["day=2024-01-01", "day=2024-01-02"], {}, {"day": "date"}),
        (["n=1", "n=-20"], {}, {"n": "long"}),
        (["n=01", "n=02"], {}, {"n": "string"}),
        (["n=1", "n=x"], {}, {"n": "string"}),
        (["n=1", "n=2"], {"N": "string"}, {"n": "string"}),
        (["at=2024-01-01 10%3A00%3A00"], {}, {"at": "timestamp_ntz"}),
        (["day=2024-13-01"], {}, {"day": "string"}),
        (["k=__HIVE_DEFAULT_PARTITION__", "k=1"], {}, {"k": "long"}),
    ],
)
def test_hive_folders_give_columns_of_the_types_that_duckdb_finds(
    folders: list[str], declared: dict[str, str], kinds: dict[str, str]
) -> None:
    """Finding 24, F5; failed on 0.1.0, which left them out."""
    assert folders_of("raw", [f"/l/{folder}/a.csv" for folder in folders], "/l", declared).kinds == kinds


@pytest.mark.parametrize(
    ("files", "declared", "told"),
    [
        (["/l/k=1/a.csv", "/l/a.csv"], {}, "the folders of /l/a.csv give the columns none, those of /l/k=1/a.csv k"),
        (["/l/k=x/a.csv"], {"k": "int"}, "the folder k=x of /l/k=x/a.csv is not a valid int"),
        (["/l/k=/a.csv"], {}, "has no value"),
        (["/l/k=1/K=2/a.csv"], {}, "gives the column 'K' twice"),
    ],
)
def test_hive_folders_that_do_not_fit_are_refused_by_name(
    files: list[str], declared: dict[str, str], told: str
) -> None:
    with pytest.raises(SourceUnreadable, match=told):
        folders_of("raw", files, "/l", declared)
