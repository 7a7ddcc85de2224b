"""A model from one running server to another, kept there only if its scores are the same.

The bundle's reference events are asked of both servers.  A server of ours takes the model as a new
version, which is deleted again if a score differs, so that the former one is served as before.  A
Go TFaaS has no versions and goes on serving a model that it has loaded; there a model must be new.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tfaas_nb.call_arguments import checked_calls
from tfaas_nb.client import Client
from tfaas_nb.errors import BundleError, ServerError, TfaasError
from tfaas_nb.measured import OneLine
from tfaas_nb.reference import Reference
from tfaas_nb.reference_events import ReferenceEvents
from tfaas_nb.wire.params import FeatureNames


@checked_calls(ServerError)
@dataclass(frozen=True, repr=False)
class Promotion(OneLine):
    """A model that was copied.

    Attributes
    ----------
    model : str
        Its name on the target.
    version : int or None
        Its version there; None on a Go TFaaS.
    source, target : str
        Addresses of the servers.
    events : int
        How many reference events were compared.
    difference : float
        The largest difference of a score from that of the reference events, on either server.
    """

    model: str
    version: int | None
    source: str
    target: str
    events: int
    difference: float

    def __str__(self) -> str:
        version = "" if self.version is None else f" version {self.version}"
        return (
            f"{self.model!r} is on {self.target} as{version or ' new'}: it gives the "
            f"{self.events} reference events the scores that it has on {self.source} "
            f"(largest difference {self.difference:.1e})"
        )

    __repr__ = __str__


@checked_calls(ServerError)
def promote(
    model: str,
    source: Client,
    target: Client,
    name: str | None = None,
    features: FeatureNames = (),
) -> Promotion:
    """Copy a model from one running server to another.

    Parameters
    ----------
    model : str
        ``NAME``, ``NAME/versions/3`` or ``NAME/labels/LABEL`` on the source.
    source : Client
        A server of ours.
    target : Client
        A server of ours, or a Go TFaaS on which there is no such model.
    name : str, optional
        Name on the target, instead of that on the source.
    features : sequence of str, str or FeatureSet, optional
        Names of the model's features in its order, if it does not tell them on the source.

    Raises
    ------
    BundleError
        If the names do not fit the model, scores differ, the model has no reference events, or
        a Go TFaaS has it already.  The target then is as it was.
    ModelNotFound
        If there is no such model on the source.
    ServerUnreachable
        If a server does not answer.
    """
    for role, server in (("source", source), ("target", target)):
        if not isinstance(server, Client):
            raise ServerError(
                f"{role} of promote is a tn.Client, not {server!r:.100}: "
                "tn.Client(url, token=...), or server.client()"
            )
    is_ours = target.is_ours()
    # The version that is meant now, whatever is uploaded meanwhile.
    version_there = source.params(model).get("version")
    wanted = str(Reference(Reference.parse(model).name, version_there))
    bundle = source.download(wanted).with_reference_events()
    events = bundle.reference_events
    if events is None:
        raise BundleError(
            f"{wanted!r} has no reference events to compare scores of: it takes no rows of "
            "numbers, or answers none"
        )
    found = _difference(source, wanted, events, bundle.features)
    bundle = (bundle.renamed(name) if name else bundle).with_features(features)
    if not is_ours:
        _refuse_former(target, bundle.name)
    version = target.upload(bundle)
    placed = str(Reference(bundle.name, version))
    try:
        there = _difference(target, placed, events, bundle.features)
    except TfaasError as error:
        raise type(error)(f"{error}; {_withdrawn(target, placed, version)}") from error
    except BaseException:
        _withdrawn(target, placed, version)
        raise
    return Promotion(bundle.name, version, source.url, target.url, len(events), max(found, there))


def _difference(
    server: Client, model: str, events: ReferenceEvents, keys: Sequence[str] | None
) -> float:
    """Return the largest difference of scores from the reference events'; `keys` name values."""
    scores = np.asarray(server.predict(model, events.matrix, keys=keys))
    return events.check(scores.reshape(len(events), -1), f"on {server.url}")


def _refuse_former(target: Client, name: str) -> None:
    if name in [told.get("name") for told in target.describe_models()]:
        raise BundleError(
            f"there is a model {name!r} on {target.url}, a Go TFaaS, which would go on serving "
            "it: delete it there first, or promote under another name"
        )


def _withdrawn(target: Client, placed: str, version: int | None) -> str:
    """Delete the model from the target again, and say in words if that worked."""
    if version is None and target.is_ours():  # a plain name would mean the former versions, too
        return f"{placed!r} stays on {target.url}, which did not tell its version"
    try:
        target.delete(placed)
    except TfaasError as failure:
        return f"{placed!r} could not be deleted from {target.url} again: {failure}"
    return f"{placed!r} was deleted from {target.url} again"
