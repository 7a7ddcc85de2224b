"""Ask a server, ours or a Go TFaaS, from Python."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import numpy as np
import requests

from tfaas_nb.bundle import CARD, LABELS, PARAMS, Bundle
from tfaas_nb.data.dataset import Dataset
from tfaas_nb.errors import (
    FeatureError,
    ModelNotFound,
    ServerError,
    ServerUnreachable,
    TfaasError,
    from_answer,
)
from tfaas_nb.features import order_keys
from tfaas_nb.features.columns import array_of, columns_of
from tfaas_nb.reference import Reference
from tfaas_nb.signature import Signature
from tfaas_nb.table import Table
from tfaas_nb.wire import oip, tfaas
from tfaas_nb.wire.image import decode_labels
from tfaas_nb.wire.params import HOW_TO_NAME, FeatureNames

#: What our server says of itself: a proxy leaves the first as it is, but rewrites ``Server``.
_OURS, _SERVER = "X-Tfaas-Nb", "tfaas_nb/"
#: Header of an upload's answer.
_VERSION = "X-Model-Version"
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_MOST_BYTES = 32 << 20
_MOST_EVENTS = 1 << 20
#: Bytes of a model from which on packing takes longer than sending what it saves.
_LARGE = 16 << 20
#: Bytes per second of a model that a busy machine reads, tries and stores at least.
_SLOWEST = 1e6
_QUOTED = 300
#: Seconds that a cell waits for what a client shows of itself.
_GLANCE = 2.0

#: A dataset, an array, or what `tfaas_nb.features.columns` knows the columns of.
Events = Any


class Client:
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

    def __init__(
        self,
        url: str,
        token: str | None = None,
        timeout: float = 60.0,
        *,
        ca: str | os.PathLike[str] | None = None,
        cert: str | os.PathLike[str] | tuple[str | os.PathLike[str], ...] | None = None,
        fingerprint: str | None = None,
    ) -> None:
        parts = urlsplit(url)
        # The token goes into a header: an address is shown, and noted in logs.
        self.url = parts._replace(query="", fragment="").geturl().rstrip("/")
        self.token = token = token or parse_qs(parts.query).get("token", [None])[0]
        self.timeout = timeout
        self._session = requests.Session()
        # A proxy does not reach this machine, and ~/.netrc would take the token's place.
        self._session.trust_env = urlsplit(self.url).hostname not in _LOOPBACK
        if token:
            self._session.auth = _Bearer(token)
        # Given with each request: the session's would yield to the environment's.
        known = False if fingerprint else None
        self._trusted: bool | str | None = str(Path(ca).expanduser()) if ca else known
        if cert:
            files = cert if isinstance(cert, tuple) else (cert,)
            paths = tuple(str(Path(file).expanduser()) for file in files)
            self._session.cert = paths[0] if len(paths) == 1 else (paths[0], paths[1])
        if fingerprint:
            self._session.mount("https://", _Pinned(fingerprint))
        self._is_ours: bool | None = None

    def upload(
        self, bundle: Bundle, name: str | None = None, features: FeatureNames = ()
    ) -> int | None:
        """Put a model on the server; from now on it serves this version of it.

        Parameters
        ----------
        bundle : Bundle
            The model.
        name : str, optional
            Name under which it is served, instead of the bundle's own.
        features : sequence of str, str or FeatureSet, optional
            Names of the model's features in its order, if the bundle does not tell them: with
            these it can be asked by name, and with files.

        Returns
        -------
        int or None
            The number of this version; None from servers that do not tell.

        Raises
        ------
        BundleError, GraphError
            If the server refuses it, or the names do not fit the model.
        """
        bundle = (bundle.renamed(name) if name else bundle).with_features(features)
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
        return _json(self._ask("GET", "/models")) or []

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
        """
        answer: dict[str, Any] = _json(self._ask("GET", f"/params/{_quoted(model)}"))
        return answer

    def width(self, model: str) -> int | None:
        """How many values a model of our server takes per event, None where that varies.

        Raises
        ------
        ModelNotFound
            If there is none of that name.
        RouteNotFound
            If the server is one that does not tell.
        """
        return self._signature(model).width

    def versions(self, model: str) -> Table:
        """The versions of a model on our server, the latest last.

        Raises
        ------
        ModelNotFound
            If there is none of that name.
        """
        path = f"/models/{_segment(model)}/versions"
        rows = tuple(
            (v["version"], _time(v["uploaded"]), ", ".join(v["labels"]), v["sha256"])
            for v in _json(self._ask("GET", path))
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
        """
        body = None if version is None else {"version": version}
        answer = _json(self._ask("PUT", _label_path(model, label), json=body))
        return int(answer["version"])

    def unlabel(self, model: str, label: str) -> None:
        """Remove a label from a model on our server; the version stays.

        Raises
        ------
        ModelNotFound
            If there is no such model or label.
        """
        self._ask("DELETE", _label_path(model, label))

    def status(self) -> dict[str, Any]:
        """What the server says of itself."""
        answer: dict[str, Any] = _json(self._ask("GET", "/status"))
        return answer

    def predict(self, model: str, events: Events, keys: Sequence[str] | None = None) -> Any:
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
            shape (events, features) or (features,) has the features in the model's order.
        keys : sequence of str, optional
            What the columns of an array are; by default the model's features in order.

        Returns
        -------
        numpy.ndarray or float
            float32 of shape (events,), or (events, outputs) for more than one output; for
            one event a float, or shape (outputs,).

        Raises
        ------
        FeatureError
            If names, number or values do not fit the model, or names come for a model that does
            not know the names of its features.
        ModelNotFound
            If there is none of that name.
        """
        names, values, single = self._named(model, events, keys)
        tfaas.check_finite(names or _positions(values), values)
        if single and names is not None:
            scores = self._one(model, names, values)
        else:
            scores = self._many(model, names, np.atleast_2d(values))
            if single:
                scores = scores[0]
        if single:
            return float(scores[0]) if len(scores) == 1 else scores
        return scores[:, 0] if scores.shape[1] == 1 else scores

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
        """
        # In a form: the Go server takes few names as part of an address.
        self._ask("DELETE", "/delete", files={"model": (None, model)})

    def is_ours(self) -> bool:
        """Whether the server is tfaas_nb; a Go TFaaS knows neither archives nor ``.npy``."""
        if self._is_ours is None:
            self._ask("GET", "/status")
        return bool(self._is_ours)

    def close(self) -> None:
        """Let go of the connections; a later call opens new ones."""
        self._session.close()

    def _named(
        self, model: str, events: Any, keys: Sequence[str] | None
    ) -> tuple[tuple[str, ...] | None, Any, bool]:
        """Names of the columns, float32 values and whether they are one event.

        Without names the values are in the order of a model's inputs that knows none either.
        """
        names: tuple[str, ...] | None
        if isinstance(events, Dataset):
            names, values = events.features.names, events.X
        else:
            table = columns_of(events)
            names = table.names if table is not None else None
            values = array_of(events) if table is None else table.matrix()
        if names is None:
            names = tuple(keys) if keys is not None else self._features(model)
        elif keys is not None:
            raise FeatureError("the events have names of their own: leave keys=[...] away")
        if values.ndim not in (1, 2) or (names is not None and values.shape[-1] != len(names)):
            takes = "?" if names is None else len(names)
            raise FeatureError(
                f"events have shape {values.shape}; model {model!r} takes (events, {takes})"
            )
        if names is not None and not self.is_ours():
            names, values = self._in_order(model, names, values)
        return names, values, values.ndim == 1

    def _features(self, model: str) -> tuple[str, ...] | None:
        """The model's features in order; None if it does not know their names."""
        features = self.params(model).get("features") or ()
        return tuple(feature["name"] for feature in features) or None

    def _in_order(
        self, model: str, names: tuple[str, ...], values: Any
    ) -> tuple[tuple[str, ...], Any]:
        """Values in the order of the model, for a Go TFaaS, which does not look at names."""
        expected = self._features(model)
        if expected is None:
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

    def _many(self, model: str, names: Sequence[str] | None, values: Any) -> Any:
        if not self.is_ours():
            keys = names or _positions(values)
            rows = [self._one(model, keys, event) for event in values]
            return np.stack(rows) if rows else np.zeros((0, 1), np.float32)
        step = min(max(_MOST_BYTES // (4 * max(values.shape[1], 1)), 1), _MOST_EVENTS)
        parts = [values[start : start + step] for start in range(0, max(len(values), 1), step)]
        if names is None:
            signature = self._signature(model)
            return np.concatenate([self._infer(model, signature, part) for part in parts])
        headers = {"Content-Type": tfaas.NPY}
        answers = (
            self._ask(
                "POST",
                "/predict/npy",
                params={"model": model},
                data=tfaas.encode_npy(names, part),
                headers=headers,
            )
            for part in parts
        )
        return np.concatenate([tfaas.decode_scores_npy(answer.content) for answer in answers])

    def _signature(self, model: str) -> Signature:
        """Tensors of a model on our server."""
        return oip.signature_in(_json(self._ask("GET", f"/v2/models/{self._numbered(model)}")))

    def _numbered(self, model: str) -> str:
        """A reference for the Open Inference Protocol, which knows no labels."""
        reference = Reference.parse(model)
        if reference.label is not None:
            reference = Reference(reference.name, self.params(model)["version"])
        return _quoted(str(reference))

    def _infer(self, model: str, signature: Signature, values: Any) -> Any:
        """Scores of events without names, by a protocol that sends none."""
        if len(signature.inputs) != 1:
            names = ", ".join(repr(tensor.name) for tensor in signature.inputs)
            raise FeatureError(
                f"model {model!r} has the inputs {names}, whose columns have no names: ask it by "
                f"/v2/models or /v1/models with a tensor for each, or {HOW_TO_NAME}"
            )
        ((name, tensor),) = signature.split(values).items()
        body, length = oip.encode_infer(tensor, name=name, binary=True)
        answer = self._ask(
            "POST",
            f"/v2/models/{self._numbered(model)}/infer",
            data=body,
            headers={"Content-Type": oip.BINARY, oip.JSON_LENGTH: str(length)},
        )
        told = answer.headers.get(oip.JSON_LENGTH)
        outputs = oip.decode_answer(answer.content, int(told) if told else None).outputs
        return signature.joined(outputs)

    def _ask(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] | None = None,
        more: int = 0,
        **options: Any,
    ) -> requests.Response:
        """An answer to a request; `more` bytes of a model take the server longer."""
        timeout = self.timeout + more / _SLOWEST
        try:
            answer = self._session.request(
                method,
                self.url + path,
                headers=headers,
                timeout=timeout,
                verify=self._verify(),
                **options,
            )
        except requests.exceptions.SSLError as error:
            raise ServerUnreachable(
                f"{self.url} is not trusted, or speaks no TLS: {_reason(error)}; ca=FILE names the "
                "authority of its certificate, fingerprint=... the certificate"
            ) from error
        except (requests.RequestException, OSError) as error:
            raise ServerUnreachable(
                f"no answer from {self.url}: {_reason(error)}; is the server running there?"
            ) from error
        ours = _OURS in answer.headers or answer.headers.get("Server", "").startswith(_SERVER)
        # A refusal may be the word of a proxy, which says nothing of the server behind it.
        if ours or answer.ok:
            self._is_ours = ours
        if answer.status_code >= 400:
            raise _reported(answer)
        return answer

    def _verify(self) -> bool | str | None:
        """What the server's certificate is held against; None for what requests knows."""
        if self._trusted is None and not self._session.trust_env:
            return os.environ.get("REQUESTS_CA_BUNDLE") or None
        return self._trusted

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


class _Pinned(requests.adapters.HTTPAdapter):
    """Knows a server by the fingerprint of its certificate, also through a proxy."""

    __attrs__ = [*requests.adapters.HTTPAdapter.__attrs__, "_fingerprint"]  # noqa: RUF012

    def __init__(self, fingerprint: str) -> None:
        self._fingerprint = fingerprint
        super().__init__()

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, assert_fingerprint=self._fingerprint, **options)

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        return super().proxy_manager_for(proxy, assert_fingerprint=self._fingerprint, **options)


class _Bearer(requests.auth.AuthBase):
    def __init__(self, token: str) -> None:
        self._value = f"Bearer {token}"

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = self._value
        return request


def _quoted(model: str) -> str:
    """A reference to a model as part of an address."""
    return "/".join(map(_segment, Reference.parse(model).parts))


def _segment(name: str) -> str:
    """A name as one segment of an address.

    Raises
    ------
    ModelNotFound
        If it is none: dots would lead to another address, however they are quoted.
    """
    if name in ("", ".", ".."):
        raise ModelNotFound(f"there is no model or label {name!r}: nothing can be called so")
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
    path = Path(image)
    try:
        return path.name, path.read_bytes()
    except OSError as error:
        raise FeatureError(f"{path} cannot be read: {error.strerror}") from error


def _positions(values: Any) -> list[str]:
    """Names for columns that have none."""
    return [f"value_{i}" for i in range(values.shape[-1])] if values.ndim else []


def _json(answer: requests.Response) -> Any:
    try:
        return answer.json()
    except ValueError as error:
        raise ServerError(
            f"{answer.url} answered {answer.text[:_QUOTED]!r} and no JSON: is it a TFaaS server?"
        ) from error


def _reported(answer: requests.Response) -> Exception:
    try:
        found = answer.json()
        message, kind = str(found["error"]), found.get("kind")
    except (ValueError, KeyError, TypeError, AttributeError):
        message, kind = answer.text[:_QUOTED].strip() or answer.reason, None
    return from_answer(answer.status_code, kind, message)


def _reason(error: Exception) -> str:
    return type(error).__name__ if isinstance(error, requests.Timeout) else str(error)[:_QUOTED]
