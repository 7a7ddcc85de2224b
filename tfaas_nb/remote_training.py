"""`train_on`: a training on a cluster, that shows itself in the notebook."""

from __future__ import annotations

from typing import Any

from tfaas_nb.call_arguments import checked_calls
from tfaas_nb.classifier import Classifier
from tfaas_nb.data.dataset import Dataset, check_dataset
from tfaas_nb.data.stream import Stream
from tfaas_nb.errors import TrainingError
from tfaas_nb.options import check_kind
from tfaas_nb.training_job import Plan, TrainingJob


@checked_calls(TrainingError)
def train_on(
    cluster: Any,
    data: Dataset | Stream,
    name: str = "classifier",
    *,
    classifier: Classifier | None = None,
    test: Dataset | Stream | None = None,
    description: str = "",
    **options: Any,
) -> TrainingJob:
    """Train a classifier on a worker of a Dask cluster; this returns at once.

    In a cell the job shows itself: epochs, live curves, *Stop* and *Cancel*.  If its worker is
    lost, the training begins again on another one, and says so.  The same seed gives the
    classifier that `Classifier.fit` gives here.

    Parameters
    ----------
    cluster : distributed.Client
        Of a Dask cluster; its workers need this package.
    data : Dataset or Stream
        Training events of both classes.  A dataset's travel to the workers; of a stream
        (``tn.load(..., stream=True)``) only the names of its files do, which a worker then reads.
    name : str
        Name of the model.
    classifier : Classifier, optional
        What to train, which is left as it is; by default ``Classifier()``.
    test : Dataset or Stream, optional
        Events to judge it on, there: AUC and working points go with the bundle.
    description : str, optional
        A sentence for people, in the bundle.
    **options
        Attributes of `Settings` or `Architecture` to change, for instance ``epochs=10``.

    Returns
    -------
    TrainingJob
        ``job.result()`` waits for the bundle; ``job.stop()`` ends the training with the best
        weights so far, ``job.cancel()`` without a result.  A job that nobody holds any more is
        taken back.

    Raises
    ------
    TrainingError
        If an option does not exist or has an impossible value.
    BundleError
        If the name is not usable.
    ClusterError
        If that is no cluster.
    """
    for events in (data, test):
        if events is not None and not isinstance(events, Stream):
            check_dataset(events, "train_on")
    wanted = "a tn.Classifier, such as tn.Classifier(epochs=10)"
    check_kind("classifier", classifier, (Classifier, type(None)), wanted, TrainingError)
    made = (classifier or Classifier()).changed(**options)
    return TrainingJob(cluster, Plan(made, data, test, name, description), _panel)


def _panel(job: TrainingJob) -> Any:
    from tfaas_nb.widgets.job_panel import JobPanel

    return JobPanel(job)
