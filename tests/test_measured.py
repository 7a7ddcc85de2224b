from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfaas_nb.measured import Measured, quoted


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (0.96674, 0.00123, "0.9667 ± 0.0012"),
        (0.96674, 0.0123, "0.967 ± 0.012"),
        (0.999981, 0.0000123, "0.999981 ± 0.000012"),
        (175.31, 11.8, "175 ± 12"),
        (1234.0, 231.0, "1230 ± 230"),
        (27.34, 2.06, "27.3 ± 2.1"),
        (0.5, 0.00996, "0.500 ± 0.010"),
        (1e5, 99.6, "100000 ± 100"),
        (-0.0001, 0.1, "0.00 ± 0.10"),
        (3.21e-9, 1.04e-10, "(3.21 ± 0.10) × 10^-9"),
    ],
)
def test_an_error_has_two_digits_and_its_number_the_same_decimals(
    value: float, error: float, text: str
) -> None:
    assert quoted(value, error) == text


@pytest.mark.slow
@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e5))
def test_no_error_is_written_as_zero(value: float, error: float) -> None:
    number, written = quoted(value, error).split(" ± ")
    assert float(written) == pytest.approx(error, rel=0.051)
    assert float(number) == pytest.approx(value, abs=0.051 * error + 1e-9 * abs(value))


@pytest.mark.parametrize(
    ("measured", "text", "equation"),
    [
        (Measured(0.5, 0.02), "0.500 ± 0.020", "= 0.500 ± 0.020"),
        (Measured(0.5, 0.02, is_signed=True), "+0.500 ± 0.020", "= +0.500 ± 0.020"),
        (Measured(0.5, 0.0, is_chosen=True), "0.5 (chosen)", "= 0.5 (chosen)"),
        (Measured(0.0, 0.0, None, 0.002995), "< 0.0030 at 95 % CL", "< 0.0030 at 95 % CL"),
        (Measured(1.0, 0.0, 0.9985022, None), "> 0.9985 at 95 % CL", "> 0.9985 at 95 % CL"),
        (Measured(0.4, None, 0.02, 0.98), "0.020 – 0.980 at 95 % CL", "= 0.020 – 0.980 at 95 % CL"),
        (Measured(0.0, 0.0, -0.003, 0.003), "within ± 0.0030 at 95 % CL",) * 1
        + ("within ± 0.0030 at 95 % CL",),
        (Measured(math.inf, math.inf, 333.9, None), "> 330 at 95 % CL", "> 330 at 95 % CL"),
        (Measured(0.9, 0.1, is_uncertain=True), "0.90 ± 0.10 (few events)",) * 1
        + ("= 0.90 ± 0.10 (few events)",),
        (Measured(0.9, math.nan), "0.9 (error not known)", "= 0.9 (error not known)"),
    ],
)  # fmt: skip
def test_what_has_no_error_has_a_limit_or_says_so(
    measured: Measured, text: str, equation: str
) -> None:
    assert (str(measured), measured.equation) == (text, equation)
    assert repr(measured) == text


@given(st.floats(1e-5, 0.99999))
def test_a_limit_is_rounded_to_the_safe_side(limit: float) -> None:
    above = float(str(Measured(0.0, None, None, limit)).split()[1])
    below = float(str(Measured(1.0, None, limit, None)).split()[1])
    assert below <= limit * (1 + 1e-6)
    assert above >= limit * (1 - 1e-6)
