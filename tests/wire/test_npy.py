"""Arrays in ``.npy``: NumPy's own reader has the same values."""

from __future__ import annotations

import ast
import io
import sys
import threading
import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tfaas_nb.errors import RequestError
from tfaas_nb.wire.npy import array_in

#: NumPy takes what follows NUL for absent, and writes no lone surrogate.
_NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)
_PLAIN = st.sampled_from(["<f4", ">f8", "|b1", "<i8", "|u1", "<U3", "|S4", "<c8"])
_FIELDS = st.lists(_NAMES, min_size=1, max_size=5, unique=True)


def written(array: npt.NDArray[Any]) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, version=(3, 0), allow_pickle=False)
    return stream.getvalue()


@pytest.mark.slow
@given(st.data())
def test_any_array_is_read_as_numpy_reads_it(data: st.DataObject) -> None:
    """Fields of odd names, fields in fields, arrays in fields, and orders of both languages."""
    shape = tuple(data.draw(st.lists(st.integers(0, 3), max_size=3)))
    one = data.draw(_PLAIN)
    if names := data.draw(st.none() | _FIELDS):
        inner = np.dtype([(name, one) for name in names])
        one = np.dtype([("whole", inner), ("pair", "<f4", (2,)), ("x", data.draw(_PLAIN))])
    dtype = np.dtype(one)
    raw = data.draw(st.binary(min_size=64, max_size=64))
    count = int(np.prod(shape))
    array = np.resize(np.frombuffer(raw, np.uint8), count * dtype.itemsize).copy()
    array = (array % 2).view(dtype)[:count].reshape(shape, order=data.draw(st.sampled_from("CF")))
    found = array_in(written(array), "body")
    expected = np.load(io.BytesIO(written(array)), allow_pickle=False)
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
    assert found.tobytes() == expected.tobytes()


@given(arrays.arrays(np.float32, arrays.array_shapes(min_dims=0, min_side=0)))
def test_it_is_a_view_of_the_bytes(array: npt.NDArray[np.float32]) -> None:
    body = written(array)
    found = array_in(body, "body")
    np.testing.assert_array_equal(found, array)
    assert not found.flags.writeable


@pytest.mark.parametrize(
    "header",
    [
        *("", "{", "}", "{'descr'}", "{'descr':}", "{'descr': '<f4',,}", "[1 2]", "(,)", "1 2"),
        *(
            "{'descr': <f4}",
            "{'descr': __import__('os')}",
            "'a' 'b'",
            "0x10",
            "-1",
            "[1}",
            "Truely",
        ),
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': [1]}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1,)} x",
        "{'descr': '\\N{DIGIT ONE}', 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (" + "1," * 70 + ")}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (0, 100000000000000000000000)}",
        "{'descr': '<f4', 'fortran_order': True, 'shape': (0, 999999999999999999, 99)}",
        *("[" * 5000, "{'fortran_order': False, 'shape': (1,)}", "9" * 5000),
    ],
)
def test_a_header_that_is_none_is_refused(header: str) -> None:
    body = np.lib.format.magic(1, 0) + len(header).to_bytes(2, "little") + header.encode()
    with pytest.raises(RequestError, match=r"the body is not a \.npy array") as refused:
        array_in(body + bytes(4), "body")
    for words in ("recursion", "indices", "Python", "digits", "'descr'", "'shape'"):
        assert words not in str(refused.value)


@pytest.mark.parametrize(
    "descr",
    [
        *("'float32'", "'f'", "'d'", "'=f4'", "'double'", "'int64'", "'>i8'", "'bool'", "'?'"),
        *("u'<f4'", 'U"<f4"', "'float16'", "'complex64'", "'<M8[ns]'", "'|u1'", "'single'"),
        "[(('title', 'x'), '<f4'), (u'y', 'int32')]",
        "[(('a title', u'x'), '<f8', (2L,)), ('y', 'float32')]",
        "[('x', '<f4', 3), ('y', '<f4', ())]",
        "[('x', ('<f4', (2, 0x2))), ('y', [('z', '<f4')])]",
        "[('x', '<f4'), ('', '|V4'), ('y', '<f8')]",
        "[('f1', 'u1'), ('', '|V3'), ('', '<f4')]",
    ],
)
@pytest.mark.parametrize("shape", ["(2L,)", "(1, 2L)", "()", "(0x2,)", "(0L, 1_0)"])
def test_a_header_of_another_hand_is_read_as_numpy_reads_it(descr: str, shape: str) -> None:
    """Titles, padding, names of types, and numbers and names as Python 2 wrote them."""
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n"
    head = np.lib.format.magic(1, 0) + len(header).to_bytes(2, "little") + header.encode()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that Python 2 wrote it
        expected = np.load(io.BytesIO(head + bytes(range(1, 200))), allow_pickle=False)
    found = array_in(head + bytes(range(1, 200))[: expected.nbytes], "body")
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
    assert found.dtype.fields == expected.dtype.fields
    for name in found.dtype.names or ():  # what is between fields may be anything
        assert found[name].tobytes() == expected[name].tobytes()
    assert found.dtype.names or found.tobytes() == expected.tobytes()


@pytest.mark.parametrize("descr", ["'object'", "'O'", "'i4,f4'", "'nothing'", "None", "'str'"])
def test_types_that_are_no_numbers_are_refused(descr: str) -> None:
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': (1,)}}"
    body = np.lib.format.magic(1, 0) + len(header).to_bytes(2, "little") + header.encode()
    with pytest.raises(RequestError, match=r"the body is not a \.npy array"):
        array_in(body + bytes(8), "body")


def test_the_interpreters_parser_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before Python 3.13 two threads cannot use it at a time: a cell or a request would fail."""

    def parse(*_: Any, **__: Any) -> Any:
        raise SystemError("AST constructor recursion depth mismatch (before=18, after=14)")

    body = written(np.zeros(3, [("jetPt_0", "<f4"), ("η\\'\"", "<f4")]))
    monkeypatch.setattr(ast, "parse", parse)
    assert array_in(body, "body").dtype.names == ("jetPt_0", "η\\'\"")


@pytest.mark.slow
def test_many_threads_read_at_a_time() -> None:
    body = written(np.ones(10, [(f"x{i}", "<f4") for i in range(40)]))
    wrong: list[Exception] = []

    def read() -> None:
        try:
            for _ in range(200):
                assert array_in(body, "body").shape == (10,)
        except Exception as error:
            wrong.append(error)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=read) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert wrong == []
