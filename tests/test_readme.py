"""The README shows what runs: its block of code, its addresses, its architecture."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.test_architecture import FLOORS
from tfaas_nb.serving.app import App
from tfaas_nb.serving.security import Access
from tfaas_nb.serving.service import Service
from tfaas_nb.serving.shares import all_in

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


@pytest.mark.slow
def test_the_blocks_of_code_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for block in re.findall(r"```python\n(.*?)```", README, re.DOTALL):
        exec(block, names)
    expected = names["classifier"].predict(names["test"])  # type: ignore[attr-defined]
    assert abs(names["scores"] - expected).max() < 1e-6  # type: ignore[operator]
    assert not names["server"].is_running  # type: ignore[attr-defined]


def test_the_addresses_are_all_there_are(tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    from tfaas_nb.repository import Repository

    with ThreadPoolExecutor(1) as threads:
        app = App(Service(Repository(tmp_path)), Access(None), all_in(threads))
        # Those of other people's protocols are theirs to list.
        paths = {path for path in app.addresses if not path.startswith("/v2")}
    table = {path.partition("?")[0] for path in re.findall(r"[`\s](/[a-z/]*)[`?,]", README)}
    assert paths == table & paths | {"/"}, paths - table


def test_the_architecture_is_the_one_enforced() -> None:
    rows = re.findall(r"^\| (-?\d) \| (.*?) \|", README, re.MULTILINE)
    shown = {
        name.rstrip("/"): int(floor)
        for floor, names in rows
        for name in re.findall(r"`(.*?)`", names)
    }
    assert shown == FLOORS


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\((?!http)([^)]+)\)", README):
        assert (ROOT / target).exists(), target
