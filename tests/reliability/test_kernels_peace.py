"""Independence of a server and the kernel that it runs in: neither disturbs the other."""

from __future__ import annotations

import contextlib
import os
import queue
import shutil
import socket
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests
from jupyter_client.manager import KernelManager

import tfaas_nb
from tfaas_nb.bundle import Bundle

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
]

_SECONDS = 90

BEGIN = """
import json, os, signal, sys, threading, time
import tfaas_nb as tn

def ours():
    return [t.name for t in threading.enumerate() if t.name.startswith("tfaas_nb")]

def none_left(seconds=10):
    until = time.monotonic() + seconds
    while ours() and time.monotonic() < until:
        time.sleep(0.02)
    return not ours()
"""

UPLOADED = """
bundle = tn.Bundle.load("ttbar.tar.gz")
client = server.client()
client.upload(bundle)
event = dict.fromkeys(bundle.features, 1.0)
score = client.predict("ttbar", event)
"""


class Kernel:
    """A real kernel, in a folder with a copy of this package that tests may change."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.strays: list[str] = []
        nothing = shutil.ignore_patterns("__pycache__", "*.root")
        shutil.copytree(Path(tfaas_nb.__file__).parent, folder / "tfaas_nb", ignore=nothing)
        (folder / "tmp").mkdir()
        environment = {"PYTHONPATH": folder, "IPYTHONDIR": folder / "ipython", "TMPDIR": "tmp"}
        self.manager = KernelManager()
        self.manager.start_kernel(
            cwd=str(folder), env=os.environ | {k: str(v) for k, v in environment.items()}
        )
        self._connect()

    @property
    def pid(self) -> int:
        return int(self.manager.provisioner.pid)  # type: ignore[union-attr]

    def run(self, code: str, fails: str = "", interrupt: bool = False) -> str:
        """Run a cell and return its output; output of anything else meanwhile is a stray.

        Parameters
        ----------
        code : str
            The cell.
        fails : str
            The exception that it must end with.
        interrupt : bool
            Whether it is interrupted half a second after it printed ``now``.
        """
        printed: list[str] = []
        sent, ename = self.client.execute(code), ""
        while True:
            message = self.client.get_iopub_msg(timeout=_SECONDS)
            own = message["parent_header"].get("msg_id") == sent
            kind, content = message["msg_type"], message["content"]
            if kind == "stream":
                (printed if own else self.strays).append(content["text"])
                if interrupt and own and "now" in content["text"]:
                    time.sleep(0.5)
                    self.manager.interrupt_kernel()
            elif kind == "error" and own:
                ename, told = content["ename"], content["traceback"]
            elif kind == "status" and own and content["execution_state"] == "idle":
                break
        assert ename == fails, told if ename else "no error"
        return "".join(printed)

    def restart(self, now: bool) -> None:
        """As the menu does (``now``, by SIGKILL), or gently."""
        self.client.stop_channels()
        self.manager.restart_kernel(now=now)
        self._connect()

    def end(self) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)

    def _connect(self) -> None:
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=_SECONDS)


@contextlib.contextmanager
def kernel_in(folder: Path, bundle: Bundle) -> Iterator[Kernel]:
    bundle.save_archive(folder)
    kernel = Kernel(folder)
    try:
        assert kernel.run(BEGIN) == ""
        yield kernel
    finally:
        kernel.end()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, bundle: Bundle) -> Iterator[Kernel]:
    with kernel_in(tmp_path_factory.mktemp("kernel"), bundle) as kernel:
        assert kernel.run("server = tn.Server('models', port=0).start()" + UPLOADED) == ""
        yield kernel


@pytest.fixture
def kernel(shared: Kernel) -> Iterator[Kernel]:
    """One for all: each test leaves a running `server` that has ``ttbar``, and a quiet kernel."""
    yield shared
    assert shared.run("print(client.predict('ttbar', event) == score)") == "True\n"
    assert shared.strays == []


def port_of(kernel: Kernel) -> int:
    return int(kernel.run("print(server.port)"))


def is_free(port: int) -> bool:
    """Return True if a server could listen on a port, though ended connections linger there."""
    with contextlib.closing(socket.socket()) as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            again.bind(("127.0.0.1", port))
            again.listen()
        except OSError:
            return False
    return True


def wait_until(condition: Any, seconds: float = 15) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it took too long"
        time.sleep(0.02)


# --- nothing is printed -------------------------------------------------------------------


def test_nothing_is_printed_into_cells(kernel: Kernel) -> None:
    """Whatever clients send, and however they go away."""
    url = f"http://127.0.0.1:{port_of(kernel)}"
    token = kernel.run("print(server.token)").strip()
    headers = {"Authorization": f"Bearer {token}"}

    def ask() -> None:
        for path, body in (("/json", b"{"), ("/npy", b"x"), ("/upload", b"\x1f\x8b"), ("/", b"")):
            assert requests.post(url + path, body, headers=headers, timeout=30).status_code >= 400
        for raw in (
            b"\x00\r\n\r\n",
            b"POST /json HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n",
        ):
            with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2]))) as client:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, bytes([1] + [0] * 7))
                client.sendall(raw)

    with ThreadPoolExecutor(4) as threads:
        asked = [threads.submit(ask) for _ in range(8)]
        printed = kernel.run("for _ in range(20):\n    time.sleep(0.1)\n    print('mine')")
        for one in asked:
            one.result()
    assert set(printed.split()) == {"mine"}


def test_errors_of_the_event_loop_are_noted_and_not_printed(kernel: Kernel) -> None:
    """Nor raised in the kernel; whoever wants to know has the package's log."""
    code = """
import logging
noted = []
handler = logging.Handler()
handler.emit = lambda record: noted.append(record.getMessage())
logging.getLogger("tfaas_nb").addHandler(handler)
loop = server._run._loop
loop.call_soon_threadsafe(lambda: 1 / 0)
time.sleep(0.3)
logging.getLogger("tfaas_nb").removeHandler(handler)
print(len(noted), server.is_running)
"""
    assert kernel.run(code) == "1 True\n"


