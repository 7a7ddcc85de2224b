"""Calls with arguments that do not fit, told in words: misspelt, missing, twice or too many."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from inspect import Parameter
from types import FunctionType
from typing import Any, TypeVar, cast

from tfaas_nb.errors import TfaasError
from tfaas_nb.nearest import did_you_mean

T = TypeVar("T", bound=Callable[..., Any])

_BY_POSITION = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
_BY_NAME = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)


def checked_calls(error: type[TfaasError]) -> Callable[[T], T]:
    """Decorate a function, or a class with its public methods.

    A call whose arguments do not fit raises `error` instead of Python's TypeError.  Nothing is
    looked at before a call has failed, and signature and help stay those of the function.

    Parameters
    ----------
    error : type of TfaasError
        Class of the errors, which name the argument and list those that there are.
    """

    def decorate(target: T) -> T:
        if isinstance(target, type):
            _decorate_methods(target, error)
            return target
        return cast(T, _checked(cast(FunctionType, target), error, bound=False))

    return decorate


def _decorate_methods(cls: type, error: type[TfaasError]) -> None:
    for name, member in list(vars(cls).items()):
        if name.startswith("_") and name != "__init__":
            continue
        if isinstance(member, FunctionType):
            setattr(cls, name, _checked(member, error, bound=True))
        elif isinstance(member, classmethod):
            setattr(cls, name, classmethod(_checked(member.__func__, error, bound=True)))
        elif isinstance(member, staticmethod):
            setattr(cls, name, staticmethod(_checked(member.__func__, error, bound=False)))


def _checked(function: Any, error: type[TfaasError], bound: bool) -> Any:
    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except TypeError:
            if _fits(function, args, kwargs):  # then it is of something within
                raise
        raise error(_misfit(function, args, kwargs, bound))

    return call


def _fits(function: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
    try:
        inspect.signature(function).bind(*args, **kwargs)
    except TypeError:
        return False
    return True


def _misfit(function: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], bound: bool) -> str:
    """Describe how arguments do not fit a function's parameters."""
    name = function.__qualname__.rpartition("<locals>.")[2]
    parameters = list(inspect.signature(function).parameters.values())
    if bound and not args:
        cls, _, method = name.rpartition(".")
        return f"{name} is called on an object, such as x = {cls}(...); x.{method}(...)"
    if bound:
        name = _name_on(args[0], name)
    taken = parameters[int(bound) :]
    return f"{name}(): {_wrong(taken, args[int(bound) :], kwargs)}; {_list_of(taken)}"


def _name_on(target: object, name: str) -> str:
    """Name a method by the class of its object, which may have inherited it."""
    defining, _, method = name.rpartition(".")
    own = target if isinstance(target, type) else type(target)
    inherits = any(cls.__qualname__ == defining for cls in own.__mro__)
    cls = own.__qualname__ if inherits else defining
    return cls if method == "__init__" else f"{cls}.{method}"


def _wrong(taken: list[Parameter], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str:
    named = [p.name for p in taken if p.kind in _BY_NAME]
    if unknown := [key for key in kwargs if key not in named]:
        unused = [name for name in named if name not in kwargs]
        listed = ", ".join(f"{key!r}{did_you_mean(key, unused)}" for key in unknown)
        return f"unknown argument {listed}"
    positions = [p.name for p in taken if p.kind in _BY_POSITION]
    if twice := [name for name in positions[: len(args)] if name in kwargs]:
        return f"{twice[0]!r} is given twice, by its position and by its name"
    if len(args) > len(positions):
        most = f"at most {len(positions)}" if positions else "none"
        return f"{len(args)} arguments by position, where {most} may be; name the others"
    required = [p.name for p in taken if p.default is Parameter.empty]
    missing = [n for n in required if n not in kwargs and n not in positions[: len(args)]]
    return f"{', '.join(map(repr, missing))} {'is' if len(missing) == 1 else 'are'} missing"


def _list_of(taken: list[Parameter]) -> str:
    listed = ", ".join(
        p.name if p.default is Parameter.empty else f"{p.name}="
        for p in taken
        if p.kind not in (Parameter.VAR_KEYWORD, Parameter.VAR_POSITIONAL)
    )
    return f"it takes {listed}" if listed else "it takes no argument"
