"""The home page of a server: its models, their inputs, and how to ask them.

It needs nothing from elsewhere, and all its links are relative: a proxy may serve it under any
prefix.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import PurePosixPath
from typing import Any

from tfaas_nb.wire import examples

_STYLE = """
:root{color-scheme:light dark}
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
section{border-top:1px solid #888;margin-top:2rem}
pre{background:#f4f4f4;color:#111;padding:1rem;overflow-x:auto}
table{border-collapse:collapse}caption{text-align:left;font-weight:bold}
td,th{text-align:left;padding:.2rem .8rem;border:1px solid #888}
"""
_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

#: What browsers are told of the page: no scripts, nothing from elsewhere, and no word of its
#: address, which may hold the token, to others.
HEADERS = (
    (
        "content-security-policy",
        f"default-src 'none'; style-src 'sha256-{_HASH}'; img-src data:; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'self'",
    ),
    ("referrer-policy", "no-referrer"),
    ("cache-control", "no-store"),
)

_FORMATS = {".pb": "TensorFlow frozen graph", ".onnx": "ONNX"}
_LINKS = ("models", "status", "metrics", "openapi.json")


def home(models: Sequence[Mapping[str, Any]], address: str, token: bool) -> str:
    """HTML for ``GET /``.

    Parameters
    ----------
    models : sequence of mappings
        Descriptions as ``GET /models`` gives them; also ``outputs``, their names, ``graph``,
        the address of its drawing, ``version_labels``, label → version, and for inputs without
        names ``width``, how many numbers an event has.
    address : str
        Where the server was asked, for the example requests.
    token : bool
        Whether the server asks for one.
    """
    parts = "".join(_model(model, address, token) for model in models)
    empty = "<p>No model yet: upload one with <code>POST /upload</code>.</p>"
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>tfaas_nb</title>'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f'<link rel="icon" href="data:,"><style>{_STYLE}</style></head>'
        f"<body><main><h1>tfaas_nb</h1>{_more(token)}{parts or empty}</main></body></html>"
    )


def _more(token: bool) -> str:
    """The other addresses; as links only where a browser could follow them."""
    if token:
        told = ", ".join(f"<code>GET /{link}</code>" for link in _LINKS)
        return f"<p>With the token: {told}.</p>"
    links = " · ".join(f'<a href="{link}">{link}</a>' for link in _LINKS)
    return f'<nav aria-label="Server"><p>{links}</p></nav>'


def _model(model: Mapping[str, Any], address: str, token: bool) -> str:
    name = escape(model["name"])
    title = f"<h2>{name} (version {model.get('version', 0)})</h2>"
    if "error" in model:
        return f"<section>{title}<p>{escape(model['error'])}</p></section>"
    description = f"<p>{escape(model['description'])}</p>" if model["description"] else ""
    return (
        f"<section>{title}{description}{_facts(model)}{_examples(model, address, token)}"
        f"{_inputs(model)}</section>"
    )


def _facts(model: Mapping[str, Any]) -> str:
    suffix = PurePosixPath(model.get("model") or "").suffix
    facts = {
        "Format": _FORMATS.get(suffix, suffix.lstrip(".") or "unknown"),
        "Outputs": ", ".join(model.get("outputs") or ()),
        "Labels": ", ".join(f"{k} → {v}" for k, v in (model.get("version_labels") or {}).items()),
    }
    shown = "".join(f"<li>{k}: {escape(v)}</li>" for k, v in facts.items() if v)
    if "graph" in model:
        shown += f'<li><a href="{escape(model["graph"])}">Graph of {escape(model["name"])}</a></li>'
    return f"<ul>{shown}</ul>"


def _examples(model: Mapping[str, Any], address: str, token: bool) -> str:
    """Requests to copy, as the model's inputs allow."""
    name = model["name"]
    shown = {}
    if model.get("takes_picture"):
        shown["curl"] = examples.curl_image(address, name, token)
    elif model["features"]:
        event = {f["name"]: f.get("median", 0.0) for f in model["features"]}
        shown["curl"] = examples.curl(address, name, event, token)
        shown["Python"] = examples.python(address, name, event, token)
    elif model.get("width"):
        shown["curl"] = examples.curl_values(address, name, model["width"], token)
    else:
        where = f"<code>GET /v2/models/{escape(name)}</code>"
        return f"<p>Its inputs have no names; their shapes are told at {where}.</p>"
    return "".join(
        f'<h3>Ask with {what}</h3><pre tabindex="0">{escape(text)}</pre>'
        for what, text in shown.items()
    )


def _inputs(model: Mapping[str, Any]) -> str:
    if not model["features"]:
        return ""
    rows = "".join(
        f"<tr><td>{escape(f['name'])}</td><td>{escape(str(f.get('unit', '')))}</td>"
        f"<td>{_range(f)}</td></tr>"
        for f in model["features"]
    )
    heads = "".join(f'<th scope="col">{h}</th>' for h in ("input", "unit", "typical range"))
    return (
        f"<table><caption>Inputs of {escape(model['name'])}</caption>"
        f"<thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>"
    )


def _range(feature: Mapping[str, Any]) -> str:
    if "low" not in feature:
        return ""
    return f"{feature['low']:.4g} to {feature['high']:.4g}"
