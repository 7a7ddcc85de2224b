"""`TrainingJob`: a training on a worker of a Dask cluster, that ends with a bundle here."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from typing import Any

from tfaas_nb.bundle import Bundle, check_name
from tfaas_nb.call_arguments import checked_calls
from tfaas_nb.classifier import Classifier
from tfaas_nb.cluster.remote import Remote
from tfaas_nb.cluster.task import should_stop, tell
from tfaas_nb.data.allocation import collect, give_back
from tfaas_nb.data.dataset import Dataset
from tfaas_nb.data.stream import Stream
from tfaas_nb.engines import open_engine
from tfaas_nb.errors import TfaasError, TrainingError
from tfaas_nb.options import check_option, is_number
from tfaas_nb.table import Table
from tfaas_nb.training import Epoch, History

#: What becomes of a job, in order.
WAITING, TRAINING, FINISHED = "waiting", "training", "finished"
FAILED, CANCELLED = "failed", "cancelled"
ENDED = (FINISHED, FAILED, CANCELLED)

#: Makes what a cell shows of a job.
View = Callable[["TrainingJob"], Any]


@checked_calls(TrainingError)
class TrainingJob:
    """A training on a cluster: `train_on` makes it.

    It goes on as long as somebody holds it; one that nobody holds any more is taken back.

    Parameters
    ----------
    cluster : distributed.Client
        Of a Dask cluster; its workers need this package.
    plan : Plan
        What is trained on what.
    view : callable, optional
        Makes what a cell shows of it.
    """

    def __init__(self, cluster: Any, plan: Plan, view: View | None = None) -> None:
        if not isinstance(plan, Plan):
            raise TrainingError("a TrainingJob is made by tn.train_on(cluster, data)")
        self._name, self._epochs, self._view = plan.name, plan.classifier.settings.epochs, view
        self._progress = _Progress()
        named = f"the training of {plan.name!r}"
        self._remote = Remote(cluster, Plan.train, plan.from_anywhere(), self._progress, named)
        self._dropped = weakref.finalize(self, self._remote.cancel)
        self._dropped.atexit = False  # the client takes everything back then

    @property
    def name(self) -> str:
        """Name of the model."""
        return self._name

    @property
    def state(self) -> str:
        """``"waiting"`` for a worker, ``"training"``, or how it ended.

        That is ``"finished"``, ``"failed"`` or ``"cancelled"``.
        """
        return self._progress.state

    @property
    def epochs(self) -> tuple[Epoch, ...]:
        """The epochs that are done, since it last began."""
        return tuple(self._progress.epochs)

    @property
    def most_epochs(self) -> int:
        """Epochs after which it ends."""
        return self._epochs

    @property
    def workers(self) -> tuple[str, ...]:
        """Names of the workers that it began on: more than one if one was lost."""
        return tuple(self._progress.workers)

    @property
    def error(self) -> TfaasError | None:
        """Error that ended the job; None if there is none."""
        return self._progress.error

    @property
    def history(self) -> History:
        """History of the training.

        Raises
        ------
        TfaasError
            As `result`; it does not wait.
        """
        return self._made(0).history

    def result(self, seconds: float | None = None) -> Bundle:
        """Wait for the bundle.

        It comes from elsewhere: its graph was vetted, and gave its reference events the scores
        that they have.

        Parameters
        ----------
        seconds : float, optional
            How long to wait; by default as long as it takes.

        Raises
        ------
        TrainingError
            If it is not done by then, was cancelled, or could not be trained.
        ClusterError
            If the cluster went away, or lost worker after worker with it.
        TfaasError
            Whatever else went wrong.
        """
        return self._made(seconds).bundle

    def wait(self, seconds: float | None = None) -> bool:
        """Block until it has ended; returns whether it has.

        Raises
        ------
        TrainingError
            If the seconds are no number.
        """
        right = seconds is None or (is_number(seconds) and seconds >= 0)
        check_option("seconds", seconds, right, "a number of seconds, or None", TrainingError)
        return self._remote.wait(seconds)

    def stop(self) -> None:
        """End the training soon; the best weights so far are kept and become the result."""
        self._remote.stop()

    def cancel(self) -> None:
        """End it without a result, and wait until that is so; a job that has ended stays so."""
        self._remote.cancel()
        self._remote.wait()

    def observe(self, seen: Callable[[], None]) -> Callable[[], None]:
        """Have a function called after each change, in a thread; returns what ends that.

        Raises
        ------
        TrainingError
            If it is no function.
        """
        check_option("seen", seen, callable(seen), "a function", TrainingError)
        return self._progress.observe(seen)

    def _made(self, seconds: float | None) -> _Made:
        if self.state not in ENDED and not self.wait(seconds):
            raise TrainingError(f"the training of {self.name!r} is not done yet: {self._told()}")
        if self._progress.error:
            raise self._progress.error
        if self._progress.made is None:
            raise TrainingError(f"the training of {self.name!r} was cancelled")
        return self._progress.made

    def _told(self) -> str:
        """Describe the state of the job in words."""
        progress = self._progress
        if progress.made:
            return repr(progress.made.history)
        if progress.error:
            return f"{FAILED}: {progress.error}"
        if progress.state != TRAINING:
            return {WAITING: "waiting for a worker"}.get(progress.state, progress.state)
        again = ", begun again after its worker was lost" if len(progress.workers) > 1 else ""
        return f"epoch {len(progress.epochs)} of {self.most_epochs}{again}"

    def __repr__(self) -> str:
        return f"TrainingJob({self.name!r}: {self._told()})"

    def _repr_mimebundle_(self, **options: Any) -> Any:
        if self._view is not None and not self.wait(0):
            return self._view(self)._repr_mimebundle_(**options)
        return {"text/plain": repr(self), "text/html": self._table()._repr_html_()}

    def _table(self) -> Table:
        progress = self._progress
        if progress.made:
            found = progress.made.history.table()
            return Table(found.columns, found.rows, repr(self))
        rows = tuple((e.number, e.loss, e.val_loss, e.val_auc) for e in progress.epochs)
        columns = ("epoch", "loss", "validation loss", "validation AUC")
        return Table(columns, rows, repr(self))


@dataclass(frozen=True, eq=False)
class Plan:
    """Specification of a training: the classifier, its events and the name of the model.

    Attributes
    ----------
    classifier : Classifier
        Not trained.
    data : Dataset or Stream
        Training events; of a stream only the names of its files travel.
    test : Dataset, Stream or None
        Events to judge it on, which go into the bundle's card and working points.
    name, description : str
        Of the model.

    Raises
    ------
    BundleError
        If the name is not usable.
    """

    classifier: Classifier
    data: Dataset | Stream
    test: Dataset | Stream | None
    name: str
    description: str = ""

    def __post_init__(self) -> None:
        check_name(self.name)

    def from_anywhere(self) -> Plan:
        """Return the plan for a process in another working directory."""
        found: dict[str, Any] = {
            role: events.from_anywhere()
            for role, events in (("data", self.data), ("test", self.test))
            if isinstance(events, Stream)
        }
        return replace(self, classifier=self.classifier.changed(), **found)

    def train(self) -> tuple[bytes, History]:
        """Train, on a worker; return the bundle as an archive, and the history."""
        if isinstance(self.data, Stream):
            give_back()
        try:
            return self._train()
        finally:
            collect()  # or the worker would keep the network and its graphs until long after

    def _train(self) -> tuple[bytes, History]:
        classifier = self.classifier.fit(
            self.data,
            progress=False,
            on_epoch=lambda epoch: tell(asdict(epoch)),
            should_stop=should_stop,
        )
        if self.test is not None:
            classifier.evaluate(self.test)
        return classifier.bundle(self.name, self.description).archive(), classifier.history


@dataclass(frozen=True, eq=False)
class _Made:
    bundle: Bundle
    history: History

    @classmethod
    def of(cls, archive: bytes, history: History) -> _Made:
        bundle = Bundle.from_archive(archive)
        with closing(open_engine(bundle.graph)) as engine:
            bundle.check(engine)
        return cls(bundle, history)


class _Progress:
    """Progress of a job, updated by one thread and read by others."""

    def __init__(self) -> None:
        self.state = WAITING
        self.epochs: list[Epoch] = []
        self.workers: list[str] = []
        self.made: _Made | None = None
        self.error: TfaasError | None = None
        self._changed = threading.Lock()
        self._observers: list[Callable[[], None]] = []

    def began(self, worker: str) -> None:
        self.workers.append(worker)
        self.epochs = []
        self.state = TRAINING
        self._tell()

    def heard(self, message: Any) -> None:
        self.epochs.append(Epoch(**message))
        self._tell()

    def ended(self, result: Any, error: TfaasError | None) -> None:
        if result is not None:
            try:
                self.made = _Made.of(*result)
            except TfaasError as refused:
                error = refused
        self.error = error
        self.state = FINISHED if self.made else FAILED if error else CANCELLED
        self._tell()

    def observe(self, seen: Callable[[], None]) -> Callable[[], None]:
        with self._changed:
            self._observers.append(seen)
        return lambda: self._forget(seen)

    def _forget(self, seen: Callable[[], None]) -> None:
        with self._changed:
            if seen in self._observers:
                self._observers.remove(seen)

    def _tell(self) -> None:
        with self._changed:
            observers = list(self._observers)
        for seen in observers:
            seen()
