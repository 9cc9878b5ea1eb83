"""Training chunks on a Dask cluster."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, TypeAlias

from gdal_gndc.encode.chunks import ChunkJob
from gdal_gndc.errors import EncodeError
from gdal_gndc.format.manifest import ChunkEntry

if TYPE_CHECKING:
    from distributed import Client

    Scheduler: TypeAlias = "str | Client"
else:
    Scheduler = object


def train_on_cluster(
    job: ChunkJob,
    entries: list[ChunkEntry],
    scheduler: Scheduler,
    keep: Callable[[ChunkEntry, bytes | None], None],
) -> None:
    """Train chunks wherever a scheduler sends them, and keep each when it comes back.

    Parameters
    ----------
    job
        Its sources must be readable on the workers under the same names.
    scheduler
        Its address, or a client of it.
    keep
        What takes a finished chunk.

    Raises
    ------
    EncodeError
        If there is no scheduler there, or a chunk's workers died again and again.
    """
    import distributed

    dask: Any = distributed  # without types

    if not entries:
        return
    with ExitStack() as stack:
        if isinstance(scheduler, dask.Client):
            client: Any = scheduler
        else:
            try:
                client = stack.enter_context(dask.Client(scheduler, set_as_default=False))
            except (OSError, TimeoutError, ValueError) as error:
                raise EncodeError(f"{scheduler}: no Dask scheduler answers there: {error}") from error
        # the job goes along with every chunk: what is scattered to a worker dies with it
        futures = {client.submit(_train_one, job, entry, pure=False): entry for entry in entries}
        try:
            for future in dask.as_completed(list(futures), loop=client.loop):
                try:
                    blob = future.result()
                except dask.KilledWorker as error:
                    raise EncodeError(f"{futures[future].file}: the workers that had it died: {error}") from error
                keep(futures.pop(future), blob)
                future.release()
        finally:
            client.cancel(list(futures))


def _train_one(job: ChunkJob, entry: ChunkEntry) -> bytes | None:
    from gdal_gndc.field.core import set_threads

    set_threads(job.threads)
    return job.run(entry, lambda progress: None)
