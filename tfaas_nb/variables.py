"""Variables of an event: names, units, titles, and quantities derived from jets.

`KNOWN` has the variables whose unit and title need not be told.  Derived quantities are named:

====================  ==========================================================================
``tau21_0``           τ₂/τ₁ of the leading jet; ``tau31_i``, ``tau32_i`` likewise
                      (Thaler, Van Tilburg, JHEP 03 (2011) 015, arXiv:1011.2268)
``mSD_over_pT_0``     soft-drop mass over pT; ``m_over_pT_i``, ``mSD_over_m_i`` likewise
                      (soft drop: Larkoski et al., JHEP 05 (2014) 146, arXiv:1402.2657)
``rho_0``             ln(mSD²/pT²) (Dolen et al., JHEP 05 (2016) 156, arXiv:1603.00027)
``log_pT_0``          ln(pT/GeV); ``log_m_i``, ``log_mSD_i`` likewise, of at least 1 GeV
``deltaEta_01``       |η₀ − η₁| of two jets
``deltaPhi_01``       |φ₀ − φ₁|, from 0 to π
``deltaR_01``         √(Δη² + Δφ²)
``m_01``              invariant mass of two jets, with their (ungroomed) masses
``pT_asymmetry_01``   (pT₀ − pT₁)/(pT₀ + pT₁)
``m_jj``              the same as ``m_01``
``ht``                scalar sum of pT of the jets that are kept
``m_jets``            invariant mass of the jets that are kept
====================  ==========================================================================

The digits are slots, 0 the leading jet.  A ratio whose denominator is not positive is 0.  A
quantity of a jet that is absent is padded as the jet is; sums run over the jets that are there.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tfaas_nb.call_arguments import checked_calls
from tfaas_nb.errors import FeatureError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]


@checked_calls(FeatureError)
@dataclass(frozen=True)
class Variable:
    """One quantity of an event or of each of its jets.

    Attributes
    ----------
    name : str
        Name of the branch and stem of the feature names.
    unit : str
        ``"GeV"``, ``"rad"`` or ``""`` for a pure number.
    title : str
        Axis title, in matplotlib's math text.
    """

    name: str
    unit: str = ""
    title: str = ""

    def __post_init__(self) -> None:
        if not all(isinstance(value, str) for value in vars(self).values()):
            raise FeatureError(
                f"tn.Variable(name, unit, title) are all text, such as tn.Variable('met', 'GeV'); "
                f"not {tuple(vars(self).values())!r:.100}"
            )

    @property
    def axis(self) -> str:
        """Axis title with its unit, for instance ``$p_T$ [GeV]``."""
        title = self.title or self.name
        return f"{title} [{self.unit}]" if self.unit else title


_JET = "AK8 jet"

#: Variables by name.
KNOWN: dict[str, Variable] = {
    variable.name: variable
    for variable in (
        Variable("nJets", "", "Number of AK8 jets"),
        Variable("nLeptons", "", "Number of leptons"),
        Variable("jetEta", "", rf"{_JET} $\eta$"),
        Variable("jetMass", "GeV", rf"{_JET} mass"),
        Variable("jetMassSoftDrop", "GeV", rf"{_JET} soft-drop mass"),
        Variable("jetPhi", "rad", rf"{_JET} $\phi$"),
        Variable("jetPt", "GeV", rf"{_JET} $p_T$"),
        Variable("jetTau1", "", rf"{_JET} $\tau_1$"),
        Variable("jetTau2", "", rf"{_JET} $\tau_2$"),
        Variable("jetTau3", "", rf"{_JET} $\tau_3$"),
        Variable("jetTau4", "", rf"{_JET} $\tau_4$"),
        Variable("met", "GeV", r"$p_T^{miss}$"),
        Variable("metPhi", "rad", r"$\phi(p_T^{miss})$"),
        Variable("MET_pt", "GeV", r"$p_T^{miss}$"),
        Variable("MET_phi", "rad", r"$\phi(p_T^{miss})$"),
        Variable("PuppiMET_pt", "GeV", r"$p_T^{miss}$"),
        Variable("PuppiMET_phi", "rad", r"$\phi(p_T^{miss})$"),
        Variable("PFMET_pt", "GeV", r"$p_T^{miss}$"),
        Variable("PFMET_phi", "rad", r"$\phi(p_T^{miss})$"),
        Variable("PV_npvs", "", "Number of primary vertices"),
    )
}

#: Variables of which each jet of an event has one.
JET_VARIABLES = frozenset(name for name in KNOWN if name.startswith("jet"))


def known(name: str) -> Variable:
    """The variable of that name; without unit and title if nothing is known of it."""
    return KNOWN.get(name, Variable(name))


@dataclass(frozen=True)
class Derived:
    """A quantity computed from jets.

    Attributes
    ----------
    name, unit, title : str
        As of a `Variable`.
    needs : tuple of str
        Variables of jets it is computed from.
    slots : tuple of int
        Jets that must be there; empty for a sum over all that are.
    formula : callable
        Of the needed values, float64: of one jet, of the first jet then of the second, or,
        for a sum, of shape (events, jets) with zeros for absent jets.
    """

    name: str
    unit: str
    title: str
    needs: tuple[str, ...]
    slots: tuple[int, ...]
    formula: Callable[..., Any]

    @property
    def variable(self) -> Variable:
        """Name, unit and title of the quantity."""
        return Variable(self.name, self.unit, self.title)

    def values(
        self,
        jets: Callable[[str], npt.NDArray[Any]],
        there: npt.NDArray[np.bool_],
        padding: float,
    ) -> Floats:
        """Compute the value of the quantity for each event.

        Parameters
        ----------
        jets : callable
            Variable → its values, shape (events, jets).
        there : numpy.ndarray
            Which jets are there, bool of shape (events, jets).
        padding : float
            Value where a jet is absent.
        """
        import numpy as np

        if not self.slots:
            matrices = [np.where(there, jets(name), 0.0).astype(np.float64) for name in self.needs]
            with np.errstate(all="ignore"):  # of values that are not finite, and noted elsewhere
                return np.asarray(self.formula(*matrices), dtype=np.float64)
        columns = [jets(n)[:, i].astype(np.float64) for i in self.slots for n in self.needs]
        with np.errstate(all="ignore"):  # of absent jets, whose value is replaced
            values = self.formula(*columns)
        return np.where(there[:, list(self.slots)].all(axis=1), values, padding)


def _ratio(above: Floats, below: Floats) -> Floats:
    import numpy as np

    safe = np.where(below > 0, below, 1.0)
    # Zero, unless one of them is not finite: then NaN.
    return np.where(below > 0, above / safe, (above + below) * 0.0 + 0.0)


def _log(value: Floats) -> Floats:
    import numpy as np

    return np.asarray(np.log(np.maximum(value, 1.0)))


def _rho(mass: Floats, pt: Floats) -> Floats:
    return 2.0 * (_log(mass) - _log(pt))


def _delta_eta(eta0: Floats, eta1: Floats) -> Floats:
    return abs(eta0 - eta1)


def _delta_phi(phi0: Floats, phi1: Floats) -> Floats:
    import numpy as np

    turned = np.mod(phi0 - phi1, 2 * math.pi)
    return np.asarray(np.minimum(turned, 2 * math.pi - turned))


def _delta_r(eta0: Floats, phi0: Floats, eta1: Floats, phi1: Floats) -> Floats:
    import numpy as np

    return np.asarray(np.hypot(_delta_eta(eta0, eta1), _delta_phi(phi0, phi1)))


def _mass_of_two(*parts: Floats) -> Floats:
    import numpy as np

    pairs = [np.stack(pair, axis=1) for pair in zip(parts[:4], parts[4:], strict=True)]
    return _mass(*pairs)


def _mass(pt: Floats, eta: Floats, phi: Floats, mass: Floats) -> Floats:
    """Invariant mass of jets along axis 1; jets of no momentum and no mass count for nothing."""
    import numpy as np

    px, py, pz = pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta)
    energy = np.sqrt(px**2 + py**2 + pz**2 + mass**2)
    squared = energy.sum(1) ** 2 - px.sum(1) ** 2 - py.sum(1) ** 2 - pz.sum(1) ** 2
    return np.asarray(np.sqrt(np.maximum(squared, 0.0)))


def _asymmetry(pt0: Floats, pt1: Floats) -> Floats:
    return _ratio(pt0 - pt1, pt0 + pt1)


def _sum(pt: Floats) -> Floats:
    import numpy as np

    return np.asarray(pt.sum(axis=1))


_P4 = ("jetPt", "jetEta", "jetPhi", "jetMass")

#: Stem → unit, title, variables needed, formula; of one jet.
_OF_A_JET: dict[str, tuple[str, str, tuple[str, ...], Callable[..., Any]]] = {
    "tau21": ("", r"$\tau_{21}$", ("jetTau2", "jetTau1"), _ratio),
    "tau31": ("", r"$\tau_{31}$", ("jetTau3", "jetTau1"), _ratio),
    "tau32": ("", r"$\tau_{32}$", ("jetTau3", "jetTau2"), _ratio),
    "mSD_over_pT": ("", r"$m_{SD}/p_T$", ("jetMassSoftDrop", "jetPt"), _ratio),
    "m_over_pT": ("", r"$m/p_T$", ("jetMass", "jetPt"), _ratio),
    "mSD_over_m": ("", r"$m_{SD}/m$", ("jetMassSoftDrop", "jetMass"), _ratio),
    "rho": ("", r"$\ln(m_{SD}^2/p_T^2)$", ("jetMassSoftDrop", "jetPt"), _rho),
    "log_pT": ("", r"$\ln(p_T/GeV)$", ("jetPt",), _log),
    "log_m": ("", r"$\ln(m/GeV)$", ("jetMass",), _log),
    "log_mSD": ("", r"$\ln(m_{SD}/GeV)$", ("jetMassSoftDrop",), _log),
}
#: The same, of two jets.
_OF_TWO_JETS: dict[str, tuple[str, str, tuple[str, ...], Callable[..., Any]]] = {
    "deltaEta": ("", r"$|\Delta\eta|$", ("jetEta",), _delta_eta),
    "deltaPhi": ("rad", r"$|\Delta\phi|$", ("jetPhi",), _delta_phi),
    "deltaR": ("", r"$\Delta R$", ("jetEta", "jetPhi"), _delta_r),
    "m": ("GeV", "Invariant mass", _P4, _mass_of_two),
    "pT_asymmetry": ("", r"$p_T$ asymmetry", ("jetPt",), _asymmetry),
}
#: The same, by full name.
_OF_AN_EVENT: dict[str, Derived] = {
    derived.name: derived
    for derived in (
        Derived("m_jj", "GeV", r"$m_{jj}$", _P4, (0, 1), _mass_of_two),
        Derived("ht", "GeV", r"$H_T$", ("jetPt",), (), _sum),
        Derived("m_jets", "GeV", "Invariant mass of the jets", _P4, (), _mass),
    )
}


def derived(name: str) -> Derived | None:
    """The derived quantity of that name; None if there is none."""
    if name in _OF_AN_EVENT:
        return _OF_AN_EVENT[name]
    match = re.fullmatch(r"(\w+?)_(\d+)", name)
    if match is None:
        return None
    stem, digits = match.groups()
    if stem in _OF_A_JET and str(int(digits)) == digits:
        unit, title, needs, formula = _OF_A_JET[stem]
        return Derived(name, unit, f"{title}, jet {digits}", needs, (int(digits),), formula)
    if stem in _OF_TWO_JETS and len(digits) == 2 and digits[0] < digits[1]:
        unit, title, needs, formula = _OF_TWO_JETS[stem]
        slots = (int(digits[0]), int(digits[1]))
        title = f"{title}, jets {digits[0]} and {digits[1]}"
        return Derived(name, unit, title, needs, slots, formula)
    return None


def derived_names(jets: int) -> Sequence[str]:
    """Every derived quantity that a number of jets allows."""
    few = min(jets, 10)
    return [
        *(f"{stem}_{i}" for stem in _OF_A_JET for i in range(jets)),
        *(f"{stem}_{i}{j}" for stem in _OF_TWO_JETS for j in range(few) for i in range(j)),
        *(name for name, one in _OF_AN_EVENT.items() if all(slot < jets for slot in one.slots)),
    ]