# --- Ctrl-C -------------------------------------------------------------------------------


def test_an_interrupt_while_predicting_leaves_server_and_client(kernel: Kernel) -> None:
    code = "print('now', flush=True)\nwhile True:\n    client.predict('ttbar', event)"
    for _ in range(2):
        kernel.run(code, fails="KeyboardInterrupt", interrupt=True)
        assert kernel.run("print(client.predict('ttbar', event) == score)") == "True\n"


def test_an_interrupt_while_uploading_leaves_server_and_client(kernel: Kernel) -> None:
    code = "print('now', flush=True)\nwhile True:\n    client.upload(bundle, 'other')"
    kernel.run(code, fails="KeyboardInterrupt", interrupt=True)
    assert kernel.run("print(client.predict('other', event) == score)") == "True\n"


def test_an_interrupt_while_starting_or_stopping_leaves_nothing(kernel: Kernel) -> None:
    code = """
print('now', flush=True)
while True:
    extra = tn.Server('extra', port=0).start()
    extra.stop()
"""
    kernel.run(code, fails="KeyboardInterrupt", interrupt=True)
    code = """
extra.stop()
until = time.monotonic() + 10
while ours().count("tfaas_nb-server") > 1 and time.monotonic() < until:
    time.sleep(0.02)
print(ours().count("tfaas_nb-server"), [s.directory.name for s in tn.serving.server.running()])
"""
    assert kernel.run("import tfaas_nb.serving.server\n" + code) == "1 ['models']\n"


# --- copies of the kernel -----------------------------------------------------------------


def test_a_copy_of_the_kernel_does_not_serve(kernel: Kernel) -> None:
    """It holds neither the port nor connections beyond the end of the server."""
    port = port_of(kernel)
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        time.sleep(0.2)
        code = """
r, w = os.pipe()
pid = os.fork()
if not pid:
    os.write(w, f"{server.is_running} {len(tn.serving.server.running())}".encode())
    time.sleep(60)
    os._exit(0)
os.close(w)
print(os.read(r, 100).decode(), os.close(r))
"""
        assert kernel.run("import tfaas_nb.serving.server" + code) == "False 0 None\n"
        assert kernel.run("print(client.predict('ttbar', event) == score)") == "True\n"
        kernel.run("server.stop()")
        assert connection.recv(1) == b"", "it is closed though the copy lives"
    assert is_free(port)
    kernel.run(f"server = tn.Server('models', port={port}, token=server.token).start()")
    kernel.run("os.kill(pid, 9), os.waitpid(pid, 0)")


@pytest.mark.parametrize("end", ["os._exit(0)", "sys.exit()", "server.stop(); os._exit(0)"])
def test_the_end_of_a_copy_ends_nothing_here(kernel: Kernel, end: str) -> None:
    """Nor does one that stops, in its own eyes, the server."""
    code = f"""
pid = os.fork()
if not pid:
    try:
        {end}
    finally:
        os._exit(0)
print(os.waitpid(pid, 0)[1], server.is_running)
"""
    assert kernel.run(code) == "0 True\n"


