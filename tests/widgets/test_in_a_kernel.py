"""The widgets in a real Jupyter kernel, where comms, threads and event loop are the real ones."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

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
from tests.widgets.page import choose, send

data = tn.sample()[np.r_[0:500, 20_000:20_500]]
server = tn.Server("models", port=0)
panel = tn.widgets.ServerPanel(server)
panel.start_button.click()

upload = tn.widgets.Upload(server)
choose(upload, "ttbar.tar.gz", Path("ttbar.tar.gz").read_bytes())
upload.name.value = "mine"
send(upload)

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
    """Run a cell and return its output; an error in it fails the test."""
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


RERUN = """
tn.widgets.Dashboard(server)
panel = tn.widgets.ServerPanel(server)
upload = tn.widgets.Upload(server)
upload.look("ttbar.tar.gz", Path("ttbar.tar.gz").read_bytes())
upload.send()
upload.files._handle_custom_msg({"kind": "begin", "id": "1", "files": [
    {"name": "half", "size": 20_000_000}]}, [])
upload.files._handle_custom_msg({"kind": "part", "id": "1", "file": 0, "offset": 0}, [
    bytes(10_000_000)])
"""

LEFT = """
import gc
import json
import ipywidgets
import psutil

gc.collect()
process = psutil.Process()
comms = get_ipython().kernel.comm_manager.comms
print(json.dumps([
    # How many threads of the server have had to do is nothing that a cell leaves behind.
    sorted(t.name for t in threading.enumerate() if not t.name.startswith("tfaas_nb-work")),
    len(comms),
    sum(w.comm is not None for w in ipywidgets.widgets.widget._instances.values()),
    sum(c.laddr.port == server.port or c.status == "LISTEN" for c in process.net_connections()),
    sum("deleted" in os.readlink(f) for f in map(str, Path("/proc/self/fd").iterdir())
        if os.path.lexists(f)),
]))
"""


@pytest.mark.endurance
@pytest.mark.parametrize("page", ["tells the cell", "tells no cell"])
def test_a_cell_run_five_times_leaves_what_one_run_leaves(
    tmp_path: Path, bundle: Bundle, page: str
) -> None:
    """JupyterLab tells which cell is run; the classic Notebook does not."""
    bundle.save_archive(tmp_path)
    root = str(Path(__file__).parent.parent.parent)
    manager, client = start_new_kernel(cwd=str(tmp_path))
    send = client.session.send

    def with_cell(stream: object, kind: object, content: Any = None, **options: Any) -> Any:
        if isinstance(kind, dict) and kind.get("msg_type") == "execute_request":
            code = kind["content"]["code"]
            kind["metadata"]["cellId"] = "rerun" if "Dashboard" in code else code[:20]
        return send(stream, kind, content, **options)

    if page == "tells the cell":
        client.session.send = with_cell
    try:
        run(client, f"import sys; sys.path.insert(0, {root!r})")
        run(client, "import os, threading\nfrom pathlib import Path\nimport tfaas_nb as tn")
        run(client, "server = tn.Server('models', port=0).start()")
        run(client, "server.client().upload(tn.Bundle.load('ttbar.tar.gz'))")
        run(client, RERUN)
        once = settled(client)
        for n in range(5):
            # Where the cell is told, its text may change.
            run(client, RERUN + ("#" * n if page == "tells the cell" else ""))
        assert settled(client) == once
        run(client, "panel.close(); upload.close()")
        fewer = settled(client)
        assert fewer[1] < once[1]
        assert fewer[3] < once[3]
        run(client, "server.stop()")
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def settled(client: object) -> list[Any]:
    """Threads, comms, sockets and files that are left once everything has had time to end."""
    time.sleep(3)
    found: list[Any] = json.loads(run(client, LEFT))
    return found
