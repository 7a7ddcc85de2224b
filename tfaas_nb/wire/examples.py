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
    return _curl_json(_body(model, event), f"{url}/json", token)


def curl_values(url: str, model: str, width: int, token: bool = True) -> str:
    """A shell command that asks a model whose inputs have no names; see `curl`.

    Parameters
    ----------
    width : int
        Numbers per event.
    """
    body = json.dumps({"instances": [[0.0] * width]})
    return _curl_json(body, f"{url}/v1/models/{model}:predict", token)


def curl_image(url: str, model: str, token: bool = True) -> str:
    """A shell command that asks what is in a picture; see `curl`."""
    return (
        f"curl {_authorization(token)}"
        f"-F 'image=@picture.png' -F {shlex.quote(f'model={model}')} \\\n"
        f"  {url}/image"
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


def _curl_json(body: str, address: str, token: bool) -> str:
    return (
        "curl -H 'Content-Type: application/json' \\\n"
        f"  {_authorization(token)}-d {shlex.quote(body)} \\\n"
        f"  {address}"
    )


def _authorization(token: bool) -> str:
    return f"-H 'Authorization: Bearer {TOKEN}' \\\n  " if token else ""


def _body(model: str, event: Mapping[str, float]) -> str:
    request = {
        "keys": list(event),
        "values": [float(f"{value:.7g}") for value in event.values()],
        "model": model,
    }
    return json.dumps(request)