def test_a_pool_of_processes_may_be_used_beside(kernel: Kernel) -> None:
    code = """
import multiprocessing
with multiprocessing.get_context("fork").Pool(2) as pool:
    print(pool.map(abs, range(-3, 3)))
client.upload(bundle)
"""
    assert kernel.run(code) == "[3, 2, 1, 0, 1, 2]\n"


# --- what cells do to names and modules ---------------------------------------------------


def test_a_reset_leaves_the_server(kernel: Kernel) -> None:
    """The names are gone; the cell that starts it takes it over with its port and token."""
    port = port_of(kernel)
    token = kernel.run("print(server.token)").strip()
    kernel.run("%reset -f")
    assert requests.get(f"http://127.0.0.1:{port}/health", timeout=20).status_code == 200
    kernel.run(BEGIN + "server = tn.Server('models').start()" + UPLOADED)
    assert port_of(kernel) == port
    assert kernel.run("print(server.token)").strip() == token
    assert kernel.run("print(ours().count('tfaas_nb-server'))") == "1\n"


def test_modules_may_be_reloaded_under_a_running_server(kernel: Kernel) -> None:
    """All of them at once, by autoreload, and a module of the user's."""
    (kernel.folder / "mine.py").write_text("def double(x):\n    return 2 * x\n")
    kernel.run("%load_ext autoreload\n%autoreload 2\nimport mine")
    port = port_of(kernel)
    time.sleep(1)  # the clock of files may tick in seconds
    (kernel.folder / "mine.py").write_text("def double(x):\n    return 20 * x\n")
    for module in (kernel.folder / "tfaas_nb").rglob("*.py"):
        with module.open("a") as file:
            file.write("\n# edited\n")
    try:
        said = kernel.run("print(mine.double(client.predict('ttbar', event) == score))")
        assert said == "20\n"
        assert kernel.run("print(client.upload(bundle) > 1, server.is_running)") == "True True\n"
        kernel.run("server = tn.Server('models').start()\nclient = server.client()")
        assert port_of(kernel) == port
        assert kernel.run("print(ours().count('tfaas_nb-server'))") == "1\n"
    finally:
        kernel.run("%autoreload 0")


# --- the end ------------------------------------------------------------------------------


def test_stopping_is_quick_under_load_and_leaves_nothing(kernel: Kernel) -> None:
    """A hundred clients ask; those that were heard are answered."""
    port, token = port_of(kernel), kernel.run("print(server.token)").strip()
    process = psutil.Process(kernel.pid)
    body = kernel.run(
        "print(json.dumps({'keys': list(event), 'values': list(event.values())}))"
    ).encode()
    head = f"POST /json HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n"
    request = head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body
    asked, odd = queue.SimpleQueue[int](), queue.SimpleQueue[bytes]()

    def ask() -> None:
        with contextlib.closing(socket.create_connection(("127.0.0.1", port), 30)) as client:
            while True:
                with contextlib.suppress(ConnectionError):
                    client.sendall(request)
                try:
                    answer = client.recv(10_000)
                except ConnectionError:
                    answer = b""
                if not answer:
                    return
                asked.put(1)
                if not (answer.startswith(b"HTTP/1.1 200 ") and answer.endswith(b"]")):
                    odd.put(answer)

    threads = [threading.Thread(target=ask) for _ in range(100)]
    for thread in threads:
        thread.start()
    wait_until(lambda: asked.qsize() > 1000, 60)
    code = "begun = time.monotonic()\nserver.stop()\nprint(time.monotonic() - begun < 6)"
    assert kernel.run(code) == "True\n"
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    assert odd.empty()
    assert kernel.run("print(none_left(), ours())") == "True []\n"
    assert is_free(port)
    assert not process.children(recursive=True)
    assert not os.listdir(kernel.folder / "tmp")
    assert not [c for c in process.net_connections() if c.laddr.port == port]
    kernel.run(f"server = tn.Server('models', port={port}, token={token!r}).start()")
    kernel.run("client = server.client()")


@pytest.mark.endurance
def test_exit_ends_the_kernel_and_frees_the_port(kernel: Kernel) -> None:
    """While a model is uploaded; the next kernel gets the same port."""
    port = port_of(kernel)
    kernel.run("""
def upload():
    while True:
        client.upload(bundle, "more")
threading.Thread(target=upload, daemon=True).start()
time.sleep(0.3)
""")
    kernel.client.execute("exit()")
    process = psutil.Process(kernel.pid)
    wait_until(lambda: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE, 20)
    assert is_free(port)
    kernel.restart(now=True)
    assert kernel.run(BEGIN + f"server = tn.Server('models', port={port}).start()") == ""
    kernel.run("client = server.client()" + UPLOADED)
