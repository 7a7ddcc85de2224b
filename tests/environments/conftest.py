"""Whole environments are installed here, by ``make environments`` alone."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.environments.places import ROOT, copy_of_repository


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.environments)
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder that takes gigabytes, and is gone afterwards."""
    folder = tmp_path_factory.mktemp("place")
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def repository(place: Path) -> Path:
    """A clone of the repository, beside the shared files where this one is beside them."""
    (place / "tfaas_nb.git").mkdir()
    if (shared := ROOT.parent / "shared").is_dir():
        (place / "shared").symlink_to(shared, target_is_directory=True)
    return copy_of_repository(place / "tfaas_nb.git")
