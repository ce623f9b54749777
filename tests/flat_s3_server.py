"""An S3 server for tests whose keys are any texts, as in S3 itself; versitygw keeps files, and so has no `a//b`."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, quote, unquote, urlsplit
from xml.sax.saxutils import escape

_WHEN = "Mon, 01 Jan 2024 00:00:00 GMT"


@contextmanager
def running_flat_s3(keys: Mapping[str, bytes]) -> Iterator[str]:
    """The address of a server with one bucket, of whatever name, that holds `keys`. It lists and reads only."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:
            pass

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            asked = {name: values[-1] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
            key = unquote(parts.path).lstrip("/").partition("/")[2]
            if not key:
                written = quote if "encoding-type" in asked else escape
                listing = _listing(keys, asked.get("prefix", ""), asked.get("delimiter", ""), written)
                self._answer(200, listing.encode())
            elif key not in keys:
                self._answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
            elif given := self.headers.get("Range"):
                first, last = given.partition("=")[2].split("-")
                self._answer(206, keys[key][int(first) : int(last) + 1], f"bytes {first}-{last}/{len(keys[key])}")
            else:
                self._answer(200, keys[key])

        def _answer(self, status: int, data: bytes, part: str = "") -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.send_header("Last-Modified", _WHEN)
            if part:
                self.send_header("Content-Range", part)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def _listing(keys: Mapping[str, bytes], prefix: str, delimiter: str, written: Callable[[str], str]) -> str:
    found: dict[str, str] = {}
    for key in sorted(keys):
        rest = key.removeprefix(prefix)
        if not key.startswith(prefix):
            continue
        if delimiter and delimiter in rest:
            folder = written(f"{prefix}{rest.split(delimiter)[0]}{delimiter}")
            found[folder] = f"<CommonPrefixes><Prefix>{folder}</Prefix></CommonPrefixes>"
        else:
            size = f"<Size>{len(keys[key])}</Size><LastModified>2024-01-01T00:00:00.000Z</LastModified>"
            found[key] = f"<Contents><Key>{written(key)}</Key>{size}</Contents>"
    return (
        f"<ListBucketResult><Prefix>{written(prefix)}</Prefix><KeyCount>{len(found)}</KeyCount>"
        f"<IsTruncated>false</IsTruncated>{''.join(found.values())}</ListBucketResult>"
    )
