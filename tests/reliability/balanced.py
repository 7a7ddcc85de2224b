"""Several ``tfaas-nb serve`` on one directory of models behind a real nginx."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest
import requests

from tests.command import COMMAND

ROOT = Path(__file__).parents[2]
CONFIGURATION = ROOT / "binder" / "serving" / "nginx.conf"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
        return port


def wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 120
    while True:
        try:
            requests.get(url, timeout=10)
        except requests.RequestException:
            assert process.poll() is None, f"{url}: it has ended"
            assert time.monotonic() < end, f"{url} does not answer"
            time.sleep(0.02)
        else:
            return


class Server:
    """A command on a port of its own, which it keeps when it is started again."""

    def __init__(self, models: Path) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        options = ["--no-token", "--port", str(self.port), "--models", str(models)]
        self._command = [*COMMAND, "serve", *options]
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)

    def ready(self) -> None:
        wait_for(f"{self.url}/health", self.process)

    def terminate(self) -> int:
        self.process.terminate()
        return self.process.wait(60)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(60)


class Nginx:
    """The repository's own configuration, with other addresses."""

    def __init__(self, folder: Path, ports: list[int]) -> None:
        if shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin") is None:
            (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("there is no nginx")
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        text = CONFIGURATION.read_text()
        for number, port in enumerate(ports, 1):
            assert text.count(f"server models-{number}:8083 ") == 2
            text = text.replace(f"models-{number}:8083", f"127.0.0.1:{port}")
        text = re.sub(r"listen \d+;", f"listen 127.0.0.1:{self.port};", text)
        places = [f"{kind}_temp_path {folder}/{kind};" for kind in _KINDS]
        text = text.replace("http {", "\n".join(["http {", "access_log off;", *places]), 1)
        (folder / "nginx.conf").write_text(text)
        self.log = folder / "error.log"
        user = "user root; " if os.geteuid() == 0 else ""
        said = f"daemon off; {user}pid {folder}/nginx.pid; error_log {self.log} info;"
        self._process = subprocess.Popen(
            ["nginx", "-p", folder, "-c", folder / "nginx.conf", "-e", self.log, "-g", said],
            env=os.environ | {"PATH": f"{os.environ['PATH']}:/usr/sbin"},
        )
        wait_for(self.url, self._process)

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(20)


_KINDS = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
