"""The packaged sample: 20 000 simulated tt̄ → all-hadronic and 20 000 QCD events."""

from __future__ import annotations

from contextlib import ExitStack
from importlib.resources import as_file, files
from pathlib import Path

from tfaas_nb.call_arguments import checked_calls
from tfaas_nb.data.dataset import Dataset
from tfaas_nb.data.normalisation import Sample
from tfaas_nb.data.root import load
from tfaas_nb.data.simulation import Simulation
from tfaas_nb.errors import DataError

_FOLDER = "events"
SIGNAL_FILE = "ttbar.root"
BACKGROUND_FILE = "qcd.root"


@checked_calls(DataError)
def sample(lumi: float | None = None) -> Dataset:
    """The packaged events, ready to train on.

    Parameters
    ----------
    lumi : float, optional
        Integrated luminosity in fb⁻¹ that the weights stand for; by default each event counts 1.
        The cross-sections are those of `Simulation`, at leading order.

    Returns
    -------
    Dataset
        20 000 signal and 20 000 background events with the 42 features of
        `TTBAR_ALL_HADRONIC`; made by `tfaas-nb simulate`, see ``events/README.md``.

    Raises
    ------
    DataError
        If the luminosity is not a positive number.
    """
    folder = files("tfaas_nb.data") / _FOLDER
    with ExitStack() as stack:
        paths = [
            stack.enter_context(as_file(folder / name)) for name in (SIGNAL_FILE, BACKGROUND_FILE)
        ]
        signal, background = (_sample(path, lumi) for path in paths)
        return load(signal=signal, background=background, progress=False)


def _sample(path: Path, lumi: float | None) -> Sample:
    if lumi is None:
        return Sample(path)
    return Sample(path, xsec=Simulation.of(path).xsec, lumi=lumi)


@checked_calls(DataError)
def sample_files() -> tuple[str, str]:
    """Paths of the signal and the background file of the sample, for reading them yourself."""
    folder = files("tfaas_nb.data") / _FOLDER
    return str(folder / SIGNAL_FILE), str(folder / BACKGROUND_FILE)
