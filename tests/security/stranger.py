"""What a local account without any credentials can try on the ports and sockets of an engine.

Run by /usr/bin/python3 as that account, with this file on standard input; it uses the standard library only. Its last
argument is JSON: {"ports": [...], "sockets": [...], "grpc": [...], "spark": {name: hex}, "headers": {...}}.
Prints JSON: {"port or path": {"conversation": [verdict, detail]}}. A verdict is `granted`, `credentials` (it wants some),
`refused` (it does not speak this way) or `silent`.
"""

import json
import socket
import struct
import sys
from concurrent.futures import ThreadPoolExecutor

PATIENCE = 10
AT_ONCE = 16


def talk(port, data, enough):
    """Send `data`; all that comes back until it is enough, the end of the conversation, or nothing more comes."""
    got = b""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection:
            connection.sendall(data)
            while not enough(got):
                more = connection.recv(65536)
                if not more:
                    return got, True
                got += more
    except TimeoutError:
        return got, False
    except OSError:
        return got, True
    return got, False


def verdict(granted, wants, got, ended):
    """`wants` is in what a server says that asks for credentials."""
    if granted:
        return ["granted", repr(got[:120])]
    return ["credentials" if wants in got else "refused" if got or ended else "silent", repr(got[:120])]


def py4j(port):
    """Ask for a system property, as Py4J's client does; a server with a token wants that first."""
    got, ended = talk(port, b"c\nz:java.lang.System\ngetProperty\nsjava.version\ne\n", lambda got: got.endswith(b"\n"))
    return verdict(got.startswith(b"!ys"), b"Authentication error", got, ended)


def http(port):
    request = "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    for path in ("/get_or_create_runtime_env", "/api/job_agent/jobs/", "/metrics", "/"):
        got, ended = talk(port, (request % path).encode(), lambda got: b"\r\n\r\n" in got)
        status = got.split(b" ")[1:2]
        if got.startswith(b"HTTP/1") and status and status[0][:1] in b"235":
            return verdict(True, b"", got, ended)
        if status and status[0] == b"401":
            break
    return verdict(False, b" 401 ", got, ended)


def frame(kind, flags, stream, payload=b""):
    return struct.pack("!I", len(payload))[1:] + bytes([kind, flags]) + struct.pack("!I", stream) + payload


def literal(name, value):
    """A header field of HTTP/2, not indexed and not compressed."""
    length = bytes([len(value)]) if len(value) < 127 else b"\x7f" + bytes([len(value) - 127])
    return b"\x00" + bytes([len(name)]) + name + length + value


def grpc(port, method, headers):
    """Call a method with an empty message; granted when the server executes it."""
    fields = [(":method", "POST"), (":scheme", "http"), (":path", method), (":authority", "localhost")]
    # Ray's syncer ends its whole process where nobody says who calls.
    fields += [("content-type", "application/grpc"), ("te", "trailers"), ("node_id", "00" * 28), *headers.items()]
    block = b"".join(literal(name.encode(), value.encode()) for name, value in fields)
    data = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0) + frame(1, 4, 1, block) + frame(0, 1, 1, bytes(5))
    got, ended = talk(port, data, lambda got: status_of(got) is not None)
    status = status_of(got)
    if status is None:
        return ["refused" if got or ended else "silent", repr(got[:120])]
    # 12: there is no such method here. Others say something about the message, which was therefore looked at.
    return [{7: "credentials", 12: "refused", 16: "credentials"}.get(status, "granted"), f"grpc-status {status}"]


def methods(port, names, headers):
    """All methods, where the first shows that it is a server of this kind."""
    first = grpc(port, names[0], headers)
    rest = names[1:] if first[1].startswith("grpc-status") else []
    return {names[0]: first, **{name: grpc(port, name, headers) for name in rest}}


def status_of(got):
    at = got.find(b"grpc-status")
    if at < 0 or len(got) < at + 13:
        return None
    length = got[at + 11]
    text = got[at + 12 : at + 12 + length]
    return int(text) if text.isdigit() else None


def spark(port, content):
    """One request of Spark's RPC. An answer is a frame of type 4, a failure one of type 5."""
    body = bytes.fromhex(content)
    header = struct.pack("!bqi", 3, 7, len(body))
    data = struct.pack("!q", 8 + len(header) + len(body)) + header + body
    got, ended = talk(port, data, lambda got: len(got) > 8 and len(got) >= struct.unpack("!q", got[:8])[0])
    wants = b"Unknown challenge message"
    return verdict(got[8:9] == b"\x04" or (got[8:9] == b"\x05" and wants not in got), wants, got, ended)


def door(port):
    """Python's multiprocessing: whoever connects is challenged; a wrong answer ends it."""
    answer = struct.pack("!i", 20) + b"{sha256}" + bytes(12)
    got, ended = talk(port, answer, lambda _: False)
    return verdict(b"#WELCOME#" in got, b"#CHALLENGE#", got, ended)


def python_worker(port):
    """Spark's daemon of Python workers: it names the worker that it forks, which wants a secret first."""
    got, ended = talk(port, struct.pack("!i", 5) + b"wrong", lambda got: len(got) >= 11)
    return verdict(got[4:] == b"\x00\x00\x00\x02ok", b"\x00\x00\x00\x03err", got, ended)


def path(name):
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.connect(name)
        except OSError as error:
            return ["refused", repr(error)]
    return ["granted", "connected"]


def main():
    task = json.loads(sys.argv[-1])
    said = {name: {"connect": path(name)} for name in task["sockets"]}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        waiting = [
            (str(port), name, pool.submit(try_it, port, *more))
            for port in task["ports"]
            for name, try_it, *more in [
                ("py4j", py4j),
                ("http", http),
                ("door", door),
                ("python_worker", python_worker),
                *((name, spark, content) for name, content in task["spark"].items()),
                *([("", methods, task["grpc"], task["headers"])] if task["grpc"] else []),
            ]
        ]
        for port, name, answer in waiting:
            said.setdefault(port, {}).update({name: answer.result()} if name else answer.result())
    print(json.dumps(said))


main()
