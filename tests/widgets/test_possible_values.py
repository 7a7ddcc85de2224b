from __future__ import annotations

from typing import Any

import pytest

from tfaas_nb.widgets.possible_values import PossibleValues, possible_values

ANY = PossibleValues()
POSITIVE = PossibleValues(0)
COUNT = PossibleValues(0, None, whole=True)
ANGLE = PossibleValues(-6.2832, 6.2832)


@pytest.mark.parametrize(
    ("name", "unit", "usual", "expected"),
    [
        ("nJets", "", (2, 3, 5), COUNT),
        ("nJets", None, (), COUNT),
        ("PV_npvs", "", (5, 30, 60), COUNT),
        ("nJetsMean", "", (1.5, 2.25, 3.75), ANY),
        ("neutral", "", (0, 1, 1), ANY),
        ("jetPt_0", "GeV", (400, 500, 900), POSITIVE),
        ("mu_pt", "GeV", (30.0, 40.0, 90.0), POSITIVE),
        ("px", "GeV", (-300.0, 2.0, 300.0), ANY),
        ("unknown", "GeV", (), ANY),
        ("jetMassSoftDrop_1", "GeV", (-1.0, 20.0, 170.0), ANY),
        ("jetTau2_3", "", (0.1, 0.2, 0.4), POSITIVE),
        ("deltaEta", "", (-2.0, 0.0, 2.0), ANY),
        ("jetPhi_0", "rad", (-3.1, 0.0, 3.1), ANGLE),
        ("phi", "rad", (-999.0, 0.0, 3.1), ANY),
        ("jetEta_0", "", (-2.4, 0.0, 2.4), ANY),
    ],
)
def test_only_what_is_certain_is_refused(
    name: str, unit: str | None, usual: tuple[float, ...], expected: PossibleValues
) -> None:
    feature: dict[str, Any] = {"name": name, "unit": unit}
    feature |= dict(zip(("low", "median", "high"), usual, strict=False))
    assert possible_values(feature) == expected
