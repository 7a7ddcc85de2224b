"""Other Python model servers: how each is started, asked and understood.

Each in its quick-start form, as its own documentation shows it for a Keras model, and tuned:
the fastest TensorFlow call and the settings that were fastest on two cores.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Values = Sequence[float]


@dataclass(frozen=True)
class Protocol:
    """Protocol by which a server is asked for the score of one event."""

    path: str
    request: Callable[[Values], object]
    score: Callable[[Any], float]

    def body(self, event: Values) -> bytes:
        return json.dumps(self.request(event), separators=(",", ":")).encode()


@dataclass(frozen=True)
class Peer:
    """A server of other people's.

    Attributes
    ----------
    name, form : str
        What it is, and how it is used here.
    environment : str
        Its requirements file and virtual environment.
    command : sequence of str
        Program of the environment and arguments; ``{port}``, ``{other}`` and ``{third}``
        stand for free ports.
    settings : mapping
        Environment variables; also ``{libpython}``, the folder of Python's shared library.
    """

    name: str
    form: str
    environment: str
    protocol: Protocol
    command: Sequence[str]
    settings: Mapping[str, str] = field(default_factory=dict)


_FASTAPI = Protocol("/predict", lambda x: {"values": x}, lambda answer: answer["score"])
_LITSERVE = Protocol("/predict", lambda x: {"input": x}, lambda answer: answer["output"])
_BENTOML = Protocol("/predict", lambda x: {"values": [x]}, lambda answer: answer[0][0])
_OIP = Protocol(
    "/v2/models/mlp/infer",
    lambda x: {"inputs": [{"name": "input", "shape": [1, len(x)], "datatype": "FP32", "data": x}]},
    lambda answer: answer["outputs"][0]["data"][0],
)
_QUICK = "quick start, `model.predict`"
_TUNED = "tuned"
_FAST_UVICORN = ("--no-access-log", "--loop", "uvloop", "--http", "httptools")


def _fastapi(form: str, program: str, *options: str) -> Peer:
    command = ("uvicorn", f"{program}:app", "--port", "{port}", *options)
    return Peer("FastAPI", form, "fastapi", _FASTAPI, command)


def _bentoml(form: str, program: str) -> Peer:
    command = ("bentoml", "serve", f"{program}:Scores", "--port", "{port}")
    return Peer("BentoML", form, "bentoml", _BENTOML, command, {"BENTOML_DO_NOT_TRACK": "True"})


def _mlserver(form: str, program: str, **settings: str) -> Peer:
    ports = {"HTTP_PORT": "{port}", "GRPC_PORT": "{other}", "METRICS_PORT": "{third}"}
    model = {"MODEL_NAME": "mlp", "MODEL_IMPLEMENTATION": f"{program}.Scores"}
    variables = {f"MLSERVER_{k}": v for k, v in {**ports, **model, **settings}.items()}
    return Peer("MLServer", form, "mlserver", _OIP, ("mlserver", "start", "."), variables)


def _litserve(form: str, program: str) -> Peer:
    return Peer("LitServe", form, "litserve", _LITSERVE, ("python", "-m", program))


def _pytriton(form: str, program: str) -> Peer:
    # Triton embeds Python and takes the first libpython it finds, which may be another one.
    library = {"LD_LIBRARY_PATH": "{libpython}"}
    return Peer("PyTriton", form, "pytriton", _OIP, ("python", "-m", program), library)


PEERS = (
    _fastapi(_QUICK, "fastapi_predict"),
    _fastapi("`model(x)`", "fastapi_call"),
    _fastapi(_TUNED, "fastapi_tuned", *_FAST_UVICORN),
    _fastapi("tuned, no validation", "fastapi_bare", *_FAST_UVICORN),
    _litserve(_QUICK, "litserve_predict"),
    _litserve(_TUNED, "litserve_tuned"),
    _bentoml(_QUICK, "bentoml_predict"),
    _bentoml(_TUNED, "bentoml_tuned"),
    _mlserver(_QUICK, "mlserver_predict"),
    _mlserver(_TUNED, "mlserver_tuned", PARALLEL_WORKERS="0", DEBUG="false", GZIP_ENABLED="false"),
    _pytriton(_QUICK, "pytriton_predict"),
    _pytriton(_TUNED, "pytriton_tuned"),
)
