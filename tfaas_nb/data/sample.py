"""The packaged sample: 20 000 simulated tt̄ → all-hadronic and 20 000 QCD events."""

from __future__ import annotations

from importlib.resources import as_file, files

from tfaas_nb.data.dataset import Dataset
from tfaas_nb.data.root import load

_FOLDER = "events"
SIGNAL_FILE = "ttbar.root"
BACKGROUND_FILE = "qcd.root"


def sample() -> Dataset:
    """The packaged events, ready to train on.

    Returns
    -------
    Dataset
        20 000 signal and 20 000 background events with the 42 features of
        `TTBAR_ALL_HADRONIC`; made by `tfaas-nb simulate`, see ``events/README.md``.
    """
    folder = files("tfaas_nb.data") / _FOLDER
    with as_file(folder / SIGNAL_FILE) as signal, as_file(folder / BACKGROUND_FILE) as background:
        return load(signal=signal, background=background, progress=False)


def sample_files() -> tuple[str, str]:
    """Paths of the signal and the background file of the sample, for reading them yourself."""
    folder = files("tfaas_nb.data") / _FOLDER
    return str(folder / SIGNAL_FILE), str(folder / BACKGROUND_FILE)
