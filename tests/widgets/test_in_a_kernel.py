"""The widgets in a real Jupyter kernel, where comms, threads and event loop are the real ones."""

from __future__ import annotations

from pathlib import Path

import pytest
from jupyter_client.manager import start_new_kernel

from tfaas_nb.bundle import Bundle

pytestmark = pytest.mark.slow

CLICKS = """
import threading
import time
from pathlib import Path
import numpy as np
import tfaas_nb as tn
from tests.widgets.choose import chosen

data = tn.sample()[np.r_[0:500, 20_000:20_500]]
server = tn.Server("models", port=0)
panel = tn.widgets.ServerPanel(server)
panel.start_button.click()

upload = tn.widgets.Upload(server)
upload.file.value = chosen("ttbar.tar.gz", Path("ttbar.tar.gz").read_bytes())
upload.name.value = "mine"
upload.send_button.click()

query = tn.widgets.Query(server)
query.file.value = tn.sample_files()[0]
query.load_button.click()
query.event.value = 3
query.ask_button.click()

view = tn.widgets.RocView.of_models(server.client(), data)
view.efficiency.value = 0.8
"""

RESULT = """
def ours():
    return [t.name for t in threading.enumerate() if t.name.startswith("tfaas_nb")]

print(panel.running, upload.uploaded, query.score == server.client().predict("mine", data.event(3)),
      view.point.eps_s >= 0.8)
panel.stop_button.click()
until = time.monotonic() + 10
while ours() and time.monotonic() < until:
    time.sleep(0.05)
print(panel.running, ours())
"""


def run(client: object, code: str) -> str:
    """What a cell prints; an error in it fails the test."""
    printed: list[str] = []

    def collect(message: dict[str, dict[str, str]]) -> None:
        if message["msg_type"] == "stream":  # type: ignore[comparison-overlap]
            printed.append(message["content"]["text"])

    reply = client.execute_interactive(code, output_hook=collect, timeout=90)  # type: ignore[attr-defined]
    assert reply["content"]["status"] == "ok", reply["content"]
    return "".join(printed)


def test_clicks_and_values_drive_every_widget(tmp_path: Path, bundle: Bundle) -> None:
    bundle.save_archive(tmp_path)
    root = str(Path(__file__).parent.parent.parent)
    manager, client = start_new_kernel(cwd=str(tmp_path))
    try:
        run(client, f"import sys; sys.path.insert(0, {root!r})")
        shown = run(client, CLICKS)
        assert shown == "", "the serving thread printed into a cell"
        assert run(client, RESULT).split() == ["True", "mine", "True", "True", "False", "[]"]
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
