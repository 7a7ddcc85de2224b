"""SECURITY.md promises nothing that no test holds."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "SECURITY.md").read_text()
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", TEXT)))


def test_every_row_names_a_test() -> None:
    rows = [line for line in TEXT.splitlines() if line.startswith("| ") and "---" not in line]
    assert len(rows) > 30
    for row in rows:
        assert "::test_" in row or row.split("|")[-2].strip() == "test", row


@pytest.mark.slow
@pytest.mark.parametrize(("path", "name"), NAMED, ids=[name for _, name in NAMED])
def test_the_test_exists(path: str, name: str) -> None:
    tree = ast.parse((ROOT / path).read_text())
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_every_fault_of_tfaas_stands_in_it() -> None:
    path = "tests/reliability/test_tfaas_faults.py"
    tree = ast.parse((ROOT / path).read_text())
    tests = {n.name for n in tree.body if isinstance(n, ast.FunctionDef) and n.name[:4] == "test"}
    assert tests == {name for file, name in NAMED if file == path}


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\((?!http)([^)]+)\)", TEXT):
        assert (ROOT / target).exists(), target
