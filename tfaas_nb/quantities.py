"""Inputs of a network: quantities derived from raw features, normalised and masked.

Physics is the same when the detector is turned about the beam or mirrored, and when jets change
places; the quantities are made so that they are, too: azimuths relative to the leading jet,
pseudorapidities with the sign that makes the leading jet's positive.  Momenta, masses and
N-subjettiness also come as logarithms, whose differences are those of ratios such as τ₂₁.
Only Keras's operations are used, those that every TensorFlow and ONNX has.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from tfaas_nb import backend
from tfaas_nb.features import FeatureSet, Variable

Floats = npt.NDArray[np.float32]

#: Smallest value of which a logarithm is taken: 1 GeV, or this for a pure number.
_TINY = 1e-3

#: Ratios of jet variables that carry the substructure: τ₂₁, τ₃₂, τ₃₁ (JHEP 03 (2011) 015), groomed
#: mass fraction, and masses over pT; used when a feature set has both variables.
RATIOS = (
    ("jetTau2", "jetTau1"),
    ("jetTau3", "jetTau2"),
    ("jetTau3", "jetTau1"),
    ("jetMassSoftDrop", "jetMass"),
    ("jetMass", "jetPt"),
    ("jetMassSoftDrop", "jetPt"),
)
_PT, _ETA, _PHI = "jetPt", "jetEta", "jetPhi"


@dataclass(frozen=True)
class Quantities:
    """Tensors of a batch of events.

    Attributes
    ----------
    event : tensor of shape (events, n) or None
        Of the event as a whole; None without any.
    jets : tensor of shape (events, jets, n) or None
        Of each jet, of no meaning where it is absent; None without jets.
    mask : tensor of shape (events, jets, 1) or None
        1 for a jet that is there, 0 for padding.
    """

    event: Any
    jets: Any = None
    mask: Any = None

    @property
    def tensors(self) -> list[Any]:
        """Tensors that are not None."""
        return [t for t in (self.event, self.jets, self.mask) if t is not None]


def derive(source: Any, features: FeatureSet, X: Floats) -> Quantities:
    """The quantities of a symbolic batch of events.

    Parameters
    ----------
    source : keras.KerasTensor
        Raw values, float32 of shape (events, features).
    features : FeatureSet
        What the columns are.
    X : numpy.ndarray
        Training events, from which means and widths are learned, and which variables are
        never negative; float32 of shape (events, features).
    """
    learn = _Learner(source, X)
    jets = _Jets(source, features, X) if features.jet else None
    parts = []
    if features.event:
        parts.append(learn.normalised(_of_event(source, features, jets)))
    if features.derived:
        columns = source[:, features.derived_columns]
        there = _is_not(columns, features.padding)
        parts.append(learn.normalised(columns, there) * there)
    if jets is None:
        return Quantities(_joined(parts))
    if (pair := jets.pair()) is not None:
        second = jets.mask[:, 1:2]
        parts.append(learn.normalised(pair, second) * second)
    parts.append(jets.mask)
    mask = backend.keras().ops.expand_dims(jets.mask, -1)
    return Quantities(_joined(parts), learn.normalised(jets.quantities(), mask), mask)


def plain(source: Any, X: Floats) -> Quantities:
    """The features themselves, normalised, padding and all."""
    return Quantities(_Learner(source, X).normalised(source))


class _Learner:
    """Normalisation learned from the training events: means and widths of tensors."""

    def __init__(self, source: Any, X: Floats) -> None:
        self._source, self._X = source, X

    def normalised(self, tensor: Any, there: Any = None) -> Any:
        """A tensor less its mean over its width, both learned where `there` is 1."""
        keras = backend.keras()

        wanted = [tensor] if there is None else [tensor, there]
        found = keras.tree.flatten(keras.Model(self._source, wanted)(self._X))
        values, *masks = (np.asarray(v) for v in found)
        kept = np.broadcast_to(masks[0] > 0 if masks else np.True_, values.shape)
        mean, width = _moments(values, kept)
        # One product and one sum, where the layer Normalization has four operations.
        return keras.layers.Rescaling((1 / width).tolist(), (-mean / width).tolist())(tensor)


def _moments(values: Any, kept: Any) -> tuple[Any, Any]:
    """Mean and width along the last axis where it is kept; 1 for what does not vary."""
    columns = values.shape[-1]
    kept = kept.reshape(-1, columns)
    masked = np.where(kept, values.reshape(-1, columns), 0.0).astype(np.float64)
    count = np.maximum(kept.sum(axis=0), 1)
    mean = masked.sum(axis=0) / count
    variance = (np.where(kept, masked - mean, 0.0) ** 2).sum(axis=0) / count
    constant = variance <= 1e-10 * np.maximum(1.0, mean**2)
    return mean, np.sqrt(np.where(constant, 1.0, variance))


def _of_event(source: Any, features: FeatureSet, jets: _Jets | None) -> Any:
    """Event variables; of energies the logarithm too, of azimuths the direction."""
    ops = backend.keras().ops

    at: dict[str, list[int]] = {unit: [] for unit in ("GeV", "rad", "")}
    for i, variable in enumerate(features.event):
        at[variable.unit if variable.unit in at else ""].append(i)
    parts = []
    if plain := sorted(at["GeV"] + at[""]):
        parts.append(_taken(source, plain))
    if at["GeV"]:
        parts.append(_logarithm(_taken(source, at["GeV"]), 1.0))
    if at["rad"]:
        angles = _taken(source, at["rad"])
        if jets is not None and _PHI in jets:
            angles = angles - jets.leading(_PHI)
        parts += [ops.cos(angles), ops.sin(angles)]
    return _joined(parts)


class _Jets:
    """Jet variables of a batch, each of shape (events, jets)."""

    def __init__(self, source: Any, features: FeatureSet, X: Floats) -> None:
        self._source, self._features = source, features
        self._units = {v.name: v.unit for v in features.jet}
        self._positive = [v.name for v in features.jet if _is_positive(v, features, X)]
        self.mask = _is_not(self[features.order_by], features.padding)
        self._eta: Any = self._mirrored() if _ETA in self else None

    def __contains__(self, name: str) -> bool:
        return name in self._units

    def __getitem__(self, name: str) -> Any:
        return self._source[:, self._features.jet_columns(name)]

    def leading(self, name: str) -> Any:
        """Return a variable of the leading jet, shape (events, 1)."""
        first = self._features.jet_columns(name).start
        return self._source[:, first : first + 1]

    def _mirrored(self) -> Any:
        """Pseudorapidities, the leading jet's positive; zero for absent jets."""
        ops = backend.keras().ops

        return self[_ETA] * ops.sign(self.leading(_ETA)) * self.mask

    @cached_property
    def _logarithms(self) -> Any:
        """Logarithms of all positive variables in turn, shape (events, variables x jets)."""
        slots = self._features.jets
        least = [1.0 if self._units[name] == "GeV" else _TINY for name in self._positive]
        return _logarithm(
            _taken(self._source, self._columns(self._positive)),
            np.repeat(np.array(least, np.float32), slots),
        )

    @cached_property
    def _directions(self) -> list[Any]:
        """Cosines of the azimuth to the leading jet, and sines, the second jet's positive."""
        ops = backend.keras().ops

        turned = (self[_PHI] - self.leading(_PHI)) * self.mask
        sines = ops.sin(turned)
        if self._features.jets > 1:
            sines = sines * ops.sign(sines[:, 1:2])
        return [ops.cos(turned), sines]

    def quantities(self) -> Any:
        """Return the quantities of each jet, of shape (events, jets, n)."""
        ops = backend.keras().ops

        parts = []
        plain = [n for n, unit in self._units.items() if n != _ETA and unit != "rad"]
        if plain:
            parts.append(_taken(self._source, self._columns(plain)))
        if self._eta is not None:
            parts.append(self._eta)
        if _PHI in self:
            parts += self._directions
        for name, unit in self._units.items():
            if unit == "rad" and name != _PHI:
                turned = self[name] - self.leading(name)
                parts += [ops.cos(turned), ops.sin(turned)]
        if self._positive:
            parts += [self._logarithms, *self._ratios()]
        joined, slots = _joined(parts), self._features.jets
        # From variable after variable to jet after jet.
        return ops.take(joined, np.arange(joined.shape[-1]).reshape(-1, slots).T, axis=1)

    def _ratios(self) -> list[Any]:
        """Logarithms of ratios, and the ratios themselves."""
        ops = backend.keras().ops

        names, slots = self._positive, self._features.jets
        pairs = [(a, b) for a, b in RATIOS if a in names and b in names]
        if not pairs:
            return []
        above, below = (
            [names.index(pair[i]) * slots + slot for pair in pairs for slot in range(slots)]
            for i in (0, 1)
        )
        difference = _taken(self._logarithms, above) - _taken(self._logarithms, below)
        return [difference, ops.exp(difference)]

    def pair(self) -> Any:
        """Return quantities of the pair of leading jets, shape (events, n); None if not known.

        Sum and difference of logarithms of their momenta and of cosh Δη − cos Δφ are that
        of their invariant mass (but for the jets' own masses), which the network can add up.
        """
        ops = backend.keras().ops

        slots = self._features.jets
        if slots < 2 or _PT not in self or _ETA not in self or _PHI not in self:
            return None
        cosine = self._directions[0][:, 1:2]
        first = self._positive.index(_PT) * slots
        apart = ops.cosh(self._eta[:, :1] - self._eta[:, 1:2]) - cosine
        momenta = ops.sum(self[_PT] * self.mask, axis=1, keepdims=True)
        return _joined(
            [
                self._logarithms[:, first : first + 2],
                self._eta[:, :2],
                cosine,
                _logarithm(apart, _TINY),
                _logarithm(momenta, 1.0),
            ]
        )

    def _columns(self, names: list[str]) -> list[int]:
        """Columns of jet variables one after the other."""
        whole = range(len(self._features))
        return [i for name in names for i in whole[self._features.jet_columns(name)]]


