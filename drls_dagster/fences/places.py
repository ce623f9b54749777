"""What any Python program needs of a machine: its interpreter, libraries, and the system's own files. Read only."""

from __future__ import annotations

import os
import site
import sys
import sysconfig
from collections.abc import Iterable
from functools import cache
from pathlib import Path

_SYSTEM = ("/usr", "/lib", "/lib32", "/lib64", "/bin", "/sbin", "/nix/store", "/proc", "/sys")
# Not the whole of /etc: there are passwords and other programs' credentials in it.
_ETC = (
    *("passwd", "group", "hosts", "host.conf", "hostname", "resolv.conf", "nsswitch.conf", "gai.conf", "services"),
    *(
        "protocols",
        "localtime",
        "timezone",
        "ld.so.cache",
        "ld.so.conf",
        "ld.so.conf.d",
        "ssl/certs",
        "ssl/openssl.cnf",
    ),
    *("ca-certificates", "pki/tls/certs", "pki/ca-trust", "alternatives", "mime.types", "fonts", "locale.conf"),
    *("os-release", "debian_version", "krb5.conf", "OpenCL", "ImageMagick-6", "magic"),
)
# No terminals: who can open one reads what is typed into it.
_DEVICES = ("null", "zero", "full", "random", "urandom")
_ACCELERATORS = ("nvidia", "dri", "kfd", "accel", "davinci", "hl")
_ACCELERATORS_BY_NAME = (
    "nvidiactl",
    "nvidia-modeset",
    "nvidia-uvm",
    "nvidia-uvm-tools",
    "nvidia-caps",
    "davinci_manager",
)
_MOST_NUMBERED = 16
_PEOPLES = ("landing", "pipelines")


@cache
def python_places() -> tuple[str, ...]:
    """The system's files, this Python, and every folder it imports from."""
    python = {sys.prefix, sys.base_prefix, sys.exec_prefix, *_import_folders(), str(Path(sys.executable).resolve())}
    etc = (f"/etc/{name}" for name in _ETC)
    # Where its name service and its certificates are links to.
    linked = (str(Path(place).resolve()) for place in ("/etc/resolv.conf", "/etc/localtime"))
    return tuple(dict.fromkeys([*_SYSTEM, *sorted(python), *etc, *linked, *_java()]))


def without(places: Iterable[str], home: Path) -> tuple[str, ...]:
    """The places, and of one that contains `home` all that is in it but the way to `home`."""
    found: list[str] = []
    for place in places:
        if not home.is_relative_to(place) or not Path(place).is_dir():
            found.append(place)
        elif Path(place) != home:
            found += without((str(one) for one in sorted(Path(place).iterdir())), home)
    return tuple(found)


def given_places(given: Iterable[str], home: Path) -> tuple[str, ...]:
    """The places that people write in settings, without those that DRLS keeps for itself in `home`."""
    return without((one for one in resolved(given) if not is_own(Path(one), home)), home)


def is_own(place: Path, home: Path) -> bool:
    """Whether DRLS keeps the place for itself: all of its home but landing and the folder of pipeline files."""
    return place.is_relative_to(home) and not any(place.is_relative_to(home / name) for name in _PEOPLES)


def resolved(given: Iterable[str]) -> tuple[str, ...]:
    """Places as people write them in settings, as absolute ones without links."""
    return tuple(str(Path(one).expanduser().resolve()) for one in given)


def device_places() -> tuple[str, ...]:
    """The devices that are safe to use, accelerators included. To be written, as devices are."""
    try:
        found = sorted(name for name in os.listdir("/dev") if name.startswith(_ACCELERATORS))
    except PermissionError:  # inside a fence, which lets see whether a name exists, but not which ones do
        numbered = (f"{name}{number}" for name in _ACCELERATORS for number in ("", *range(_MOST_NUMBERED)))
        found = [name for name in (*numbered, *_ACCELERATORS_BY_NAME) if os.path.exists(f"/dev/{name}")]
    return tuple(f"/dev/{name}" for name in (*_DEVICES, *found))


def _import_folders() -> set[str]:
    """Of a folder that is somebody's home, or holds a checkout, only the packages of DRLS in it."""
    own = Path(__file__).resolve().parents[2]
    paths = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    installed = [str(Path(one).resolve()) for one in site.getsitepackages()]
    found = {place for place in paths if place}
    for entry in sys.path:
        place = Path(entry or ".").resolve()
        if not place.exists() or place in {Path("/"), Path.home()}:
            continue
        if place == own and str(place) not in installed:
            found |= {str(place / name) for name in ("drls_dagster", "lifecycle", "agent", "examples")}
        elif str(place) in installed or _is_listed(place, installed) or place.is_file():
            found.add(str(place))
    return found


def _is_listed(place: Path, installed: list[str]) -> bool:
    """Whether a .pth file of the environment names the folder: something is installed there in editable form."""
    for folder in installed:
        for file in Path(folder).glob("*.pth"):
            if str(place) in file.read_text(errors="replace").splitlines():
                return True
    return False


def _java() -> tuple[str, ...]:
    """Debian's Java has its configuration in /etc."""
    try:
        return tuple(f"/etc/{name}" for name in os.listdir("/etc") if name.startswith("java"))
    except OSError:
        return ()
