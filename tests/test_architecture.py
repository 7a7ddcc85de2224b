"""The tree shows the architecture: who may import whom, and what an import costs."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import tfaas_nb

PACKAGE = Path(tfaas_nb.__file__).parent

#: Floor of each module or package; a module imports only from floors below its own.
FLOORS = {
    "errors": -2,
    "nearest": -2,
    "call_arguments": -1,
    "table": 0,
    "spelling": 0,
    "measured": 0,
    "missing": 0,
    "operations": 0,
    "reference": 0,
    "writer": 0,
    "durable": 1,
    "variables": 0,
    "last_words": 0,
    "own_folder": 0,
    "foreign_words": 1,
    "foreign_file": 2,
    "vetting": 1,
    "options": -1,
    "reference_events": 1,
    "graph_parts": 1,
    "quantities": 2,
    "backend": 1,
    "signature": 1,
    "isolation": 2,
    "archive": 1,
    "cluster": 1,
    "features": 1,
    "wire": 2,
    "data": 2,
    "graph": 2,
    "onnx_parts": 1,
    "onnx_graph": 2,
    "saved_model": 3,
    "keras_file": 3,
    "export": 3,
    "model_file": 4,
    "model_folder": 4,
    "bundle": 5,
    "engines": 3,
    "network": 3,
    "plots": 3,
    "metrics": 4,
    "training": 5,
    "evaluation": 5,
    "client": 6,
    "connection": 2,
    "patience": 1,
    "asked_events": 3,
    "independence": 6,
    "repository": 6,
    "classifier": 6,
    "scoring": 7,
    "training_job": 7,
    "yardsticks": 7,
    "validation": 8,
    "comparison": 8,
    "serving": 7,
    "promotion": 7,
    "widgets": 8,
    "demo": 8,
    "magics": 8,
    "remote_training": 9,
    "cli": 9,
}
HEAVY = (
    *("tensorflow", "keras", "uproot", "awkward", "matplotlib", "ipywidgets", "sklearn", "scipy"),
    *("netron", "prometheus_client", "psutil", "XRootD", "distributed"),
    *("onnx", "onnxruntime", "tf2onnx", "PIL"),
)


def imports(path: Path) -> set[str]:
    """The modules of this package that a file imports, anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            module = node.module or ""
            found |= {f"{module}.{alias.name}" for alias in node.names}
    return {name for name in found if name.startswith("tfaas_nb.")}


def unit(name: str) -> str:
    return name.split(".")[1]


def modules() -> list[Path]:
    return sorted(p for p in PACKAGE.rglob("*.py") if p != PACKAGE / "__init__.py")


def own_unit(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def test_every_module_has_a_floor() -> None:
    assert {own_unit(path) for path in modules()} == set(FLOORS)


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_only_from_floors_below(path: Path) -> None:
    own = own_unit(path)
    above = {
        name
        for name in imports(path)
        if unit(name) != own and FLOORS.get(unit(name), 99) >= FLOORS[own]
    }
    assert not above, f"{path.name} (floor {FLOORS[own]}) imports upwards or sideways: {above}"


@pytest.mark.parametrize("package", sorted({own_unit(p) for p in modules() if p.parent != PACKAGE}))
def test_no_cycles_within_a_package(package: str) -> None:
    needs: dict[str, set[str]] = {}
    for path in (PACKAGE / package).rglob("*.py"):
        stem, *inner = path.relative_to(PACKAGE / package).with_suffix("").parts
        needed = {name.split(".")[2] for name in imports(path) if unit(name) == package}
        needs.setdefault(stem, set()).update(needed - ({stem} if inner else set()))
    needs = {stem: needed & set(needs) for stem, needed in needs.items()}
    while free := [stem for stem, needed in needs.items() if not needed]:
        for stem in free:
            del needs[stem]
        needs = {stem: needed - set(free) for stem, needed in needs.items()}
    assert not needs, f"these modules import each other: {sorted(needs)}"


@pytest.mark.parametrize("word", ["utils", "helpers", "common", "base", "manager"])
def test_no_module_without_an_idea(word: str) -> None:
    assert not [p for p in modules() if word in p.stem]


def test_importing_the_package_is_light() -> None:
    code = f"import sys, tfaas_nb; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_names_are_what_dir_says() -> None:
    assert set(tfaas_nb.__all__) <= set(dir(tfaas_nb))
    for name in tfaas_nb.__all__:
        assert getattr(tfaas_nb, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'Klassifier'"):
        _ = tfaas_nb.Klassifier
