"""A confined process reaches what its fence names, and nothing else. Real processes on the real kernel."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from drls_dagster.fences import enter, places
from drls_dagster.fences.fence import Account, Fence
from drls_dagster.fences.fences import can_hide, can_own_pids, code_fence, confined, found
from drls_dagster.settings import load_settings
from tests.waiting import wait_until

pytestmark = pytest.mark.skipif(not enter.landlock_abi(), reason="this kernel has no Landlock")
NOBODY = 65_534
NAMESPACE = pytest.mark.skipif(not can_own_pids(), reason="no namespace of process ids can be made here")


@pytest.fixture
def home(drls_home: Path) -> Path:
    """A home with a secret, and a folder that the fence allows."""
    (drls_home / "open").mkdir(parents=True)
    (drls_home / "secret").write_text("sesame")
    (drls_home / "secret").chmod(0o600)
    return drls_home


@pytest.fixture
def fence(home: Path) -> Fence:
    made = code_fence(load_settings(home), write=[str(home / "open")])
    assert made is not None
    return made


def tried(fence: Fence, code: str) -> str:
    """What a confined Python says at the end of `code`: `ok`, or the name of the error that stopped it."""
    text = "\n".join(["try:", *(f"    {line}" for line in code.splitlines()), "    print('ok')",
                      "except Exception as error: print(type(error).__name__)"])  # fmt: skip
    done = subprocess.run(confined(fence, [sys.executable, "-c", text]), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().splitlines()[-1]


def test_reads_and_writes_only_what_the_fence_names(fence: Fence, home: Path) -> None:
    assert tried(fence, f"open('{home}/open/a', 'w').write('x')") == "ok"
    assert tried(fence, f"open('{home}/open/a').read()") == "ok"
    assert tried(fence, f"open('{home}/secret').read()") == "PermissionError"
    assert tried(fence, f"open('{home}/new', 'w')") == "PermissionError"
    assert tried(fence, f"import os; os.listdir('{home}')") == "PermissionError"
    assert tried(fence, f"import os; os.truncate('{home}/secret', 0)") == "PermissionError"
    assert tried(fence, f"import os; os.rename('{home}/secret', '{home}/open/secret')") == "PermissionError"
    assert tried(fence, "open('/etc/shadow').read()") == "PermissionError"


def test_files_can_be_touched_and_copied_with_their_times(fence: Fence, home: Path) -> None:
    touch = f"from pathlib import Path; new = Path('{home}/open/new'); new.touch(); new.touch(); assert new.exists()"
    assert tried(fence, touch) == "ok"
    assert tried(fence, f"import shutil; shutil.copy2('{home}/open/new', '{home}/open/copy')") == "ok"
    assert tried(fence, f"import os; os.utime('{home}/secret')") == "PermissionError"


def test_no_setting_opens_what_drls_keeps_for_itself(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "landing").mkdir()
    monkeypatch.setenv("DRLS_FENCE__READ", json.dumps([str(home), str(home / "secret"), str(home / "landing")]))
    monkeypatch.setenv("DRLS_FENCE__WRITE", json.dumps([str(home / "secret")]))
    load_settings.__globals__["_load"].cache_clear()
    fence = code_fence(load_settings(home))
    assert fence is not None
    assert tried(fence, f"open('{home}/secret').read()") == "PermissionError"
    assert tried(fence, f"import os; os.listdir('{home}/landing')") == "ok"


def test_a_link_leads_nowhere_that_the_fence_does_not_name(fence: Fence, home: Path) -> None:
    (home / "open" / "link").symlink_to(home / "secret")
    assert tried(fence, f"open('{home}/open/link').read()") == "PermissionError"
    assert tried(fence, f"import os; os.link('{home}/secret', '{home}/open/hard')") in {"OSError", "PermissionError"}


def test_modes_owners_and_times_of_files_outside_stay(fence: Fence, home: Path) -> None:
    before = (home / "secret").stat()
    assert tried(fence, f"import os; os.chmod('{home}/secret', 0o666)") == "ok"
    assert tried(fence, f"import os; os.utime('{home}/secret', (1, 1))") == "ok"
    assert tried(fence, f"import os; os.chown('{home}/secret', {NOBODY}, {NOBODY})") == "PermissionError"
    assert tried(fence, f"import os; os.setxattr('{home}/secret', 'user.a', b'1')") == "PermissionError"
    after = (home / "secret").stat()
    assert (after.st_mode, after.st_mtime, after.st_uid) == (before.st_mode, before.st_mtime, before.st_uid)


def test_copies_files_as_any_program_does(fence: Fence, home: Path) -> None:
    (home / "open" / "a").write_text("x")
    assert tried(fence, f"import shutil; shutil.copy2('{home}/open/a', '{home}/open/b')") == "ok"
    assert (home / "open" / "b").read_text() == "x"


def test_reaches_no_unix_socket(fence: Fence, home: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        where = os.path.relpath(home / "s")
        server.bind(where)
        server.listen()
        assert tried(fence, f"import socket; socket.socket(socket.AF_UNIX).connect('{home}/s')") == "PermissionError"
    for way in ("socket.SOCK_DGRAM", "socket.SOCK_DGRAM | socket.SOCK_CLOEXEC"):
        assert tried(fence, f"import socket; socket.socketpair(socket.AF_UNIX, {way})") == "PermissionError"
    assert tried(fence, "import socket; socket.socketpair()") == "ok"


@pytest.mark.parametrize(("network", "ports"), [("none", False), ("listed", True)])
def test_network_is_limited_to_the_ports_named(fence: Fence, network: str, ports: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as allowed, socket.create_server(("127.0.0.1", 0)) as other:
        here = allowed.getsockname()[1]
        limited = replace(fence, network=network, ports=(here,) if ports else ())
        code = "import socket; socket.create_connection(('127.0.0.1', {})).close()"
        assert tried(limited, code.format(here)) == ("ok" if ports else "PermissionError")
        assert tried(limited, code.format(other.getsockname()[1])) == "PermissionError"
        assert tried(limited, "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM)") == "PermissionError"
        assert tried(fence, code.format(here)) == "ok"


@pytest.mark.parametrize("own_pids", [False, pytest.param(True, marks=NAMESPACE)])
def test_nothing_outside_is_signalled_traced_or_read(fence: Fence, own_pids: bool) -> None:
    parent = os.getpid()
    fence = replace(fence, own_pids=own_pids)
    refused = "ProcessLookupError" if own_pids else "PermissionError"
    assert tried(fence, f"import os, signal; os.kill({parent}, 0)") == refused
    for name in ("environ", "mem", "maps", "cwd/x", "root/etc/passwd", "fd/0"):
        assert tried(fence, f"open('/proc/{parent}/{name}', 'rb').read(1)") in {"PermissionError", "FileNotFoundError"}
    call = "import ctypes; found = ctypes.CDLL(None, use_errno=True).{}; assert found >= 0, ctypes.get_errno()"
    for attack in (f"ptrace(16, {parent}, 0, 0)", "unshare(0x10000000)", "syscall(425, 8, 0)",
                   f"syscall(302, {parent}, 7, 0, 0)", f"process_vm_readv({parent}, 0, 0, 0, 0, 0)"):  # fmt: skip
        assert tried(fence, call.format(attack)) == "AssertionError", attack


def test_keeps_no_capability(fence: Fence) -> None:
    code = "assert next(line.split()[1] for line in open('/proc/self/status') if line.startswith('CapEff')).strip('0') == ''"
    assert tried(fence, code) == "ok"


def test_holds_for_what_it_starts(fence: Fence, home: Path) -> None:
    code = f"import subprocess; subprocess.run(['cat', '{home}/secret'], check=True, capture_output=True)"
    assert tried(fence, code) == "CalledProcessError"
    assert tried(fence, "import threading; one = threading.Thread(target=print); one.start(); one.join()") == "ok"


def test_a_command_that_cannot_be_confined_does_not_run(home: Path) -> None:
    fence = {**json.loads(Fence().to_json()), "account": {"name": "x", "uid": -1, "gid": -1}}
    started = [sys.executable, "-I", "-S", enter.__file__, json.dumps(fence), "--", "/bin/echo", "ran"]
    done = subprocess.run(started, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "ran" not in done.stdout


@pytest.mark.skipif(not can_hide(), reason="no mount namespace can be made here")
def test_hides_a_folder_but_for_what_it_may_reach(fence: Fence, home: Path) -> None:
    (home / "open" / "a").write_text("x")
    hiding = replace(fence, strict=False, hide=(str(home),))
    assert tried(hiding, f"open('{home}/open/a').read()") == "ok"
    assert tried(hiding, f"import os; os.stat('{home}/secret')") == "FileNotFoundError"
    assert (home / "secret").read_text() == "sesame"


@NAMESPACE
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_all_that_it_started_ends_with_it(fence: Fence, home: Path, number: signal.Signals) -> None:
    code = (
        "import subprocess, time\n"
        "one = subprocess.Popen(['sleep', '1000.5'], start_new_session=True)\n"
        f"open('{home}/open/ready', 'w').close(); time.sleep(1000)"
    )
    with subprocess.Popen(confined(fence, [sys.executable, "-c", code])) as started:
        wait_until((home / "open" / "ready").exists)
        (inside,) = psutil.Process(started.pid).children()
        below = inside.children(recursive=True)
        assert [one.cmdline() for one in below] == [["sleep", "1000.5"]]
        started.send_signal(number)
    assert psutil.wait_procs([inside, *below], timeout=10)[1] == []


@NAMESPACE
@pytest.mark.slow
@pytest.mark.parametrize("seed", range(40))
def test_ends_with_what_it_started_at_any_moment(fence: Fence, home: Path, seed: int) -> None:
    """Also where whoever starts it ignores the signal."""
    chance = random.Random(seed)
    mark = f"{home}/{seed}"
    code = f"import subprocess, time; subprocess.Popen(['sh', '-c', 'sleep 1000', '{mark}']); time.sleep(1000)"
    before = signal.signal(signal.SIGTERM, chance.choice([signal.SIG_IGN, signal.SIG_DFL]))
    try:
        process = subprocess.Popen(confined(fence, [sys.executable, "-c", code, mark]))
    finally:
        signal.signal(signal.SIGTERM, before)
    with process:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=chance.uniform(0, 0.4))
        # Before it has begun to listen, an ignored signal is ignored.
        while process.poll() is None:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=5)
    assert process.returncode < 0
    wait_until(lambda: not [one for one in psutil.process_iter(["cmdline"]) if mark in (one.info["cmdline"] or [])])


@NAMESPACE
def test_ends_as_the_confined_program_does(fence: Fence) -> None:
    assert fence.own_pids
    assert subprocess.run(confined(fence, ["/bin/sh", "-c", "exit 7"]), check=False).returncode == 7
    killed = [sys.executable, "-c", "import os, signal; signal.raise_signal(signal.SIGABRT)"]
    assert subprocess.run(confined(replace(fence, own_pids=False), killed), check=False).returncode == -signal.SIGABRT


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another account")
def test_becomes_the_account(home: Path) -> None:
    made = Fence(read=("/usr", "/lib", "/lib64", "/bin", "/etc/ld.so.cache"), account=Account("nobody", NOBODY, NOBODY))
    done = subprocess.run(confined(made, ["/usr/bin/id", "-u"]), capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(NOBODY)


def test_says_which_fence_is_on(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert found(load_settings(home)).kind == "landlock"
    monkeypatch.setenv("DRLS_FENCE__MODE", "off")
    load_settings.__globals__["_load"].cache_clear()
    assert found(load_settings(home)).kind == "none"
    assert code_fence(load_settings(home)) is None


def test_the_devices_of_a_fence_are_found_from_inside_of_one(fence: Fence) -> None:
    """The engine is fenced, and makes the fences of steps and of Spark's Python."""
    asked = f"import runpy; print(runpy.run_path({places.__file__!r})['device_places']())"
    done = subprocess.run(confined(fence, [sys.executable, "-c", asked]), capture_output=True, text=True, check=False)
    assert (done.stderr, done.stdout) == ("", f"{places.device_places()}\n")
