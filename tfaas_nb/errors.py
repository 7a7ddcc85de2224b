"""The error tree: one child for each arrow of the sentence, each with its HTTP status.

Every message says what was wrong, where, and what to do next.  The server answers
``{"error": message, "kind": class name}`` with the class's `status`; the client turns
that answer back into the same class, so code in a cell and code across the network
catch the same exceptions.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterable
from types import TracebackType
from typing import Any, ClassVar

#: ANSI's control sequences, as terminals take them, and all other control characters.
_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-_])")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def plain(text: str) -> str:
    """Text without what makes a terminal do something: colours, moves, bells."""
    return text if text.isprintable() else _CONTROL.sub("", _ANSI.sub("", text))


class TfaasError(Exception):
    """Whatever tfaas_nb raises on purpose.

    Its message may quote a stranger's file or another library, so it is made plain.

    Attributes
    ----------
    status : int
        The HTTP status with which a server reports this error.
    """

    status: ClassVar[int] = 500
    #: Seconds after which asking again may help, told as ``Retry-After``; None if it will not.
    retry_after: int | None = None

    def __init__(self, *words: object) -> None:
        super().__init__(*(plain(word) if isinstance(word, str) else word for word in words))

    def _render_traceback_(self) -> list[str]:
        """Lines that IPython shows: the reader's own code, and what was wrong.

        The way through this package says nothing to who called it.  ``%xmode Verbose`` shows
        it, ``%debug`` walks it.
        """
        from IPython import get_ipython

        shell: Any = get_ipython()
        if shell is None:
            return traceback.format_exception(self)
        if shell.InteractiveTB.mode == "Verbose":
            shown: Exception = self
            trace = self.__traceback__
        else:
            # An exception of its own, since the causes of this one would be shown as well.
            shown = type(type(self).__name__, (Exception,), {})(str(self))
            trace = _outside(self.__traceback__)
        return list(shell.InteractiveTB.structured_traceback(type(shown), shown, trace))


def _outside(trace: TracebackType | None) -> TracebackType | None:
    """A traceback up to where this package was entered."""
    package = __name__.partition(".")[0]
    if trace is None or trace.tb_frame.f_globals.get("__name__", "").split(".")[0] == package:
        return None
    return TracebackType(_outside(trace.tb_next), trace.tb_frame, trace.tb_lasti, trace.tb_lineno)


class MissingExtra(TfaasError, ImportError):
    """An optional dependency is not installed; the message names the extra to install."""

    status = 501


class DataError(TfaasError):
    """A ROOT file, tree or branch does not give the events that were asked for."""

    status = 422


class CutError(DataError):
    """A selection that is a function failed; no file is skipped for that."""


class WeightError(DataError):
    """A sum of weights is not known to which a sample can be scaled; no file is skipped for it."""


class ImportanceInterrupted(DataError):
    """The shuffles of an importance were interrupted before all were done."""


class MixedFilesError(DataError):
    """Files of one call differ in what they must have in common; none is skipped for that."""


class FeatureError(TfaasError):
    """Feature names or values do not fit what the model was trained on."""

    status = 422


class TrainingError(TfaasError):
    """A classifier was asked for what it cannot do yet, or could not be trained."""

    status = 422


class TrainingInterrupted(TrainingError):
    """A training was interrupted before there was anything to keep."""


class ClusterError(TfaasError):
    """A cluster did not do what it was given, or is none."""

    status = 503


class GraphError(TfaasError):
    """A TensorFlow graph cannot be read, is not an inference graph, or may not be served."""

    status = 422


class BundleError(TfaasError):
    """A bundle lacks a part, or its parts contradict each other."""

    status = 422


class RepositoryError(TfaasError):
    """The model directory could not be read or written, or a stored model is damaged."""

    status = 500


class RepositoryUnreachable(RepositoryError):
    """The model directory is not there, or does not answer; it may come back."""

    status = 503
    retry_after = 5


class RepositoryFull(RepositoryError):
    """There is no room for a model."""

    status = 507


class ModelNotFound(TfaasError):
    """No model of that name is served here."""

    status = 404


class RequestError(TfaasError):
    """A request could not be decoded."""

    status = 400


class Unauthorized(RequestError):
    """The token is missing or wrong."""

    status = 401


class Forbidden(RequestError):
    """The request came in under a host name, from a page or from somebody who may not ask it."""

    status = 403


class RouteNotFound(RequestError):
    """No such address on this server."""

    status = 404


class MethodNotAllowed(RequestError):
    """The address exists, but not for this HTTP method.

    Attributes
    ----------
    allowed : tuple of str
        The methods that it takes.
    """

    status = 405

    def __init__(self, message: str, allowed: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.allowed = tuple(allowed)


class TooLarge(RequestError):
    """A body, an archive or a number of events is over the limit."""

    status = 413


class UnsupportedCoding(RequestError):
    """A body has a Content-Encoding that is not read here.

    Attributes
    ----------
    codings : tuple of str
        Those that are.
    """

    status = 415

    def __init__(self, message: str, codings: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.codings = tuple(codings)


class RangeNotSatisfiable(RequestError):
    """A part of a download was asked for that lies beyond its end.

    Attributes
    ----------
    size : int
        Bytes of the whole download.
    """

    status = 416

    def __init__(self, message: str, size: int = 0) -> None:
        super().__init__(message)
        self.size = size


class TooManyRequests(RequestError):
    """A token was shown more often than its rate allows; ask again soon."""

    status = 429


class HeadTooLarge(RequestError):
    """Address and headers of a request are over the limit."""

    status = 431


class Overloaded(TfaasError):
    """The server has as much to do as it takes on; ask again soon."""

    status = 503
    retry_after = 1


class ServerError(TfaasError):
    """The server could not start, stop or answer."""

    status = 500


class ServerUnreachable(ServerError):
    """Nothing answered at the address, or not in time."""

    status = 502


def _tree(root: type[TfaasError]) -> dict[str, type[TfaasError]]:
    found = {root.__name__: root}
    for child in root.__subclasses__():
        found.update(_tree(child))
    return found


def from_answer(status: int, kind: str | None, message: str) -> TfaasError:
    """The exception that a server's error answer stands for.

    Parameters
    ----------
    status : int
        HTTP status of the answer.
    kind : str or None
        Class name from the answer's ``kind``; a Go TFaaS sends none.
    message : str
        Text from the answer's ``error``.

    Returns
    -------
    TfaasError
        An instance of the named class, else of the first class with that status,
        else of `RequestError` (4xx) or `ServerError`.
    """
    tree = _tree(TfaasError)
    if kind in tree:
        return tree[kind](message)
    by_status = {
        cls.status: cls
        for cls in (ModelNotFound, Unauthorized, Forbidden, TooLarge, TooManyRequests)
    }
    fallback = RequestError if 400 <= status < 500 else ServerError
    return by_status.get(status, fallback)(message)
