"""`spread`: a function of many items, done by the workers of a Dask cluster.

A worker that is lost costs time: Dask gives what it had to do to the others.  That a result is
used once is this module's part, and so is their order, which does not depend on who was quick.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from tfaas_nb.errors import ClusterError, TfaasError

T = TypeVar("T")


@dataclass(frozen=True)
class _Raised:
    error: Exception


def check(cluster: Any) -> Any:
    """The Dask client, if it is one that can be asked from a cell or a program.

    Raises
    ------
    ClusterError
        If it is something else, or has no connection any more.
    """
    import distributed

    if not isinstance(cluster, distributed.Client):
        raise ClusterError(
            f"cluster is a client of Dask, not {type(cluster).__name__}: "
            "write cluster=distributed.Client(ADDRESS or cluster)"
        )
    if cluster.asynchronous:
        raise ClusterError("the client of Dask is asynchronous: make one with asynchronous=False")
    if cluster.status != "running":
        raise ClusterError(f"the client of Dask is {cluster.status}: connect to the cluster again")
    return cluster


@contextmanager
def connected(address: str) -> Iterator[Any]:
    """A client of the scheduler at an address, for the length of a block.

    Raises
    ------
    ClusterError
        If there is none.
    """
    import distributed

    try:
        client = distributed.Client(address, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        raise ClusterError(
            f"no Dask scheduler answers at {address}: {error}; start one with `dask scheduler` "
            "and tell its tcp:// address"
        ) from error
    with client:
        yield client


def spread(
    cluster: Any,
    function: Callable[[Any, Any], Any],
    items: Sequence[Any],
    opened: Callable[[], Any],
    named: Callable[[Any], str] = str,
) -> Generator[Any, None, None]:
    """Results of a function of many items, in the order of the items.

    Parameters
    ----------
    cluster : distributed.Client
        Of a scheduler; its workers need this package.
    function : callable
        Called on a worker with what was opened there and an item; it must not depend on
        having been called before, since an item of a lost worker is begun again.
    items : sequence
        What the function is called with.
    opened : callable
        Makes what all items need, once in the process of each worker.
    named : callable
        The name of an item, for errors.

    Yields
    ------
    object
        Results.  Closing the generator, or an error, takes back what is not done yet.

    Raises
    ------
    TfaasError
        Whatever the function raises, of the first item that failed.
    ClusterError
        If workers were lost again and again with the same item, the cluster went away, or
        the function failed with anything else.
    """
    from tfaas_nb.cluster import worker

    client, key = check(cluster), f"tfaas_nb-{uuid.uuid4().hex}"
    futures: list[Any] = []
    client.register_plugin(worker.Shipped(key, opened))
    try:
        futures += client.map(
            worker.perform, [key] * len(items), [function] * len(items), items, pure=False
        )
        yield from _in_order(client, futures, items, named)
    finally:
        with suppress(Exception):  # the cluster may be gone, which was told already
            client.cancel(futures)
            client.unregister_worker_plugin(key)


def same(value: T) -> T:
    """The value: ``partial(same, value)`` opens what is shipped as it is."""
    return value


def _in_order(
    client: Any, futures: list[Any], items: Sequence[Any], named: Callable[[Any], str]
) -> Generator[Any, None, None]:
    """Results are fetched as they come, so that losing a worker loses few of them."""
    from distributed import as_completed

    places = {future.key: i for i, future in enumerate(futures)}
    early: dict[int, Any] = {}
    following = 0
    # It would take the loop of the client that was made last, and wait there for nothing.
    for future in as_completed(futures, loop=client.loop):
        early[places[future.key]] = _outcome(future)
        while following in early:
            outcome = early.pop(following)
            if isinstance(outcome, _Raised):
                raise told(outcome.error, named(items[following])) from outcome.error
            yield outcome
            following += 1


def _outcome(future: Any) -> Any:
    """The result, or what was raised instead; the cluster need not keep it then."""
    try:
        return future.result()
    except Exception as error:
        return _Raised(error)
    finally:
        future.release()


def told(error: Exception, name: str) -> TfaasError:
    """An error of ours for whatever a task called by that name raised, or Dask did."""
    import distributed

    if isinstance(error, TfaasError):
        return error
    if isinstance(error, distributed.KilledWorker):
        return ClusterError(
            f"{name}: its workers were lost, one after the other; the workers' logs tell why, "
            "often too little memory"
        )
    if isinstance(error, (distributed.CancelledError, TimeoutError, OSError)):
        return ClusterError(f"{name} was not done: the cluster went away ({error})")
    return ClusterError(f"{name}: {type(error).__name__}: {error}")
