"""Closing a widget, or running its cell again, leaves nothing behind."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from ipywidgets.widgets import widget
from jupyter_client.manager import start_new_kernel

from tests.dask import cluster
from tests.widgets.test_in_a_kernel import run
from tfaas_nb import widgets
from tfaas_nb.bundle import Bundle
from tfaas_nb.classifier import Classifier
from tfaas_nb.data.dataset import Dataset
from tfaas_nb.serving.server import Server
from tfaas_nb.widgets import Query, RocView

#: Each widget at work, once.
CELL = """
chosen = tn.widgets.DataPanel()
chosen.use_sample()
chosen.cut.value = "jetPt_0 > 900"
assert chosen.wait(60)
chosen.load_button.click()
assert chosen.wait(60)
train = tn.widgets.TrainPanel(data, server)
for name, value in {"epochs": 1, "hidden": "8", "embedding": "8"}.items():
    train.options.controls[name].value = value
train.start_button.click()
assert train.wait(90)
train.send_button.click()
assert train.wait(60)
job = tn.train_on(dask, data, "job", epochs=1, hidden=(8,), embedding=(8,))
tn.widgets.JobPanel(job)
assert job.wait(90)
upload = tn.widgets.Upload(server)
upload.look_at_path("ttbar.tar.gz")
upload.send()
panel = tn.widgets.ServerPanel(server)
dashboard = tn.widgets.Dashboard(server, data)
dashboard.evaluate_button.click()
assert dashboard.wait(60)
dashboard.ask.file.value = tn.sample_files()[0]
dashboard.ask.load_button.click()
dashboard.ask.ask_button.click()
assert dashboard.ask.score is not None
query = tn.widgets.Query(server, data)
query.ask_button.click()
query.form.jets.value = 1
query.refresh_button.click()
view = tn.widgets.RocView.of_models(server.client(), data)
view.more.selected_index = 0
query.follow(view)
view.efficiency.value = 0.8
query
"""

LEFT = """
import gc, time
import ipywidgets, psutil
import matplotlib.pyplot as plt
from urllib.parse import urlsplit
time.sleep(3)  # for threads that were told to end
gc.collect()
# The server's working threads are as many as it has had to do; those of Dask's pools vary.
others = ("tfaas_nb-work", "Dask", "TCP-Executor", "IO loop", "Profile")
threads = [t.name for t in threading.enumerate() if not t.name.startswith(others)]
# Dask's pool of connections grows and shrinks by itself: only the server's own sockets count.
port = urlsplit(server.url).port
ends = [(c, [e.port for e in (c.laddr, c.raddr) if e]) for c in psutil.Process().net_connections()]
kept = [c.status for c, ports in ends if port in ports and c.status != "CLOSE_WAIT"]
widgets = len(ipywidgets.widgets.widget._instances)
comms = len(get_ipython().kernel.comm_manager.comms)
print(comms, widgets, sorted(threads), sorted(kept), plt.get_fignums())
"""


def left() -> tuple[Any, ...]:
    import matplotlib.pyplot as plt

    return set(widget._instances), plt.get_fignums(), set(threading.enumerate())


def is_left(client: Any, expected: str) -> bool:
    """See within half a minute that a kernel holds what it held; a busy machine is slow."""
    for _ in range(8):
        text = run(client, LEFT)
        if text == expected:
            return True
    print(text, expected, sep="\n")
    return False


@pytest.mark.slow
def test_closing_leaves_nothing(serving: Server, unseen: Dataset, classifier: Classifier) -> None:
    client = serving.client()
    client.predict("ttbar", unseen)  # starts what the server keeps

    def once() -> None:
        view = RocView(classifier.evaluate(unseen))
        view.more.selected_index = 0
        query = Query(client, unseen)
        query.follow(view)
        query.ask()
        query.form.jets.value = 4
        query.refresh()
        assert view.wait()
        for made in (view, query):
            made.close()
            made.close()

    once()
    before = left()
    for _ in range(5):
        once()
    assert left() == before


@pytest.mark.endurance
def test_a_cell_run_five_times_leaves_what_one_run_leaves(tmp_path: Path, bundle: Bundle) -> None:
    assert all(f"tn.widgets.{name}" in CELL for name in widgets.__all__)
    bundle.save_archive(tmp_path)
    root = str(Path(__file__).parent.parent.parent)
    manager, client = start_new_kernel(cwd=str(tmp_path))
    try:
        with cluster(tmp_path, workers=1) as (made, _):
            run(client, f"import sys; sys.path.insert(0, {root!r})")
            run(client, "import threading\nimport numpy as np\nimport tfaas_nb as tn")
            run(client, "server = tn.Server('models', port=0).start()")
            run(client, "server.client().upload(tn.Bundle.load('ttbar.tar.gz'))")
            run(client, "data = tn.sample()[np.r_[0:300, 20_000:20_300]]")
            run(client, f"from distributed import Client\ndask = Client({made.address!r})")
            run(client, CELL)
            run(client, "assert view.wait()")
            once = run(client, LEFT)
            for _ in range(5):
                run(client, CELL)
                run(client, "assert view.wait()")
            assert is_left(client, once)
            run(client, "dask.close()")
        run(client, "server.stop()")
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
