"""A process that trains chunks for another one, which tells it what and listens."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from multiprocessing.connection import Connection, Pipe
from typing import Any

from gdal_gndc.encode.chunks import ChunkJob
from gdal_gndc.encode.memory import peak_memory
from gdal_gndc.encode.progress import ChunkProgress
from gdal_gndc.errors import EncodeError
from gdal_gndc.format.manifest import ChunkEntry

_START = "import sys; sys.path[:] = {path!r}; from gdal_gndc.encode.worker import serve; serve({descriptor})"


class Worker:
    """A process of its own that trains one chunk after the other.

    It is a new interpreter and nothing of the program that asks is run again in it, so a script needs no guard around
    its calls. It ends with the process that asked, however that ends.

    Parameters
    ----------
    job
        What it works on.
    """

    def __init__(self, job: ChunkJob) -> None:
        ours, theirs = Pipe()
        code = _START.format(path=sys.path, descriptor=theirs.fileno())
        self._process = subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()]
        )
        theirs.close()
        self.connection: Connection[Any, Any] = ours
        self.entry: ChunkEntry | None = None
        self.connection.send_bytes(pickle.dumps(job))

    def begin(self, entry: ChunkEntry) -> None:
        """Let it train a chunk."""
        self.entry = entry
        self.connection.send(entry)

    def receive(self) -> Any:
        """Return its next message: a `ChunkProgress`, or a tuple (blob or None, peak of its memory in bytes).

        Raises
        ------
        EncodeError
            If the process is no more.
        Exception
            What the work on the chunk raised.
        """
        try:
            message = self.connection.recv()
        except (EOFError, OSError) as error:
            code = self._process.wait()
            name = self.entry.file if self.entry else "a chunk"
            said = signal.Signals(-code).name if code < 0 else f"exit code {code}"
            raise EncodeError(
                f"{name}: the process that worked on it ended with {said}; if memory was short, give a limit to it"
            ) from error
        if isinstance(message, BaseException):
            raise message
        return message

    def stop(self) -> None:
        """End it at once."""
        self.connection.close()
        self._process.kill()
        self._process.wait()


class _Gone(Exception):
    """Nobody listens any more."""


def serve(descriptor: int) -> None:
    """Train what comes through a connection until it closes."""
    from gdal_gndc.field.core import set_threads

    # Ctrl-C reaches every process of a terminal; the one that asked decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    connection: Connection[Any, Any] = Connection(descriptor)

    def send(message: object) -> None:
        try:
            connection.send(message)
        except OSError as error:
            raise _Gone from error

    try:
        job: ChunkJob = pickle.loads(connection.recv_bytes())
        set_threads(job.threads)
        while True:
            entry: ChunkEntry = connection.recv()
            try:
                blob = job.run(entry, send)
            except _Gone:
                raise
            except Exception as error:
                send(_portable(error))
            else:
                send((blob, peak_memory()))
    except (_Gone, EOFError, ConnectionError):
        # not by exit(): what hangs in other threads must not keep it
        os._exit(0)


def _portable(error: Exception) -> Exception:
    try:
        return error if isinstance(pickle.loads(pickle.dumps(error)), Exception) else EncodeError(str(error))
    except Exception:
        return EncodeError(f"{type(error).__name__}: {error}")


__all__ = ["ChunkProgress", "Worker", "serve"]
