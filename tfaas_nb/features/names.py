"""Names as people give them: of features, of the columns of an array, of what to keep."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tfaas_nb.errors import FeatureError, TfaasError


def names_in(
    given: Any,
    role: str,
    error: type[TfaasError] = FeatureError,
    wanted: str = "a list of names",
) -> tuple[str, ...]:
    """Names in their order: of a list, an array, an index of pandas, or one as text.

    Parameters
    ----------
    given : iterable of str, or str
        The names.
    role : str
        Argument or subject they are given as, for the error.
    error : type
        Class of the error.
    wanted : str
        Description of what would be right, for the error.

    Raises
    ------
    FeatureError
        Or `error`, if they are no text, empty text, or have no order.
    """
    if isinstance(given, str):
        given = (given,)
    if isinstance(given, (set, frozenset)):
        raise error(
            f"{role} must be {wanted}, not {given!r:.100}: a {type(given).__name__} has no order"
        )
    if isinstance(given, (bytes, bytearray, Mapping)) or not isinstance(given, Iterable):
        raise error(f"{role} must be {wanted}, not {given!r:.100}")
    names = [name.as_py() if hasattr(name, "as_py") else name for name in given]
    for name in names:
        if not isinstance(name, str) or not name:
            raise error(f"{role} must be {wanted}, not {name!r:.100}")
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
