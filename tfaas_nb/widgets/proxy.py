"""Path of a port of the kernel's machine on the Jupyter server, by jupyter-server-proxy."""

from __future__ import annotations

import importlib.util
import os

_HUB = "JUPYTERHUB_SERVICE_PREFIX"


def path(port: int) -> str | None:
    """Path of a port below jupyter-server-proxy; None where there is none.

    On a hub it begins with the hub's prefix and a slash.  Elsewhere it is relative to the base
    address of the Jupyter server, which only its pages know.  A hub may have the proxy where
    this kernel does not see it (SWAN's custom environments), so it is taken to have one.
    """
    prefix = os.environ.get(_HUB)
    if prefix:
        return f"{prefix.rstrip('/')}/proxy/{port}/"
    if importlib.util.find_spec("jupyter_server_proxy"):
        return f"proxy/{port}/"
    return None
