"""Examples of a request to copy: curl, Python without this package, C++ with libcurl."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence

#: Values by the names of features, or in the order of a model that has no names for them.
Event = Mapping[str, float] | Sequence[float]

#: Stands for the token: texts on a page or in a saved notebook never hold the real one.
TOKEN = "TOKEN"


def curl(url: str, model: str, event: Event, token: bool | str = True) -> str:
    """A shell command that asks for an event's score.

    Parameters
    ----------
    url : str
        Address of the server.
    model : str
        Name of the model.
    event : mapping, or sequence of float
        ``{feature: value}``; values alone, in its order, of a model whose features have no names.
    token : bool or str
        Whether the server asks for one, for which `TOKEN` stands; or the token itself.
    """
    return _curl_json(_body(model, event), _address(url, model, event), token)


def curl_values(url: str, model: str, width: int, token: bool | str = True) -> str:
    """A shell command that asks a model whose inputs have no names; see `curl`.

    Parameters
    ----------
    width : int
        Numbers per event.
    """
    return curl(url, model, [0.0] * width, token)


def curl_image(url: str, model: str, token: bool | str = True) -> str:
    """A shell command that asks what is in a picture; see `curl`."""
    return (
        f"curl {_option(token)}"
        f"-F 'image=@picture.png' -F {shlex.quote(f'model={model}')} \\\n"
        f"  {url}/image"
    )


def python(url: str, model: str, event: Event, token: bool | str = True) -> str:
    """Python lines that ask for an event's score with `requests`; see `curl`."""
    header, address = _authorization(token), json.dumps(_address(url, model, event))
    headers = f', headers={{"Authorization": {json.dumps(header)}}}' if header else ""
    return (
        "import requests\n\n"
        f"request = {_body(model, event)}\n"
        f"answer = requests.post({address}, json=request{headers})\n"
        "print(answer.json())"
    )


def cpp(url: str, model: str, event: Event, token: bool | str = True) -> str:
    """A C++11 program that asks for an event's score with libcurl; see `curl`."""
    header = _authorization(token)
    lines = ["Content-Type: application/json", *([f"Authorization: {header}"] if header else [])]
    headers = "\n".join(
        f"  headers = curl_slist_append(headers, {json.dumps(line)});" for line in lines
    )
    return _CPP.format(
        request=_raw(_body(model, event)), headers=headers, url=_address(url, model, event)
    )


_CPP = """\
// g++ -std=c++11 ask.cpp -lcurl -o ask && ./ask
#include <curl/curl.h>
#include <iostream>
#include <string>

static size_t append(char *data, size_t size, size_t count, void *answer) {{
  static_cast<std::string *>(answer)->append(data, size * count);
  return size * count;
}}

int main() {{
  const std::string request = {request};
  std::string answer;
  curl_slist *headers = nullptr;
{headers}

  curl_global_init(CURL_GLOBAL_DEFAULT);
  CURL *curl = curl_easy_init();
  curl_easy_setopt(curl, CURLOPT_URL, "{url}");
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
  curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request.c_str());
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, append);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &answer);
  const CURLcode code = curl_easy_perform(curl);
  curl_slist_free_all(headers);
  curl_easy_cleanup(curl);
  curl_global_cleanup();

  if (code != CURLE_OK) {{
    std::cerr << curl_easy_strerror(code) << std::endl;
    return 1;
  }}
  std::cout << answer << std::endl;
}}
"""


def _raw(text: str) -> str:
    """A raw string of C++."""
    end = ""
    while f'){end}"' in text:
        end += "x"
    return f'R"{end}({text}){end}"'


def _curl_json(body: str, address: str, token: bool | str) -> str:
    return (
        "curl -H 'Content-Type: application/json' \\\n"
        f"  {_option(token)}-d {shlex.quote(body)} \\\n"
        f"  {address}"
    )


def _option(token: bool | str) -> str:
    header = _authorization(token)
    return f"-H {shlex.quote(f'Authorization: {header}')} \\\n  " if header else ""


def _authorization(token: bool | str) -> str:
    """Value of the header ``Authorization``; empty if no token is needed."""
    shown = TOKEN if token is True else token
    return f"Bearer {shown}" if shown else ""


def _address(url: str, model: str, event: Event) -> str:
    """Address of the request; for values without names it is TensorFlow Serving's."""
    return f"{url}/json" if isinstance(event, Mapping) else f"{url}/v1/models/{model}:predict"


def _body(model: str, event: Event) -> str:
    values = event.values() if isinstance(event, Mapping) else event
    numbers = [float(f"{value:.7g}") for value in values]
    if not isinstance(event, Mapping):
        return json.dumps({"instances": [numbers]})
    return json.dumps({"keys": list(event), "values": numbers, "model": model})
