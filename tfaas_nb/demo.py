"""The whole way once: sample → classifier → graph → bundle → server → answers compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import requests

from tfaas_nb import plots
from tfaas_nb.bundle import Bundle
from tfaas_nb.classifier import Classifier
from tfaas_nb.client import Client
from tfaas_nb.data.poster import poster_event
from tfaas_nb.data.sample import sample
from tfaas_nb.durable import check_folder
from tfaas_nb.engines import open_engine
from tfaas_nb.evaluation import Evaluation
from tfaas_nb.serving.server import Server
from tfaas_nb.table import Table
from tfaas_nb.wire import tfaas

MODEL = "ttbar"
TOLERANCE = 1e-6

_TEST_FRACTION = 0.3


@dataclass(frozen=True)
class Demo:
    """Result of the demo.

    Attributes
    ----------
    evaluation : Evaluation
        Of the held-out events.
    scores : mapping of str to float
        The poster event's score by the way it was asked for.
    """

    evaluation: Evaluation
    scores: Mapping[str, float]

    @property
    def agrees(self) -> bool:
        """True if all ways gave the same score to `TOLERANCE`."""
        values = list(self.scores.values())
        return max(values) - min(values) <= TOLERANCE


def run(output: Path, seed: int = 1) -> Demo:
    """Train, evaluate, freeze, serve, ask; files go to a folder.

    Raises
    ------
    TfaasError
        If any step fails.
    """
    classifier = Classifier(seed=seed)
    check_folder(output)
    output.mkdir(parents=True, exist_ok=True)
    data = sample()
    train, test = data.split(_TEST_FRACTION, seed)
    print(f"{data}: training on {len(train)}, evaluating on {len(test)}", flush=True)
    classifier.fit(train)
    evaluation = classifier.evaluate(test)
    bundle = classifier.bundle(MODEL, "tt̄ → all-hadronic against QCD multijet")
    archive, folder = bundle.save_archive(output), bundle.save(output)
    picture = output / "roc.png"
    picture.write_bytes(plots.png(lambda ax: plots.roc({MODEL: evaluation.roc}, ax), dpi=120))
    scores = _ask_every_way(classifier, bundle, output / "models")
    found = Demo(evaluation, scores)
    files = {"bundle": archive, "bundle, unpacked": folder, "ROC curve": picture}
    _report(found, files | {"server's models": output / "models"})
    return found


def _ask_every_way(classifier: Classifier, bundle: Bundle, models: Path) -> dict[str, float]:
    """The poster event's score from Keras, the frozen graph, and over HTTP."""
    event = poster_event()
    names = classifier.features.names
    row = np.array([[event[name] for name in names]], dtype=np.float32)
    with Server(models, port=0) as server:
        client = server.client()
        client.upload(bundle)
        return {
            "keras": classifier.predict(event),
            "graph": float(open_engine(bundle.graph)(row)[0, 0]),
            "/json": client.predict(MODEL, event),
            "/proto": _protobuf(client, server.token, event),
        }


def _protobuf(client: Client, token: str | None, event: Mapping[str, float]) -> float:
    """Ask like a C++ program: with a ``Row`` over plain HTTP."""
    answer = requests.post(
        f"{client.url}/proto",
        params={"token": token},
        data=tfaas.encode_row(list(event), list(event.values()), MODEL),
        timeout=client.timeout,
    )
    answer.raise_for_status()
    return tfaas.decode_predictions(answer.content)[0][1]


def _report(found: Demo, files: Mapping[str, Path]) -> None:
    evaluation = found.evaluation
    scores = "  ".join(f"{way} {score:.7f}" for way, score in found.scores.items())
    verdict = "equal to 1e-6" if found.agrees else "NOT EQUAL"
    print()
    print(f"AUC {evaluation.roc.area}")
    print(f"accuracy {evaluation.accuracy:.4f}")
    print(evaluation.rejections())
    print(f"poster event: {scores}  ({verdict})")
    print(Table(("file", "where"), tuple((k, str(v.resolve())) for k, v in files.items())))
