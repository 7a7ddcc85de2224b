"""Ask a server, ours or a Go TFaaS, from Python."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from tfaas_nb import missing as missing_values
from tfaas_nb.asked_events import AskedEvents, are_inputs
from tfaas_nb.bundle import CARD, LABELS, PARAMS, Bundle
from tfaas_nb.call_arguments import checked_calls
from tfaas_nb.connection import Connection, json_of
from tfaas_nb.errors import (
    BundleError,
    FeatureError,
    ModelNotFound,
    RouteNotFound,
    ServerError,
    TfaasError,
)
from tfaas_nb.features import order_keys
from tfaas_nb.features.columns import numeric
from tfaas_nb.graph_parts.inference_constants import Constants
from tfaas_nb.nearest import did_you_mean
from tfaas_nb.options import check_count, check_flag, check_path
from tfaas_nb.patience import patiently, score_each
from tfaas_nb.reference import Reference
from tfaas_nb.signature import Array, Signature, Tensor
from tfaas_nb.table import Table
from tfaas_nb.wire import oip, tfaas
from tfaas_nb.wire.image import decode_labels
from tfaas_nb.wire.params import HOW_TO_NAME, UNKNOWN, FeatureNames, told_names

#: Header of an upload's answer.
_VERSION = "X-Model-Version"
_NPY = "/predict/npy"
_MOST_BYTES = 32 << 20
_MOST_EVENTS = 1 << 20
#: Bytes of a model from which on packing takes longer than sending what it saves.
_LARGE = 16 << 20
#: Seconds that a cell waits for what a client shows of itself.
_GLANCE = 2.0

#: A dataset, an array, or what `tfaas_nb.features.columns` knows the columns of.
Events = Any


@checked_calls(ServerError)
class Client(Connection):
    """A connection to a server that speaks TFaaS's dialect.

    Parameters
    ----------
    url : str
        Address, for instance ``http://127.0.0.1:8083``; also as `tfaas-nb serve` prints it, with
        ``/?token=TOKEN``.
    token : str, optional
        Token that the server asks for, if not in the address.
    timeout : float
        Seconds to wait for an answer.
    ca : path, optional
        Authorities that sign the server's certificate: a PEM file, or a folder of hashed names
        such as ``/etc/grid-security/certificates``.  By default those that requests knows
        (``REQUESTS_CA_BUNDLE``).
    cert : path or (path, path), optional
        The client's own certificate, for a server that asks for one: a PEM file with its key,
        such as a grid proxy, or the certificate's and the key's.
    fingerprint : str, optional
        SHA-256 of the server's certificate in hexadecimal digits, by which it is known instead of
        by an authority and its name: for one that signed its own.

    Notes
    -----
    Nothing is sent before the first call.  Errors that the server reports are raised as the
    classes of `tfaas_nb.errors` that the server itself raised.
    """

    _scored: Sequence[Any] = ()

    def upload(
        self,
        model: Any,
        name: str | None = None,
        features: FeatureNames = (),
        constants: Constants | str = "",
        missing: str = "",
    ) -> int | None:
        """Put a model on the server; from now on it serves this version of it.

        Parameters
        ----------
        model : Bundle, Classifier, keras.Model, path or bytes
            The model, as `Bundle.of` takes it: a path is that of a model's file or folder.
        name : str, optional
            Name under which it is served, instead of its own; see `Bundle.of`.
        features : sequence of str, str or FeatureSet, optional
            Names of the model's features in its order, if the bundle does not tell them: with
            these it can be asked by name, and with files.
        constants : mapping or str, optional
            Placeholder of a TensorFlow graph that is no input → its value in inference, such as
            ``{"keep_prob": 1.0}`` or ``"keep_prob=1,phase=false"``; others are found by
            themselves as far as their meaning is certain.
        missing : str, optional
            ``nan`` if the model was trained with NaN for missing values, as boosted trees are:
            it then takes NaN in events, which others refuse.

        Returns
        -------
        int or None
            The number of this version; None from servers that do not tell.

        Raises
        ------
        BundleError, GraphError
            If the server refuses it, or the names do not fit the model.
        """
        if name is not None and not isinstance(name, str):
            raise BundleError(
                f"upload takes the model first and then its name: upload(model, {str(model)!r})"
                if isinstance(model, str)
                else f"a model's name is text, not a {type(name).__name__}"
            )
        bundle = Bundle.of(model, name, features, constants, missing)
        if self.is_ours():
            headers = {"Content-Type": "application/octet-stream"}
            large = len(bundle.graph.serialized) > _LARGE
            data = bundle.tar() if large else bundle.archive()
            answer = self._ask("POST", "/upload", data=data, headers=headers, more=len(data))
        else:
            answer = self._ask("POST", "/upload", files=_form(bundle))
        version = answer.headers.get(_VERSION, "")
        return int(version) if version.isdecimal() else None

    def download(self, model: str) -> Bundle:
        """A model of our server with all that belongs to it.

        Parameters
        ----------
        model : str
            ``NAME``, ``NAME/versions/3`` or ``NAME/labels/LABEL``.

        Raises
        ------
        ModelNotFound
            If there is none of that name.
        ServerError
            If the server is a Go TFaaS, which hands out no models.
        """
        if not self.is_ours():
            raise ServerError(f"{self.url} is no tfaas_nb server: it does not hand out its models")
        return Bundle.from_archive(self._ask("GET", f"/bundle/{_quoted(model)}").content)

    def models(self) -> Table:
        """The models on the server, as a table that shows itself."""
        rows = tuple(
            (m["name"], m.get("version"), m.get("description", ""), m.get("error", ""))
            for m in self.describe_models()
        )
        return Table(("model", "version", "description", "error"), rows, caption=self.url)

    def describe_models(self) -> list[dict[str, Any]]:
        """The ``params.json`` of every model."""
        return json_of(self._ask("GET", "/models")) or []

    def params(self, model: str) -> dict[str, Any]:
        """The ``params.json`` of a model; ours adds its features with typical ranges.

        Parameters
        ----------
        model : str
            ``NAME``, or on our server ``NAME/versions/3`` or ``NAME/labels/LABEL``.

        Raises
        ------
        ModelNotFound
            If there is none of that name.
        ServerError
            If a version or label is asked of a Go TFaaS, which has none.
        """
        try:
            answer = json_of(self._ask("GET", f"/params/{_quoted(model)}"))
        except ModelNotFound:
            if self.is_ours():
                raise
            return self._listed(model)
        if not isinstance(answer, dict):
            raise ServerError(
                f"{self.url} answered {answer!r:.100} for the params.json of {model!r}: is it a "
                "TFaaS server?"
            )
        return answer

    def width(self, model: str) -> int | None:
        """Return the number of values that a model takes per event; None where that varies.

        Raises
        ------
        ModelNotFound
            If there is none of that name.
        RouteNotFound
            If the server is a Go TFaaS, which does not tell.
        """
        _check_is_name(model)
        try:
            return self._signature(model).width
        except ModelNotFound as error:
            if self.is_ours():
                raise
            raise RouteNotFound(
                f"{self.url}, a Go TFaaS, does not tell how many values {model!r} takes"
            ) from error

    def versions(self, model: str) -> Table:
        """The versions of a model on our server, the latest last.

        Raises
        ------
        ModelNotFound
            If there is none of that name.
        ServerError
            If the server is a Go TFaaS, which keeps no versions.
        """
        path = f"/models/{_segment(model)}/versions"
        self._check_has_versions(model)
        rows = tuple(
            (v["version"], _time(v["uploaded"]), ", ".join(v["labels"]), v["sha256"])
            for v in json_of(self._ask("GET", path))
        )
        columns = ("version", "uploaded", "labels", "sha256")
        return Table(columns, rows, caption=f"{model} on {self.url}")

    def label(self, model: str, label: str, version: int | None = None) -> int:
        """Put a label on a version of a model on our server, or move it there.

        Parameters
        ----------
        model, label : str
            The model's name, and for instance ``production``; ``NAME/labels/production`` is
            then that version, until the label is moved.
        version : int, optional
            By default the latest.

        Returns
        -------
        int
            The version that the label is on.

        Raises
        ------
        ModelNotFound
            If there is no such model or version.
        BundleError
            If a label cannot be called so.
        ServerError
            If the server is a Go TFaaS, which has no labels.
        """
        if version is not None:
            check_count("version", version, 1, ModelNotFound)
        path = _label_path(model, label)
        self._check_has_versions(model)
        body = None if version is None else {"version": version}
        answer = json_of(self._ask("PUT", path, json=body))
        return int(answer["version"])

    def unlabel(self, model: str, label: str) -> None:
        """Remove a label from a model on our server; the version stays.

        Raises
        ------
        ModelNotFound
            If there is no such model or label.
        ServerError
            If the server is a Go TFaaS, which has no labels.
        """
        path = _label_path(model, label)
        self._check_has_versions(model)
        self._ask("DELETE", path)

    def status(self) -> dict[str, Any]:
        """Return the status of the server."""
        answer: dict[str, Any] = json_of(self._ask("GET", "/status"))
        return answer

    def predict(
        self,
        model: str,
        events: Events,
        keys: Sequence[str] | None = None,
        progress: bool = True,
    ) -> Any:
        """Scores of events.

        Parameters
        ----------
        model : str
            Name of the model: its latest version; or on our server ``NAME/versions/3``, or
            ``NAME/labels/LABEL``.
        events : Dataset, table, mapping, sequence of mappings, or array
            Raw physics values.  What has names is matched by them, in whatever order they come:
            a `Dataset`, a DataFrame of pandas or polars, an Arrow table, a structured array, an
            awkward array of records, ``{feature: array}``; one event or several as
            ``{feature: value}``; a pandas Series or a record, which is one event.  An array of
            shape (events, features) or (features,) has the features in the model's order; of a
            model with several inputs, the inputs one after the other in the order in which the
            model was made.  ``{input: array of shape (events, ...)}`` gives inputs as they are.
        keys : sequence of str, optional
            What the columns of an array are; by default the model's features in order.
        progress : bool
            Whether to show a bar while a Go TFaaS, which takes one event at a time, is asked
            about many, or our server in several requests.

        Returns
        -------
        numpy.ndarray or float
            float32 of shape (events,), or (events, outputs) for more than one output; for
            one event a float, or shape (outputs,).

        Raises
        ------
        FeatureError
            If names, number or values do not fit the model, names come for a model that does
            not know the names of its features, or an array for one whose inputs have no order.
        ModelNotFound
            If there is none of that name.
        TooManyRequests
            If a server asks to wait for longer than ten minutes for an event.

        Notes
        -----
        Whole numbers reach inputs of whole numbers as they are, or are refused.

        A server that answers 429 is asked again after the time that it tells, or after 0.1 s,
        0.2 s and so on up to 30 s.  When something goes wrong amid many events, or the cell is
        interrupted, what was scored is in `unfinished`.
        """
        _check_is_name(model)
        check_flag("progress", progress, ServerError)
        if are_inputs(events):
            return _shaped(self._by_input(model, events, progress), False)
        asked = AskedEvents.of(events, keys)
        names = asked.names if asked.names is not None else self._features(model)
        values = asked.values
        if values.ndim not in (1, 2) or (names is not None and values.shape[-1] != len(names)):
            takes = "?" if names is None else len(names)
            raise FeatureError(
                f"events have shape {values.shape}; model {model!r} takes (events, {takes})"
            )
        with missing_values.passing(self._takes_missing(model, values)):
            tfaas.check_finite(names or _positions(values), values)
        if not asked.is_single:
            self._scored = ()
        if self.is_ours():
            scores = self._scores(model, names, asked, progress)
        else:
            scores = self._scores_one_by_one(model, names, asked, progress)
        return _shaped(scores, asked.is_single)

    @property
    def unfinished(self) -> Any:
        """Scores of the events that the last `predict` of many had scored when it was stopped.

        float32 of shape (scored, outputs): those of the first events, in their order.  No rows
        if it came to its end.
        """
        return np.concatenate(self._scored) if self._scored else np.zeros((0, 1), np.float32)

    def predict_image(
        self, model: str, image: str | os.PathLike[str] | bytes
    ) -> list[tuple[str, float]]:
        """The likeliest classes of a picture, at most five, the likeliest first.

        Parameters
        ----------
        model : str
            Name of the model.
        image : path or bytes
            A PNG or JPEG file.

        Returns
        -------
        list of (str, float)
            Label and probability; a class without a label is called by its number.

        Raises
        ------
        RequestError
            If it is no PNG or JPEG file.
        FeatureError
            If the file cannot be read or the model takes no picture.
        ModelNotFound
            If there is none of that name.
        """
        _check_is_name(model)
        self._check_reference(model)
        name, content = _picture(image)
        parts = {"image": (name, content), "model": (None, model)}
        return decode_labels(self._ask("POST", "/image", files=parts).content)

    def delete(self, model: str) -> None:
        """Remove a model; on our server also one version of it, ``NAME/versions/3``.

        Raises
        ------
        ModelNotFound
            If there is none of that name.
        BundleError
            If the version carries a label.
        ServerError
            If a version is to be removed of a Go TFaaS, which has none.
        """
        _check_is_name(model)
        self._check_reference(model)
        # In a form: the Go server takes few names as part of an address.
        self._ask("DELETE", "/delete", files={"model": (None, model)})

    def _takes_missing(self, model: str, *values: Array) -> bool:
        """Return True if values are missing, and the model was trained with such."""
        if not any(part.dtype.kind == "f" and np.isnan(part).any() for part in values):
            return False
        return bool(patiently(lambda: self.params(model)).get("missing") == missing_values.NAN)

    def _features(self, model: str) -> tuple[str, ...] | None:
        """Names of the columns of an array: the model's features; None if it knows none.

        Raises
        ------
        FeatureError
            If the model's file does not tell the order of its inputs.
        """
        params = patiently(lambda: self.params(model))
        names = told_names(params.get("features"))
        if params.get("input_order") == UNKNOWN:
            self._signature_or_names(model, names).check_ordered(model)
        return names or None

    def _signature_or_names(self, model: str, names: Sequence[str]) -> Signature:
        """Return the inputs without an order; a Go TFaaS gives at most their columns' names."""
        if self.is_ours():
            signature = self._signature(model)
        else:
            named = tuple(Tensor(name, "float32", ()) for name in names)
            signature = Signature(named, ())
        return replace(signature, is_ordered=False)

    # --- a server of ours ---

    def _scores(
        self, model: str, names: tuple[str, ...] | None, asked: AskedEvents, progress: bool
    ) -> Any:
        if asked.is_single and names is not None:
            values = asked.values if asked.fits_float32 else asked.numbers()
            return patiently(lambda: self._one(model, names, values))[np.newaxis]
        if names is None or not asked.fits_float32:
            signature = self._signature(model)
            if names is None or not signature.is_exact_in_float32:
                inputs = self._inputs(model, signature, names, asked)
                return self._infer(model, signature, inputs, progress)
        values = np.atleast_2d(asked.values)
        headers = {"Content-Type": tfaas.NPY}

        def ask(part: slice) -> Any:
            body = tfaas.encode_npy(names, values[part])
            answer = self._ask("POST", _NPY, headers, params={"model": model}, data=body)
            return tfaas.decode_scores_npy(answer.content)

        return self._in_parts(_parts(len(values), 4 * values.shape[1]), ask, progress)

    def _in_parts(self, parts: list[slice], ask: Callable[[slice], Any], progress: bool) -> Any:
        """Scores of events that are sent in several requests."""
        if len(parts) == 1:
            return patiently(lambda: ask(parts[0]))
        return np.concatenate(self._patiently(parts, ask, progress, "request"))

    def _patiently(
        self, parts: Sequence[Any], ask: Callable[[Any], Any], progress: bool, unit: str = "event"
    ) -> list[Any]:
        scored: list[Any] = []
        self._scored = scored
        score_each(parts, ask, scored, progress, unit)
        self._scored = ()
        return scored

    def _signature(self, model: str) -> Signature:
        """Tensors of a model on our server."""
        address = f"/v2/models/{self._numbered(model)}"
        return oip.signature_in(json_of(patiently(lambda: self._ask("GET", address))))

    def _numbered(self, model: str) -> str:
        """A reference for the Open Inference Protocol, which knows no labels."""
        reference = Reference.parse(model)
        if reference.label is not None:
            told = patiently(lambda: self.params(model))
            reference = Reference(reference.name, told["version"])
        return _quoted(str(reference))

    def _inputs(
        self, model: str, signature: Signature, names: tuple[str, ...] | None, asked: AskedEvents
    ) -> Mapping[str, Array]:
        """Inputs of a model out of columns, exactly."""
        order = None
        if names is not None:
            expected = self._features(model)
            if expected is None:
                raise FeatureError(
                    f"model {model!r} does not know the names of its features: {HOW_TO_NAME}"
                )
            order = order_keys(expected, names)
        return signature.split_columns(asked.columns(order))

    def _by_input(self, model: str, events: Mapping[str, Any], progress: bool) -> Any:
        """Scores of events that come as the model's inputs."""
        if not self.is_ours():
            raise FeatureError(
                f"{self.url}, a Go TFaaS, takes rows of numbers: bring a column for each feature"
            )
        signature = self._signature(model)
        found = {str(name): numeric(values, str(name)) for name, values in events.items()}
        with missing_values.passing(self._takes_missing(model, *found.values())):
            inputs = signature.conformed(found)
        return self._infer(model, signature, inputs, progress)

    def _infer(
        self, model: str, signature: Signature, inputs: Mapping[str, Array], progress: bool
    ) -> Any:
        """Scores of events by the protocol that takes inputs of any type."""
        address = f"/v2/models/{self._numbered(model)}/infer"

        def ask(part: slice) -> Any:
            body, length = oip.encode_tensors({n: v[part] for n, v in inputs.items()})
            headers = {"Content-Type": oip.BINARY, oip.JSON_LENGTH: str(length)}
            answer = self._ask("POST", address, data=body, headers=headers)
            told = answer.headers.get(oip.JSON_LENGTH)
            outputs = oip.decode_answer(answer.content, int(told) if told else None).outputs
            return signature.joined(outputs)

        events = len(next(iter(inputs.values())))
        size = sum(values.nbytes for values in inputs.values())
        return self._in_parts(_parts(events, size // max(events, 1)), ask, progress)

    # --- a Go TFaaS ---

    def _check_has_versions(self, model: str) -> None:
        """Refuse to ask a Go TFaaS for versions or labels of a model."""
        if not self.is_ours():
            raise ServerError(
                f"{self.url} is no tfaas_nb server: a Go TFaaS has no versions and no labels, only "
                f"the model {Reference.parse(model).name!r} that was uploaded last"
            )

    def _check_reference(self, model: str) -> None:
        """Refuse to ask a Go TFaaS for a model by its version or label."""
        if len(Reference.parse(model).parts) > 1:
            self._check_has_versions(model)

    def _listed(self, model: str) -> dict[str, Any]:
        """The ``params.json`` of a model whose address the server does not know.

        The Go server takes only letters, digits and underscores for a name in an address, but
        lists all its models.
        """
        self._check_reference(model)
        models = self.describe_models()
        for params in models:
            if params.get("name") == model:
                return params
        names = sorted(str(params.get("name")) for params in models)
        raise ModelNotFound(
            f"there is no model {model!r}{did_you_mean(model, names)} on {self.url}; there are "
            f"{names}"
        )

    def _scores_one_by_one(
        self, model: str, names: tuple[str, ...] | None, asked: AskedEvents, progress: bool
    ) -> Any:
        """Scores by a server that takes one event at a time, and does not look at names."""
        self._check_reference(model)
        values = np.atleast_2d(asked.values)
        if asked.names is not None:
            names, values = self._in_order(model, asked.names, values)
        keys = names or _positions(values)
        if asked.is_single:
            return patiently(lambda: self._one(model, keys, values[0]))[np.newaxis]
        rows = self._patiently(
            range(len(values)), lambda i: self._one(model, keys, values[i])[np.newaxis], progress
        )
        return np.concatenate(rows) if rows else np.zeros((0, 1), np.float32)

    def _in_order(
        self, model: str, names: tuple[str, ...], values: Any
    ) -> tuple[tuple[str, ...], Any]:
        """Values in the order of the model."""
        expected = told_names(patiently(lambda: self.params(model)).get("features"))
        if not expected:
            raise FeatureError(
                f"{self.url}, a Go TFaaS, does not tell the names of the features of {model!r}, "
                "and would take values in whatever order they come: bring an array of shape "
                "(events, features) in the order of the model's inputs, without names"
            )
        if names == expected:
            return names, values
        return expected, values[..., list(order_keys(expected, names))]

    def _one(self, model: str, names: Sequence[str], values: Any) -> Any:
        body = tfaas.encode_json(names, values, model)
        answer = self._ask("POST", "/json", data=body, headers={"Content-Type": tfaas.JSON})
        return np.atleast_1d(tfaas.decode_scores_json(answer.content))

    # --- in a notebook ---

    def __repr__(self) -> str:
        return f"Client({self.url})"

    def _repr_html_(self) -> str:
        """The models on the server, or why they cannot be told; waits little for either."""
        quick = copy.copy(self)
        quick.timeout = min(self.timeout, _GLANCE)
        try:
            return replace(quick.models(), caption=repr(self))._repr_html_()
        except TfaasError as error:
            return f"<p>{escape(repr(self))}: {escape(str(error))}</p>"


def _check_is_name(model: object) -> None:
    """Refuse to ask a model by anything but text."""
    if not isinstance(model, str):
        raise ModelNotFound(
            f"a model is asked by its name, not by {model!r:.100}: "
            "client.predict('ttbar', events) names it first"
        )


def _quoted(model: str) -> str:
    """A reference to a model as part of an address.

    Raises
    ------
    ModelNotFound
        If it is none.
    """
    _check_is_name(model)
    return "/".join(map(_segment, Reference.parse(model).parts))


def _segment(name: str) -> str:
    """A name as one segment of an address.

    Raises
    ------
    ModelNotFound
        If it is none: dots would lead to another address, however they are quoted.
    """
    if not isinstance(name, str) or name in ("", ".", ".."):
        raise ModelNotFound(f"there is no model or label {name!r:.100}: nothing can be called so")
    return quote(name, safe="")


def _label_path(model: str, label: str) -> str:
    return f"/models/{_segment(model)}/labels/{_segment(label)}"


def _time(nanoseconds: int) -> str:
    """UTC, for people; empty for a model that was copied, not uploaded."""
    if not nanoseconds:
        return ""
    return datetime.fromtimestamp(nanoseconds // 10**9, timezone.utc).isoformat(sep=" ")


def _form(bundle: Bundle) -> dict[str, tuple[str | None, bytes]]:
    """The upload form as the Go server wants it, with the file ``op`` that it asks for."""
    files = bundle.files()
    return {
        "name": (None, bundle.name.encode()),
        "params": (PARAMS, files[PARAMS]),
        "model": (bundle.params.model, files[bundle.params.model]),
        "labels": (LABELS, files[LABELS]),
        "card": (CARD, files[CARD]),
        "op": ("op.txt", b"upload"),
    }


def _picture(image: str | os.PathLike[str] | bytes) -> tuple[str, bytes]:
    if isinstance(image, bytes):
        return "image", image
    check_path("image", image, FeatureError)
    path = Path(image)
    try:
        return path.name, path.read_bytes()
    except OSError as error:
        raise FeatureError(f"{path} cannot be read: {error.strerror}") from error


def _parts(events: int, size: int) -> list[slice]:
    """Events of one request each, of so many bytes an event."""
    step = min(max(_MOST_BYTES // max(size, 1), 1), _MOST_EVENTS)
    return [slice(start, start + step) for start in range(0, max(events, 1), step)]


def _shaped(scores: Any, single: bool) -> Any:
    """Scores of shape (events, outputs) as `Client.predict` gives them."""
    if single:
        return float(scores[0, 0]) if scores.shape[1] == 1 else scores[0]
    return scores[:, 0] if scores.shape[1] == 1 else scores


def _positions(values: Any) -> list[str]:
    """Names for columns that have none."""
    return [f"value_{i}" for i in range(values.shape[-1])] if values.ndim else []
