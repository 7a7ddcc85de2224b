"""Files without a tree are named for what they are, and what to do is said."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import re
import tarfile
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest

import tfaas_nb as tn
from tests import real_root
from tests.ntuples import write_tree
from tfaas_nb.data.root import read
from tfaas_nb.errors import DataError
from tfaas_nb.features import FeatureSet, Variable

FEATURES = FeatureSet("one", (Variable("x"),), ())


def _tar(content: bytes) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        member = tarfile.TarInfo("ttbar.root")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def _zip(content: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("ttbar.root", content)
    return stream.getvalue()


def _npz() -> bytes:
    stream = io.BytesIO()
    np.savez(stream, x=np.arange(3.0))
    return stream.getvalue()


def _parquet() -> bytes:
    pandas, _ = pytest.importorskip("pandas"), pytest.importorskip("pyarrow")
    return bytes(pandas.DataFrame({"x": [1.0, 2.0]}).to_parquet())


ROOT_FILE = b"root" + bytes(500)
FORMATS = {
    "Parquet": (_parquet, "a Parquet file.*from_columns"),
    "CSV": (lambda: b"pt,eta\n1,2\n3,4\n", "a CSV file.*from_columns"),
    "CSV that begins like a ROOT file": (lambda: b"root_id,pt\n1,2\n3,4\n", "a CSV file"),
    "CSV of another encoding": (lambda: "Zähler;b\n1;2\n".encode("latin-1"), "a CSV file"),
    "tabs": (lambda: b"\tpt\teta\n0\t1\t2\n", "tab-separated values"),
    "HTML": (
        lambda: b"\n<!DOCTYPE html>\n<html><head><title>CERN Single Sign-On</title></head></html>",
        "an HTML page.*'CERN Single Sign-On'.*download the file again",
    ),
    "JSON": (lambda: b'{"error": "Not Found"}', "a JSON document"),
    "HDF5": (lambda: b"\x89HDF\r\n\x1a\n" + bytes(100), "an HDF5 file"),
    "gzip": (lambda: gzip.compress(ROOT_FILE), "compressed with gzip; unpack it"),
    "bzip2": (lambda: bz2.compress(ROOT_FILE), "compressed with bzip2; unpack it"),
    "xz": (lambda: lzma.compress(ROOT_FILE), "compressed with xz; unpack it"),
    "LZ4": (lambda: b"\x04\x22\x4d\x18" + bytes(50), "compressed with LZ4; unpack it"),
    "Zstandard": (lambda: b"\x28\xb5\x2f\xfd" + bytes(50), "compressed with Zstandard"),
    "zip": (lambda: _zip(ROOT_FILE), "a zip archive; unpack it"),
    "tar": (lambda: _tar(ROOT_FILE), "a tar archive; unpack it"),
    "NumPy": (_npz, "NumPy arrays.*from_columns"),
    "Git LFS": (
        lambda: b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n",
        "a Git LFS pointer.*git lfs pull",
    ),
    "git-annex": (lambda: b"/annex/objects/SHA256E-s9--a.root\n", "git annex get"),
    "LHE": (lambda: b"<LesHouchesEvents version='3.0'>\n", "a Les Houches event file"),
    "text": (lambda: b"Sorry, not found", "a text that begins with 'Sorry, not found'"),
    "zeros": (lambda: bytes(4096), "zeros.*copy it again"),
    "noise": (lambda: bytes(range(1, 256)) * 9, "of another format"),
}


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_of_another_format_is_named(tmp_path: Path, name: str) -> None:
    content, expected = FORMATS[name]
    (tmp_path / "data.root").write_bytes(content())
    with pytest.raises(
        DataError, match=f"data.root cannot be read as a ROOT file: it is .*{expected}"
    ):
        read(tmp_path / "data.root", FEATURES)
    with pytest.raises(DataError, match=expected):
        tn.inspect(tmp_path / "data.root")


@pytest.mark.parametrize("length", [3, 15, 60, 200, 1000, -1])
def test_a_download_that_was_cut_off_is_called_truncated(tmp_path: Path, length: int) -> None:
    path = write_tree(tmp_path / "whole.root", {"x": np.arange(1000.0)})
    content = path.read_bytes()[:length]
    (tmp_path / "cut.root").write_bytes(content)
    with pytest.raises(DataError, match=rf"cut.root is truncated: .*\b{len(content)}\b.*copy it"):
        read(tmp_path / "cut.root", FEATURES)


def test_an_empty_file_and_a_folder_are_called_so(tmp_path: Path) -> None:
    (tmp_path / "empty.root").touch()
    with pytest.raises(DataError, match=r"empty.root is empty: it has 0 bytes"):
        read(tmp_path / "empty.root", FEATURES)
    with pytest.raises(DataError, match=r"is a folder: name the ROOT files"):
        read(tmp_path, FEATURES)


class _Silent(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Tests say nothing of requests."""


