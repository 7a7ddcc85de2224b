"""The dashboard in a real Jupyter kernel: usable while it trains, and gone when it is closed."""

from __future__ import annotations

from pathlib import Path

import pytest
from jupyter_client.manager import start_new_kernel

from tests.widgets.test_in_a_kernel import run, settled

pytestmark = pytest.mark.slow

DASHBOARD = """
dashboard = tn.widgets.Dashboard()
dashboard.server = tn.Server("models", port=port)  # the usual one may be taken here
dashboard.serve.server = dashboard.train.source = dashboard.server
dashboard.data.sample_button.click()
dashboard.data.cut.value = "jetPt_0 > 900"
dashboard.data.load_button.click()
assert dashboard.wait(60)
for name, value in {"epochs": epochs, "hidden": "8", "embedding": "8"}.items():
    dashboard.train.options.controls[name].value = value
dashboard.train.start_button.click()
"""

TRAINED = """
dashboard.train.stop_button.click() if epochs > 1 else None
assert dashboard.wait(90), dashboard.train.state.value
dashboard.train.send_button.click()
assert dashboard.wait(60)
print(dashboard.train.message.value, dashboard.server.is_running, plt.get_fignums())
"""


@pytest.mark.endurance
def test_a_dashboard_trains_serves_and_leaves_nothing_behind(tmp_path: Path) -> None:
    root = str(Path(__file__).parent.parent.parent)
    manager, client = start_new_kernel(cwd=str(tmp_path))
    try:
        run(client, f"import sys; sys.path.insert(0, {root!r})")
        run(client, "import os, threading\nfrom pathlib import Path\nimport tfaas_nb as tn")
        run(client, "import matplotlib.pyplot as plt; epochs = 1; plt.close('all')")
        run(client, "s = __import__('socket').create_server(('127.0.0.1', 0))")
        run(client, "port = s.getsockname()[1]; s.close()")
        assert run(client, DASHBOARD) == "", "a thread printed into the cell"
        shown = run(client, TRAINED)
        assert "now serves &#x27;ttbar&#x27;, version 1.</div> True []" in shown
        run(client, "server = dashboard.server")
        once = settled(client)
        for _ in range(4):
            # The kernel is free while it trains: the cell is run again, and ends the training.
            run(client, "epochs = 1000")
            assert run(client, DASHBOARD) == ""
        run(client, "epochs = 1")
        run(client, DASHBOARD)
        assert "version 2.</div> True []" in run(client, TRAINED)
        run(client, "server = dashboard.server")
        assert settled(client) == once
        run(client, "dashboard.close(); server = __import__('types').SimpleNamespace(port=port)")
        left = settled(client)
        assert not [name for name in left[0] if name.startswith("tfaas_nb")]
        assert left[2] == 0
        assert left[3] < once[3]
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
