"""Widgets: data to choose, a classifier to train and judge, a server to run and to ask.

Every widget talks to a Python `Client` in the kernel; the browser never talks to the
server itself, whose port it may not reach (on SWAN and Binder it does not).
"""

from __future__ import annotations

from tfaas_nb.widgets.dashboard import Dashboard
from tfaas_nb.widgets.data_panel import DataPanel
from tfaas_nb.widgets.job_panel import JobPanel
from tfaas_nb.widgets.query import Query
from tfaas_nb.widgets.roc_view import RocView
from tfaas_nb.widgets.server_panel import ServerPanel
from tfaas_nb.widgets.train_panel import TrainPanel
from tfaas_nb.widgets.upload import Upload

__all__ = [
    "Dashboard",
    "DataPanel",
    "JobPanel",
    "Query",
    "RocView",
    "ServerPanel",
    "TrainPanel",
    "Upload",
]
