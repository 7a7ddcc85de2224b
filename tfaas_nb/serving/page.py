"""The home page of a server: its models, their inputs, and how to ask them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from tfaas_nb.wire import examples

_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
pre{background:#f4f4f4;color:#111;padding:1rem;overflow-x:auto}
table{border-collapse:collapse}td,th{text-align:left;padding:.2rem .8rem;border:1px solid #ccc}
"""


def home(models: Sequence[Mapping[str, Any]], address: str, token: bool) -> str:
    """HTML for ``GET /``.

    Parameters
    ----------
    models : sequence of mappings
        Descriptions as ``GET /models`` gives them.
    address : str
        Where the server was asked, for the example requests.
    token : bool
        Whether the server asks for one.
    """
    parts = "".join(_model(model, address, token) for model in models)
    empty = "<p>No model yet: upload one with <code>POST /upload</code>.</p>"
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>tfaas_nb</title>'
        f"<style>{_STYLE}</style><h1>tfaas_nb</h1>{parts or empty}</html>"
    )


def _model(model: Mapping[str, Any], address: str, token: bool) -> str:
    title = f"<h2>{escape(model['name'])} (version {model.get('version', 0)})</h2>"
    if "error" in model:
        return f"{title}<p>{escape(model['error'])}</p>"
    event = {f["name"]: f.get("median", 0.0) for f in model["features"]}
    rows = "".join(
        f"<tr><td>{escape(f['name'])}</td><td>{escape(str(f.get('unit', '')))}</td>"
        f"<td>{_range(f)}</td></tr>"
        for f in model["features"]
    )
    return (
        f"{title}<p>{escape(model['description'])}</p>"
        f"<pre>{escape(examples.curl(address, model['name'], event, token))}</pre>"
        f"<table><tr><th>input</th><th>unit</th><th>typical range</th></tr>{rows}</table>"
    )


def _range(feature: Mapping[str, Any]) -> str:
    if "low" not in feature:
        return ""
    return f"{feature['low']:.4g} to {feature['high']:.4g}"
