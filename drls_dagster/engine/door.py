"""The door of the Ray runner: whoever connects is asked for the token, and nobody waits for one who says nothing.

The handshake is that of `multiprocessing.connection`, as its `Client` speaks it.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from multiprocessing import AuthenticationError
from multiprocessing.connection import Connection, Listener, answer_challenge, deliver_challenge

ANSWER_SECONDS = 10.0
MOST_STRANGERS = 64  # of whom the token is asked at once; the one who has taken longest makes room


class Door:
    """Lets those in who know the token, each in a thread of its own."""

    def __init__(self, token: bytes, inside: Callable[[Connection], None], seconds: float = ANSWER_SECONDS) -> None:
        self._token = token
        self._inside = inside
        self._seconds = seconds
        self._strangers: list[Connection] = []  # in the order in which they came
        self._lock = threading.Lock()

    def keep(self, listener: Listener, closed: threading.Event) -> None:
        """Answers until `closed`, which counts at the next caller. `listener` itself asks for no token."""
        while not closed.is_set():
            try:
                connection = listener.accept()
            except OSError as error:  # a caller who went away, or no room for one more
                print(f"nobody connected: {error!r}", flush=True)
                closed.wait(0.1)
                continue
            with self._lock:
                self._strangers.append(connection)
                if len(self._strangers) > MOST_STRANGERS:
                    _hang_up(self._strangers.pop(0))
            threading.Thread(target=self._meet, args=(connection,), daemon=True).start()

    def _meet(self, connection: Connection) -> None:
        patience = threading.Timer(self._seconds, self._send_away, (connection,))
        patience.daemon = True
        patience.start()
        try:
            deliver_challenge(connection, self._token)
            answer_challenge(connection, self._token)
        except (AuthenticationError, AssertionError, EOFError, OSError) as error:
            print(f"refused a connection: {error!r}", flush=True)
            self._forget(connection)
            connection.close()
            return
        finally:
            patience.cancel()
        if self._forget(connection):
            self._inside(connection)
        else:
            connection.close()  # sent away in the last moment

    def _forget(self, connection: Connection) -> bool:
        with self._lock:
            known = connection in self._strangers
            if known:
                self._strangers.remove(connection)
            return known

    def _send_away(self, connection: Connection) -> None:
        with self._lock:  # under it no connection is closed, so that its number is not somebody else's
            if connection in self._strangers:
                self._strangers.remove(connection)
                _hang_up(connection)


def _hang_up(connection: Connection) -> None:
    """Ends the conversation: who reads from it finds its end. Closing it is its own thread's business."""
    with socket.socket(fileno=os.dup(connection.fileno())) as same:
        try:
            same.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # the other side was quicker
