"""Names as people give them: of features, of the columns of an array, of what to keep."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tfaas_nb.errors import FeatureError, TfaasError

_SHOWN = 100


def names_in(
    given: Any,
    what: str,
    error: type[TfaasError] = FeatureError,
    refusal: str = "must be text, {} is none",
) -> tuple[str, ...]:
    """Names in their order: of a list, an array, an index of pandas, or one as text.

    Parameters
    ----------
    given : iterable of str, or str
        The names.
    what : str
        What they are names of, for what is raised.
    error : type
        What to raise.
    refusal : str
        What each of them must be, with a gap for one that is not.

    Raises
    ------
    FeatureError
        Or `error`, if they are no text, or have no order.
    """
    if isinstance(given, str):
        return (str(given),)
    if isinstance(given, (set, frozenset)):
        raise error(f"{what} have an order, a {type(given).__name__} has none: give a list")
    if isinstance(given, (bytes, bytearray)) or not isinstance(given, Iterable):
        raise error(f"{what} must be a list of names, not {given!r:.100}")
    names = [name.as_py() if hasattr(name, "as_py") else name for name in given]
    for name in names:
        if not isinstance(name, str):
            raise error(f"{what} {refusal.format(repr(name)[:_SHOWN])}")
    return tuple(map(str, names))


def check_names(names: tuple[str, ...]) -> None:
    """Refuse names of columns that are repeated, or that no request can carry.

    Raises
    ------
    FeatureError
        Naming them.
    """
    if len(set(names)) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise FeatureError(
            f"the keys do not fit the model: sent more than once: {', '.join(twice[:8])}"
        )
    try:
        "".join(names).encode()
    except UnicodeEncodeError as error:
        wrong = error.object[error.start : error.end]
        raise FeatureError(f"a key holds {wrong!r}, which is no character") from error
