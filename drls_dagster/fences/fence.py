"""A fence as a value: what a confined process may reach."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import Literal

Network = Literal["open", "listed", "none"]


@dataclass(frozen=True)
class Account:
    """An account of the operating system."""

    name: str
    uid: int
    gid: int


@dataclass(frozen=True)
class Fence:
    """Everything that is not named here is refused. Places are absolute; those that do not exist are skipped.

    `read`: places to read and execute. `write`: places to change as well. `ports`: TCP ports to reach, on any host,
    where `network` is not open. `unix_sockets`: whether Unix sockets can be made, and so any socket in the file system
    reached.
    `account`: whom the process becomes, when root confines it. `strict`: whether Unix sockets and changes of modes,
    owners and times are refused as well; without it, system calls that nobody needs still are.
    `hide`: folders that look empty but for the places above; needs a mount namespace. `view`: nothing but the places
    above is there at all, and only `write` can change; needs one too. `own_proc`: in that view, /proc has only the
    processes inside the fence; where root makes it. `capabilities`: what root keeps.
    `own_network`: a network in which there is nothing but a loopback of its own; needs a namespace.
    `dies_with_parent`: when the thread ends that started it. `own_pids`: everything it starts ends with it; needs a
    namespace of process ids. `remove`: folders that go with it then, also where whoever started it was killed.
    """

    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()
    network: Network = "open"
    ports: tuple[int, ...] = ()
    unix_sockets: bool = False
    account: Account | None = None
    strict: bool = True
    hide: tuple[str, ...] = ()
    view: bool = False
    own_proc: bool = False
    capabilities: tuple[int, ...] = ()
    dies_with_parent: bool = False
    own_pids: bool = False
    own_network: bool = False
    remove: tuple[str, ...] = ()

    def widened(self, *, read: tuple[str, ...] = (), write: tuple[str, ...] = (), ports: tuple[int, ...] = ()) -> Fence:
        """The same fence with more places and ports inside."""
        return replace(self, read=(*self.read, *read), write=(*self.write, *write), ports=(*self.ports, *ports))

    def to_json(self) -> str:
        """What `drls_dagster.fences.enter` reads."""
        return json.dumps(asdict(self))
