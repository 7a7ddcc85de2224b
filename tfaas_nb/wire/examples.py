"""The same request as text to copy: curl, and Python without this package."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping

#: Stands for the token: texts on a page or in a saved notebook never hold the real one.
TOKEN = "TOKEN"


def curl(url: str, model: str, event: Mapping[str, float], token: bool = True) -> str:
    """A shell command that asks for an event's score.

    Parameters
    ----------
    url : str
        Address of the server.
    model : str
        Name of the model.
    event : mapping
        ``{feature: value}``.
    token : bool
        Whether the server asks for one.
    """
    authorization = f"  -H 'Authorization: Bearer {TOKEN}' \\\n" if token else ""
    return (
        "curl -H 'Content-Type: application/json' \\\n"
        f"{authorization}"
        f"  -d {shlex.quote(_body(model, event))} \\\n"
        f"  {url}/json"
    )


def python(url: str, model: str, event: Mapping[str, float], token: bool = True) -> str:
    """Python lines that ask for an event's score with `requests`; see `curl`."""
    headers = f', headers={{"Authorization": "Bearer {TOKEN}"}}' if token else ""
    return (
        "import requests\n\n"
        f"request = {_body(model, event)}\n"
        f'answer = requests.post("{url}/json", json=request{headers})\n'
        "print(answer.json())"
    )


def _body(model: str, event: Mapping[str, float]) -> str:
    request = {
        "keys": list(event),
        "values": [float(f"{value:.7g}") for value in event.values()],
        "model": model,
    }
    return json.dumps(request)
