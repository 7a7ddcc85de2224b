"""`Remote`: one long task on a worker, that tells how far it is and can be told to end."""

from __future__ import annotations

import queue
import threading
import uuid
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, Protocol

from tfaas_nb.cluster.spread import check, same, told
from tfaas_nb.errors import ClusterError, TfaasError

#: Seconds between two looks at whether the cluster is still there.
_TICK = 1.0


class Listener(Protocol):
    """Listener to a task, called in a thread of its own; its methods must not raise."""

    def began(self, worker: str) -> None:
        """It begins on a worker; a second time if the first one was lost."""
        ...

    def heard(self, message: Any) -> None:
        """It told something, since it last began."""
        ...

    def ended(self, result: Any, error: TfaasError | None) -> None:
        """There will be nothing more: a result, or what went wrong, or None for taken back."""
        ...


class Remote:
    """A task that was given to a cluster; it goes on while the caller does other things.

    Parameters
    ----------
    cluster : distributed.Client
        Of a scheduler; its workers need this package.
    function : callable
        Called on a worker with what is shipped; asks and tells by `tfaas_nb.cluster.task`.  If its
        worker is lost, it is begun again on another.
    value : object
        What is shipped.
    listener : Listener
        Who hears of it.
    name : str
        What it is, for errors.

    Raises
    ------
    ClusterError
        If that is no cluster.
    """

    def __init__(
        self,
        cluster: Any,
        function: Callable[[Any], Any],
        value: Any,
        listener: Listener,
        name: str,
    ) -> None:
        from tfaas_nb.cluster import worker

        self._client, self._key = check(cluster), f"tfaas_nb-{uuid.uuid4().hex}"
        self._listener, self._name = listener, name
        self._queue: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._stopping = self._cancelled = False
        self._attempt = ""
        self._over = threading.Event()
        self._client.subscribe_topic(self._key, self._queue.put)
        self._client.register_plugin(worker.Shipped(self._key, partial(same, value)))
        self._future = self._client.submit(
            worker.perform_telling, self._key, function, pure=False, key=f"{self._key}-task"
        )
        self._future.add_done_callback(lambda future: self._queue.put(None))
        threading.Thread(target=self._watch, name="tfaas-nb remote task", daemon=True).start()

    def stop(self) -> None:
        """Ask it to come to an end with what it has."""
        self._stopping = True
        self._queue.put(self._tell_stop)

    def cancel(self) -> None:
        """Take it back; it ends soon, and nobody hears of it."""
        self._cancelled = True
        self._queue.put(None)

    def wait(self, seconds: float | None = None) -> bool:
        """Block until it has ended; returns whether it has."""
        return self._over.wait(seconds)

    def _watch(self) -> None:
        result, error = None, None
        try:
            self._follow()
            if not self._cancelled:
                result = self._future.result()
        except Exception as raised:
            error = self._gone() if self._client.status != "running" else told(raised, self._name)
        finally:
            self._leave()
            self._listener.ended(result, error)
            self._over.set()

    def _follow(self) -> None:
        """Hand on what is told, until it is done or taken back."""
        while not self._cancelled:
            try:
                item = self._queue.get(timeout=_TICK)
            except queue.Empty:
                if self._client.status != "running":
                    raise self._gone() from None
                continue
            if item is None:
                return
            if callable(item):
                item()
            else:
                self._hear(*item[1])

    def _gone(self) -> ClusterError:
        return ClusterError(f"{self._name} was not done: the client of Dask was closed")

    def _hear(self, attempt: str, begins: bool, said: Any) -> None:
        if begins:
            self._attempt = attempt
            self._listener.began(said)
            if self._stopping:  # whoever was told is lost
                self._tell_stop()
        elif attempt == self._attempt:
            self._listener.heard(said)

    def _tell_stop(self) -> None:
        from tfaas_nb.cluster import worker

        with suppress(Exception):  # a worker that is lost now; the next one is told as it begins
            self._client.run(worker.stop, self._key, on_error="ignore")

    def _leave(self) -> None:
        with suppress(Exception):  # the cluster may be gone, which is told
            self._client.unsubscribe_topic(self._key)
            self._future.cancel()
            self._client.unregister_worker_plugin(self._key)
