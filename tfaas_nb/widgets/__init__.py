"""Widgets: train's results to look at, a server to run, models to upload and to ask.

Every widget talks to a Python `Client` in the kernel; the browser never talks to the
server itself, whose port it may not reach (on SWAN and Binder it does not).
"""

from __future__ import annotations

from tfaas_nb.widgets.dashboard import Dashboard
from tfaas_nb.widgets.query import Query
from tfaas_nb.widgets.roc_view import RocView
from tfaas_nb.widgets.server_panel import ServerPanel
from tfaas_nb.widgets.upload import Upload

__all__ = ["Dashboard", "Query", "RocView", "ServerPanel", "Upload"]
