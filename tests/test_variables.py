from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from tfaas_nb.variables import KNOWN, Variable, derived, derived_names, known

N, SLOTS = 40, 3
JETS = ("jetPt", "jetEta", "jetPhi", "jetMass", "jetMassSoftDrop", "jetTau1", "jetTau2", "jetTau3")


def events() -> tuple[dict[str, Any], Any]:
    """Jets in slots, and which of them are there; some have no mass, some no τ₁."""
    random = np.random.default_rng(5)
    ranges = {"jetEta": (-2.4, 2.4), "jetPhi": (-math.pi, math.pi), "jetPt": (200, 900)}
    jets = {
        name: random.uniform(*ranges.get(name, (0.1, 200.0)), (N, SLOTS)).astype(np.float32)
        for name in JETS
    }
    jets["jetMassSoftDrop"][::4] = 0
    jets["jetTau1"][::5] = 0
    there = np.arange(SLOTS) < random.integers(0, SLOTS + 1, N)[:, None]
    for values in jets.values():
        values[~there] = -7.0
    return jets, there


VALUES, THERE = events()


def jet(event: int, slot: int) -> dict[str, float]:
    return {name: float(values[event, slot]) for name, values in VALUES.items()}


def four_momentum(one: dict[str, float]) -> tuple[float, ...]:
    pt, eta, phi, mass = (one[name] for name in JETS[:4])
    px, py, pz = pt * math.cos(phi), pt * math.sin(phi), pt * math.sinh(eta)
    return math.sqrt(px * px + py * py + pz * pz + mass * mass), px, py, pz


def invariant_mass(jets: list[dict[str, float]]) -> float:
    e, px, py, pz = (sum(parts) for parts in zip(*map(four_momentum, jets), strict=True))
    return math.sqrt(max(e * e - px * px - py * py - pz * pz, 0.0))


def delta_phi(a: dict[str, float], b: dict[str, float]) -> float:
    return abs(math.remainder(a["jetPhi"] - b["jetPhi"], 2 * math.pi))


def ratio(above: str, below: str) -> Any:
    return lambda one: one[above] / one[below] if one[below] > 0 else 0.0


def log(name: str) -> Any:
    return lambda one: math.log(max(one[name], 1.0))


OF_A_JET = {
    "tau21": ratio("jetTau2", "jetTau1"),
    "tau31": ratio("jetTau3", "jetTau1"),
    "tau32": ratio("jetTau3", "jetTau2"),
    "mSD_over_pT": ratio("jetMassSoftDrop", "jetPt"),
    "m_over_pT": ratio("jetMass", "jetPt"),
    "mSD_over_m": ratio("jetMassSoftDrop", "jetMass"),
    "rho": lambda one: math.log(max(one["jetMassSoftDrop"], 1.0) ** 2 / one["jetPt"] ** 2),
    "log_pT": log("jetPt"),
    "log_m": log("jetMass"),
    "log_mSD": log("jetMassSoftDrop"),
}
OF_TWO_JETS = {
    "deltaEta": lambda a, b: abs(a["jetEta"] - b["jetEta"]),
    "deltaPhi": delta_phi,
    "deltaR": lambda a, b: math.hypot(a["jetEta"] - b["jetEta"], delta_phi(a, b)),
    "m": lambda a, b: invariant_mass([a, b]),
    "pT_asymmetry": lambda a, b: (a["jetPt"] - b["jetPt"]) / (a["jetPt"] + b["jetPt"]),
}


def expected(name: str, event: int) -> float:
    """A derived quantity of one event, from its definition."""
    there = [slot for slot in range(SLOTS) if THERE[event, slot]]
    if name == "ht":
        return sum(jet(event, slot)["jetPt"] for slot in there)
    if name == "m_jets":
        return invariant_mass([jet(event, slot) for slot in there]) if there else 0.0
    stem, _, digits = ("m_01" if name == "m_jj" else name).rpartition("_")
    slots = [int(digit) for digit in digits]
    if not set(slots) <= set(there):
        return -7.0
    formula: Any = {**OF_A_JET, **OF_TWO_JETS}[stem]
    return float(formula(*(jet(event, slot) for slot in slots)))


@pytest.mark.parametrize("name", derived_names(SLOTS))
def test_derived_quantities_are_those_of_their_definitions(name: str) -> None:
    quantity = derived(name)
    assert quantity is not None
    values = quantity.values(VALUES.__getitem__, THERE, padding=-7.0)
    np.testing.assert_allclose(values, [expected(name, i) for i in range(N)], rtol=1e-6, atol=1e-4)


def test_every_derived_quantity_that_jets_allow_is_named() -> None:
    names = derived_names(3)
    assert len(names) == len(set(names)) == 3 * len(OF_A_JET) + 3 * len(OF_TWO_JETS) + 3
    assert {"tau21_2", "deltaR_12", "m_jj", "ht"} <= set(names)
    assert "m_jj" not in derived_names(1)
    assert len(derived_names(12)) == 12 * len(OF_A_JET) + 45 * len(OF_TWO_JETS) + 3


@pytest.mark.parametrize(
    "name",
    ["tau21", "tau21_", "tau21_01", "deltaR_0", "deltaR_10", "deltaR_00", "m_012", "x_0", ""],
)
def test_what_is_not_derived_is_none(name: str) -> None:
    assert derived(name) is None


def test_a_jet_may_have_two_digits_where_it_is_alone() -> None:
    quantity = derived("tau32_11")
    assert quantity is not None
    assert quantity.slots == (11,)


def test_derived_quantities_have_units_and_titles() -> None:
    axes = {name: derived(name).variable.axis for name in ("m_jj", "tau21_0", "deltaPhi_02")}  # type: ignore[union-attr]
    assert axes == {
        "m_jj": "$m_{jj}$ [GeV]",
        "tau21_0": r"$\tau_{21}$, jet 0",
        "deltaPhi_02": r"$|\Delta\phi|$, jets 0 and 2 [rad]",
    }


def test_variables_that_are_known_have_titles() -> None:
    assert known("jetPt") == Variable("jetPt", "GeV", "AK8 jet $p_T$")
    assert known("anything") == Variable("anything")
    assert all(variable.title for variable in KNOWN.values())
