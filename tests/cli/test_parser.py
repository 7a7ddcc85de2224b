"""Values that begin with a dash, on the command line, and messages as a shell writes them."""

from __future__ import annotations

import pytest

from tfaas_nb.cli import parser, parsers

SERVE = ["serve"]
PROMOTE = ["promote", "m", "--to", "http://there"]
TRAIN = ["train", "--signal", "s.root", "--background", "b.root", "--name", "m"]


@pytest.mark.parametrize("value", ["-", "-x", "-token-1", "--x", "-1", "-jetEta_0 > 1"])
def test_an_option_takes_a_value_that_begins_with_a_dash(value: str) -> None:
    assert parser().parse_args([*SERVE, "--token", value]).token == value
    assert parser().parse_args([*SERVE, f"--token={value}"]).token == value
    options = parser().parse_args([*PROMOTE, "--token", value, "--to-token", value])
    assert (options.token, options.to_token, options.model) == (value, value, "m")
    assert parser().parse_args([*TRAIN, "--cut", value]).cut == value


@pytest.mark.parametrize(
    "arguments",
    [
        [*SERVE, "--token", "--port", "1"],
        [*SERVE, "--token"],
        [*SERVE, "--token", "--port=1"],
        [*SERVE, "--token", "--", "-x"],
        [*SERVE, "--no-such-option", "-x"],
        [*SERVE, "--no-token", "-x"],
    ],
)
def test_a_missing_value_is_a_usage_error(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parser().parse_args(arguments)
    assert ended.value.code == 2
    assert "usage: tfaas-nb" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("message", "spelled"),
    [
        ("(on_nan='skip' leaves them out)", "(--on-nan skip leaves them out)"),
        ("say optional=['HLT_A', 'b c']", "say --optional HLT_A --optional 'b c'"),
        ("branches={'jetPt': 'FatJet_pt'}", "--branch jetPt=FatJet_pt"),
        ("say which with tree=...", "say which with --tree ..."),
        ("or negative_weights= of it", "or --negative-weights of it"),
        ("lumi=-3.5 must be positive", "--lumi -3.5 must be positive"),
        ("seed=1e+30 is too large", "--seed 1e+30 is too large"),
        ("tn.Sample(files, weight='w')", "tn.Sample(files, weight='w')"),
        ("f(x) (cut='x > 1')", "f(x) (--cut 'x > 1')"),
        ("epochs must be a whole number, not 0", "--epochs must be a whole number, not 0"),
        ("branches maps 'x', which nothing needs", "--branch maps 'x', which nothing needs"),
        ("say on_error='skip' or on_error='stop'", "say --skip-unreadable or on_error='stop'"),
        ("test=nan or test=-inf", "--test nan or --test -inf"),
        ("validation must be between 0 and 1", "validation must be between 0 and 1"),
        ("the seed must be a whole number", "the seed must be a whole number"),
        ("timeout=30 of a server", "timeout=30 of a server"),
        ("a file with signal=3", "a file with signal=3"),
    ],
)
def test_a_message_names_the_options_of_the_command(message: str, spelled: str) -> None:
    """Arguments of calls, and those for which it has no option, stay as they are in Python."""
    assert parsers()[1]["train"].spelled(message) == spelled