@pytest.mark.slow
def test_a_page_that_a_server_sends_instead_is_named(tmp_path: Path) -> None:
    (tmp_path / "ttbar.root").write_bytes(b"<!DOCTYPE html>\n<html>Sign in</html>\n" * 99)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Silent, directory=tmp_path)) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            with pytest.raises(DataError, match=r"as a ROOT file: it is an HTML page"):
                read(f"http://127.0.0.1:{server.server_port}/ttbar.root", FEATURES)
        finally:
            server.shutdown()


KILLED = """
import array, os, signal
x, n, v = array.array("f", [0]), array.array("i", [0]), array.array("f", [0] * 20)
file = ROOT.TFile("killed.root", "recreate")
tree = ROOT.TTree("events", "")
tree.Branch("x", x, "x/F")
tree.Branch("n", n, "n/I")
tree.Branch("v", v, "v[n]/F")
tree.SetAutoFlush(5000)
if os.fork() == 0:
    for i in range(22_000):
        x[0], n[0] = (i * 7919) % 65536, i % 10
        for k in range(n[0]):
            v[k] = ((i + k) * 104729) % 1048576
        tree.Fill()
    os.kill(os.getpid(), signal.SIGKILL)
os.wait()
os._exit(0)
"""


#: Like the command that the error names, which is this class.
HADD = """
merger = ROOT.TFileMerger(False)
merger.OutputFile("recovered.root", "RECREATE")
assert merger.AddFile("killed.root") and merger.Merge()
"""


@pytest.mark.slow
def test_a_file_that_was_never_closed_is_called_so_and_root_recovers_it(tmp_path: Path) -> None:
    real_root.run(KILLED, tmp_path)
    path = tmp_path / "killed.root"
    with pytest.raises(DataError, match=r"killed.root was not closed.*ROOT may recover") as error:
        read(path, FEATURES)
    with pytest.raises(DataError, match="was not closed"):
        tn.inspect(path)
    assert path.stat().st_size > 100_000
    assert str(error.value).endswith("hadd recovered.root killed.root")
    real_root.run(HADD, tmp_path)
    x = read(tmp_path / "recovered.root", FEATURES).X[:, 0]
    assert len(x) in (15_000, 20_000)
    assert x.tolist() == [(i * 7919) % 65536 for i in range(len(x))]


HOLDINGS = """
import array
chain = ROOT.TChain("events")
chain.Add("part1.root")
chain.Add("/eos/user/s/someone/a/long/folder/part2.root")
file = ROOT.TFile("chain.root", "recreate")
chain.Write()
file.Close()
file = ROOT.TFile("histograms.root", "recreate")
file.mkdir("plots").cd()
for i in range(7):
    ROOT.TH1F(f"h{i}", "", 10, 0, 1).Write()
file.Close()
file = ROOT.TFile("others.root", "recreate")
ROOT.TNamed("version", "3").Write()
file.Close()
ROOT.TFile("nothing.root", "recreate").Close()
x = array.array("f", [0])
file = ROOT.TFile("both.root", "recreate")
tree = ROOT.TTree("other", "")
tree.Branch("x", x, "x/F")
tree.Fill()
tree.Write()
chain.Write()
file.Close()
"""
FILES = r"\(part1.root, /eos/user/s/someone/a/long/folder/part2.root\): name those files instead"


@pytest.fixture(scope="module")
def holdings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("holdings")
    real_root.run(HOLDINGS, folder)
    return folder


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("chain", f"the TChain 'events'.*{FILES}"),
        ("histograms", r"7 histograms, 'plots/h0', .* and 2 more"),
        ("others", r"holds \['version'\] \(TNamed\)"),
        ("nothing", "holds nothing"),
    ],
)
def test_what_a_file_without_trees_holds_is_said(holdings: Path, name: str, expected: str) -> None:
    path = holdings / f"{name}.root"
    with pytest.raises(DataError, match=rf"{name}.root has no tree; it.*{expected}"):
        read(path, FEATURES)
    assert re.search(expected, tn.inspect(path).problem)


def test_a_chain_beside_trees_is_named_when_it_is_asked_for(holdings: Path) -> None:
    with pytest.raises(DataError, match=f"the TChain 'events'.*{FILES}"):
        read(holdings / "both.root", FEATURES, "events")
    assert len(read(holdings / "both.root", FEATURES)) == 1
