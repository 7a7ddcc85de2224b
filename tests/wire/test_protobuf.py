from __future__ import annotations

import re
from importlib.resources import files

import pytest

from tfaas_nb.wire import protobuf

#: What protoc 3.21.12 wrote for the messages below from tfaas.proto.
ROW = "0a056e4a6574730a076a657450745f3012080000004000c0d7431a057474626172"
SECOND_ROW = "0a056e4a6574730a076a657450745f30120800004040000080be1a057474626172"
DATAFRAME = f"0a21{ROW}0a21{SECOND_ROW}"
PREDICTIONS = "0a0d0a067369676e616c1546cd1a3f0a0a0a03716364150000003f"

GOLDEN = {
    "Row": (
        ROW,
        protobuf.Row(key=["nJets", "jetPt_0"], value=[2, 431.5], model="ttbar"),
    ),
    "DataFrame": (
        DATAFRAME,
        protobuf.DataFrame(
            row=[
                protobuf.Row(key=["nJets", "jetPt_0"], value=[2, 431.5], model="ttbar"),
                protobuf.Row(key=["nJets", "jetPt_0"], value=[3, -0.25], model="ttbar"),
            ]
        ),
    ),
    "Class": (
        "0a067369676e616c1546cd1a3f",
        protobuf.Class(label="signal", probability=0.6046947),
    ),
    "Predictions": (
        PREDICTIONS,
        protobuf.Predictions(
            prediction=[
                protobuf.Class(label="signal", probability=0.6046947),
                protobuf.Class(label="qcd", probability=0.5),
            ]
        ),
    ),
}


def messages_in_the_text() -> dict[str, tuple[tuple[str, bool, str], ...]]:
    """The messages of tfaas.proto, in the form of `protobuf.SCHEMA`."""
    text = files("tfaas_nb.wire").joinpath("tfaas.proto").read_text()
    text = re.sub(r"//[^\n]*", "", text)
    found = {}
    for message, body in re.findall(r"message\s+(\w+)\s*\{([^}]*)\}", text):
        fields = re.findall(r"(repeated\s+)?(\w+)\s+(\w+)\s*=\s*(\d+)\s*;", body)
        assert [int(number) for *_, number in fields] == list(range(1, len(fields) + 1))
        found[message] = tuple((name, bool(many), kind) for many, kind, name, _ in fields)
    return found


def test_the_schema_is_that_of_the_proto_file() -> None:
    assert messages_in_the_text() == protobuf.SCHEMA


def test_the_package_is_that_of_the_proto_file() -> None:
    text = files("tfaas_nb.wire").joinpath("tfaas.proto").read_text()
    assert f"package {protobuf.PACKAGE};" in text
    assert 'syntax = "proto3";' in text


@pytest.mark.parametrize("message", GOLDEN)
def test_bytes_are_those_of_protoc(message: str) -> None:
    golden, value = GOLDEN[message]
    assert value.SerializeToString().hex() == golden


@pytest.mark.parametrize("message", GOLDEN)
def test_bytes_of_protoc_are_understood(message: str) -> None:
    golden, value = GOLDEN[message]
    assert type(value).FromString(bytes.fromhex(golden)) == value
    assert type(value).DESCRIPTOR.full_name == f"tfaaspb.{message}"
