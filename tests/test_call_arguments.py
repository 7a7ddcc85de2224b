"""Arguments that no function takes: an error of ours, with the name that was meant and the list."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from types import FunctionType, ModuleType, SimpleNamespace
from typing import Any

import pytest

import tfaas_nb as tn
from tfaas_nb import errors
from tfaas_nb.call_arguments import checked_calls
from tfaas_nb.network import Architecture
from tfaas_nb.training import Settings
from tfaas_nb.yardsticks import Boosting, Logistic


def _public(module: ModuleType, path: str) -> Iterator[tuple[str, Callable[..., Any], int]]:
    """Public functions, constructors and methods, and how many arguments stand for the object."""
    for name in module.__all__:
        value = getattr(module, name)
        if isinstance(value, ModuleType):
            if hasattr(value, "__all__"):
                yield from _public(value, f"{path}.{name}")
        elif isinstance(value, type):
            yield f"{path}.{name}", value, 0
            own = [cls for cls in value.__mro__ if cls.__module__.startswith("tfaas_nb.")]
            for method, member in {k: v for cls in own for k, v in vars(cls).items()}.items():
                if not method.startswith("_"):
                    if isinstance(member, FunctionType):
                        yield f"{path}.{name}.{method}", getattr(value, method), 1
                    elif isinstance(member, (classmethod, staticmethod)):
                        yield f"{path}.{name}.{method}", getattr(value, method), 0
        elif isinstance(value, FunctionType):
            yield f"{path}.{name}", value, 0


def _takes_any(call: Callable[..., Any]) -> bool:
    parameters = inspect.signature(call).parameters.values()
    return any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)


PUBLIC = {name: (call, bound) for name, call, bound in _public(tn, "tn") if not _takes_any(call)}

#: An object of no class; methods of widgets wait for their turn first.
_OBJECT = SimpleNamespace(_turn=nullcontext())


def test_all_public_calls_refuse_arguments_that_they_do_not_take() -> None:
    assert len(PUBLIC) > 150
    for name, (call, bound) in PUBLIC.items():
        with pytest.raises(errors.TfaasError) as raised:
            call(*[_OBJECT] * bound, qqq=1)
        message = str(raised.value)
        assert f"{name.rpartition('.')[2]}(): unknown argument 'qqq'; it takes " in message


def test_signature_and_help_are_those_of_the_function() -> None:
    for name, (call, _) in PUBLIC.items():
        shown = str(inspect.signature(call))
        assert "kwargs" not in shown, name
    assert list(inspect.signature(tn.load).parameters)[:4] == [
        "signal",
        "background",
        "features",
        "tree",
    ]
    assert tn.load.__doc__ is not None
    assert tn.load.__doc__.startswith("Read")
    assert tn.load.__module__ == "tfaas_nb.data.root"
    assert inspect.getsource(tn.load).startswith("@checked_calls(DataError)\ndef load(")


#: Call → class of the error, and words of its message.
CALLS: dict[str, tuple[Callable[[], Any], type[Exception], tuple[str, ...]]] = {
    "a limit of jets": (
        lambda: tn.Objects(jet_pt=30), errors.DataError, ("'jet_pt'", "'jet_pt_min'?"),
    ),
    "a class in the plural": (
        lambda: tn.load(signals="a.root", background="b.root"),
        errors.DataError, ("load(): ", "'signals' (did you mean 'signal'?)", "background="),
    ),
    "a cross-section of a sample": (
        lambda: tn.Sample("a.root", xsecs=3), errors.DataError, ("'xsecs'", "'xsec'?", "lumi="),
    ),
    "an output": (
        lambda: tn.score("a.root", "ttbar", ouput="b.root"),
        errors.DataError, ("'ouput' (did you mean 'output'?)",),
    ),
    "a unit": (
        lambda: tn.Variable("met", units="GeV"), errors.FeatureError, ("'units'", "'unit'?"),
    ),
    "variables of jets": (
        lambda: tn.FeatureSet("x", jett=["jetPt"]), errors.FeatureError, ("'jett'", "'jet'?"),
    ),
    "memory of a server": (
        lambda: tn.Server(memmory="2GB"), errors.ServerError, ("'memmory'", "'memory'?"),
    ),
    "a client's token": (
        lambda: tn.Client("http://127.0.0.1:1", tokn="x"), errors.ServerError, ("'token'?",),
    ),
    "folds": (
        lambda: tn.cross_validate(None, fold=3), errors.TrainingError, ("'folds'?", "seed="),
    ),
    "a setting": (lambda: Settings(epoch=3), errors.TrainingError, ("'epochs'?",)),
    "an architecture": (lambda: Architecture(hiden=(3,)), errors.TrainingError, ("it takes ",)),
    "trees": (lambda: Boosting(iteration=3), errors.TrainingError, ("'iterations'?",)),
    "a penalty": (
        lambda: Logistic(inverse_penalti=3), errors.TrainingError, ("'inverse_penalty'?",),
    ),
    "the name of a bundle's model": (
        lambda: tn.Bundle.of("a.pb", nam="x"), errors.BundleError, ("Bundle.of(): ", "'name'?"),
    ),
    "a figure's size": (
        lambda: tn.plots.png(None, sise=(1, 1)), errors.DataError, ("'size'?",),
    ),
    "a label": (lambda: tn.plots.label("CMS", rigth="x"), errors.DataError, ("'right'?",)),
    "a panel's data": (
        lambda: tn.widgets.TrainPanel(dat=None), errors.DataError, ("'data'?",),
    ),
    "nothing to load": (
        lambda: tn.load(), errors.DataError, ("load(): 'signal' is missing", "background="),
    ),
    "nothing to simulate": (
        lambda: tn.simulate("qcd"), errors.DataError, ("'events', 'seed', 'output' are missing",),
    ),
    "an option by position": (
        lambda: tn.read("a.root", None, None, {}), errors.DataError, ("4 arguments by position",),
    ),
    "a class twice": (
        lambda: tn.load("a.root", signal="b.root"), errors.DataError, ("'signal' is given twice",),
    ),
    "an argument of what takes none": (
        lambda: tn.sample_files("x"), errors.DataError, ("by position", "it takes no argument"),
    ),
    "a method of a class": (
        lambda: tn.Server.start(), errors.ServerError, ("on an object", "x = Server(...); x.start"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_a_call_that_does_not_fit_is_told_in_words(name: str) -> None:
    call, kind, words = CALLS[name]
    with pytest.raises(kind) as raised:
        call()
    message = str(raised.value)
    for word in words:
        assert word in message, message
    for foreign in ("unexpected keyword", "positional argument", "__init__", "self"):
        assert foreign not in message, message
    assert raised.value.__cause__ is raised.value.__context__ is None


def test_errors_within_a_function_stay_what_they_are() -> None:
    @checked_calls(errors.DataError)
    def total(values: Any) -> Any:
        return sum(values, start="")

    with pytest.raises(TypeError, match="sum"):
        total([1])
    with pytest.raises(errors.DataError, match=r"total\(\): 'values' is missing; it takes values"):
        total()
