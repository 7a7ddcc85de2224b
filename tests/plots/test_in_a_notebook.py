"""Figures in a real Jupyter kernel, which shows them below the cell that draws them."""

from __future__ import annotations

from typing import Any

import pytest
from jupyter_client.manager import start_new_kernel

pytestmark = pytest.mark.slow

SETUP = """
import numpy as np
import tfaas_nb as tn
random = np.random.default_rng(1)
curve = tn.metrics.Roc.of(np.arange(100) % 2, random.uniform(size=100))
"""


def shown(client: Any, code: str) -> list[str]:
    """The kinds of pictures that a cell shows."""
    found: list[str] = []

    def collect(message: dict[str, Any]) -> None:
        if message["msg_type"] == "display_data":
            found.extend(kind for kind in message["content"]["data"] if kind.startswith("image/"))

    reply = client.execute_interactive(code, output_hook=collect, timeout=90)
    assert reply["content"]["status"] == "ok", reply["content"]
    return found


def test_every_cell_that_draws_shows_its_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MPLBACKEND", raising=False)
    manager, client = start_new_kernel()
    try:
        assert shown(client, SETUP) == []
        for _ in range(3):
            assert shown(client, "tn.plots.roc(curve)") == ["image/png"]
        assert shown(client, "tn.plots.scores(np.arange(9) % 2, np.linspace(0, 1, 9))") == [
            "image/png"
        ]
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