def _is_positive(variable: Variable, features: FeatureSet, X: Floats) -> bool:
    """Return True if a jet variable is an energy or never negative, so that a logarithm helps."""
    if variable.unit in ("GeV", "rad"):
        return variable.unit == "GeV"
    there = X[:, features.jet_columns(features.order_by)] != features.padding
    values = X[:, features.jet_columns(variable.name)][there]
    return bool(len(values)) and bool((values >= 0).all())


def _logarithm(tensor: Any, least: Any) -> Any:
    ops = backend.keras().ops

    return ops.log(ops.maximum(tensor, least))


def _is_not(tensor: Any, value: float) -> Any:
    ops = backend.keras().ops

    return ops.cast(ops.not_equal(tensor, value), "float32")


def _taken(tensor: Any, columns: list[int]) -> Any:
    """Columns of (events, n); a slice where they are neighbours."""
    first, last = columns[0], columns[-1]
    if columns == list(range(first, last + 1)):
        return tensor if len(columns) == tensor.shape[-1] else tensor[:, first : last + 1]
    return backend.keras().ops.take(tensor, np.array(columns), axis=1)


def _joined(parts: list[Any]) -> Any:
    if not parts:
        return None
    return backend.keras().ops.concatenate(parts, axis=-1) if len(parts) > 1 else parts[0]
