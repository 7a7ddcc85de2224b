"""Files that are no model which can be served: what they are, and what makes one of them.

They are told by their first bytes, and by the names in a zip.  Nothing in them is executed, and
of a compressed file only the beginning is unpacked.

Source: the formats' own descriptions: XGBoost's "model IO" and its schema, LightGBM's
``Booster.save_model``, Python's ``pickletools``, HDF5's "superblock", TensorFlow Lite's
``schema.fbs``, the README of safetensors, Git LFS's ``spec.md``, NumPy's ``numpy.lib.format``.
"""

from __future__ import annotations

import bz2
import lzma
import re
import zlib
from collections.abc import Callable

from tfaas_nb import archive

#: Bytes that are looked at where a format has no mark at its beginning.
_HEAD = 1 << 16
_MOST_MEMORY = 64 << 20

_H5 = b"\x89HDF\r\n\x1a\n"
_PICKLES = (*(b"\x80" + bytes([n]) for n in range(2, 6)), b"ccopy_reg\n", b"ccopyreg\n", b"(dp0\n")
_OLD_TORCH = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."

#: Library → the line that makes an ONNX model.
_LINES = {
    "sklearn": "skl2onnx.to_onnx(model, X[:1].astype('float32'), options={'zipmap': False})"
    ".SerializeToString()",
    "torch": "torch.onnx.export(model.eval(), (x,), 'model.onnx', external_data=False, "
    "dynamic_shapes=({0: 'events'},))",
    "catboost": "model.save_model('model.onnx', format='onnx')",
}
#: Where the first record of a ROOT file begins, which is at 100.
_ROOT_BEGIN = b"\0\0\0d"
#: Where a tar says that it is one.
_TAR = slice(257, 262)
_KERAS = "model.save('model.keras')"
#: Beginning → what a file is, and the remedy.
_STARTS = {
    b"version https://git-lfs.github.com/spec/": "a pointer of Git LFS, which stands for the "
    "file itself: fetch that with 'git lfs pull' and upload it",
    b"/annex/objects/": "a pointer of git-annex, which stands for the file itself: fetch that "
    "with 'git annex get'",
    b"\x93NUMPY": "an array of NumPy (.npy), no model: upload the model, and ask it about arrays "
    "with client.predict(name, array)",
    b"CBM1": f"a model of CatBoost: export it as ONNX, {_LINES['catboost']}",
    b"GGUF": "a language model (GGUF), which takes text: only models of numbers are served",
    b"7z\xbc\xaf\x27\x1c": "an archive of 7-Zip: pack the model's folder as .tar.gz or .zip",
    b"Rar!": "an archive of RAR: pack the model's folder as .tar.gz or .zip",
    b"\x28\xb5\x2f\xfd": "compressed with Zstandard: pack the model's folder as .tar.gz or .zip",
    b"model_checkpoint_path:": "the list of a TensorFlow checkpoint, which holds weights only: "
    "upload a SavedModel's folder (model.export('folder'), as .tar.gz) or a frozen graph",
}
_TEXTS = (
    (
        re.compile(rb"(?:\s|#[^\n]*\n)*node\s*\{"),
        "a TensorFlow graph as text (.pbtxt): write it as .pb with "
        "tf.io.write_graph(google.protobuf.text_format.Parse(open('graph.pbtxt').read(), "
        "tf.compat.v1.GraphDef()), '.', 'graph.pb', as_text=False)",
    ),
    (
        re.compile(rb"\s*(?:saved_model_schema_version:|meta_graphs\s*\{)"),
        "a SavedModel as text (saved_model.pbtxt): export it again as saved_model.pb with its "
        "variables/, and upload the folder as .tar.gz",
    ),
    (
        re.compile(rb"\s*(?:ir_version:|opset_import\s*\{)"),
        "an ONNX model as text: write it as .onnx with "
        "onnx.save(onnx.load('model.txt', format='textproto'), 'model.onnx')",
    ),
    (
        re.compile(rb"\s*(?:<!doctype html|<html|<head)", re.IGNORECASE),
        "a web page, not a model: a download that needs a login, or has moved, gives one; fetch "
        "the file itself (curl -fL)",
    ),
    (
        re.compile(rb"\s*(?:<\?xml[^>]*>\s*)?<MethodSetup"),
        "weights of TMVA (.xml): train the method again with Keras, scikit-learn or XGBoost and "
        "export it as ONNX",
    ),
    (
        re.compile(rb"\s*(?:<\?xml[^>]*>\s*)?(?:<!DOCTYPE[^>]*>\s*)?<PMML"),
        "PMML, which is not served: export the model as ONNX (skl2onnx, onnxmltools)",
    ),
)


def refusal(content: bytes) -> str | None:
    """A sentence on what a file is that is no model, with the remedy; None for all others.

    Parameters
    ----------
    content : bytes
        The file.
    """
    found = _kind(content) or _compressed(content)
    return f"the file is {found}" if found else None


def to_onnx(module: str) -> str:
    """The line that exports a model of another library as ONNX, by the module of its class.

    It is empty for a library that is not known.
    """
    library = module.partition(".")[0]
    return _by_onnxmltools(library) if library in _BOOSTED else _LINES.get(library, "")


_BOOSTED = ("xgboost", "lightgbm")
_PICKLE = "a pickle, which is a program"
_AN_H5 = "an .h5 file, which Keras cannot load safely"


def _kind(content: bytes) -> str | None:
    if not content[:_HEAD].strip(b"\0"):
        return "empty, so the graph has no nodes: was the copy or the download cut short?"
    if content[_TAR] == b"ustar":
        return None
    for look in _LOOKS:
        if found := look(content):
            return found
    return None


def _started(content: bytes) -> str | None:
    return next((told for start, told in _STARTS.items() if content.startswith(start)), None)


def _root(content: bytes) -> str | None:
    if not content.startswith(b"root") or content[8:12] != _ROOT_BEGIN:
        return None
    return (
        "a ROOT file, no model: tn.load and tn.read read its events; a method of TMVA is to be "
        "trained again with Keras, scikit-learn or XGBoost and exported as ONNX"
    )


def _text(content: bytes) -> str | None:
    return next((told for form, told in _TEXTS if form.match(content[:_HEAD])), None)


def _pickle(content: bytes) -> str | None:
    if content.startswith(_OLD_TORCH):
        return f"a PyTorch file, which is a program: export the model as ONNX, {_LINES['torch']}"
    is_old = content.startswith(b"c") and re.match(rb"c[A-Za-z_][\w.]*\n[A-Za-z_]\w*\n", content)
    if not content.startswith(_PICKLES) and not is_old:
        return None
    head = content[:_HEAD]
    places = {head.find(name.encode()): name for name in (*_BOOSTED, *_LINES)}
    first = min((place for place in places if place >= 0), default=-1)
    if first < 0:
        return f"{_PICKLE}: export the model as ONNX (skl2onnx, torch.onnx)"
    library = places[first]
    return f"{_PICKLE}, of {library}: export the model as ONNX, {to_onnx(library)}"


def _h5(content: bytes) -> str | None:
    if not content.startswith(_H5):
        return None
    has_model = b"model_config" in content
    if not has_model and (b"layer_names" in content or b"weight_names" in content):
        return _weights_only("weights.h5")
    if not has_model and b"vars" in content and (b"layers" in content or b"_layer" in content):
        return _weights_only("model.weights.h5")
    return (
        f"{_AN_H5}: save the model as .keras, "
        "keras.models.load_model('model.h5').save('model.keras')"
    )


def _weights_only(name: str) -> str:
    return (
        "weights of Keras only, without the model: build the model as for the training, then "
        f"model.load_weights({name!r}) and {_KERAS}"
    )


def _json(content: bytes) -> str | None:
    if content.lstrip(b" \t\r\n")[:1] not in (b"{", b"["):
        return None
    head = content[:_HEAD]
    if b'"learner"' in head and b'"gradient_booster"' in content:
        number = re.search(rb'"num_feature"\s*:\s*"?(\d+)', content)
        return f"XGBoost's own JSON: {_xgboost('m.json', number)}"
    if b'"nodeid"' in head and b'"split"' in head:
        return _DUMP
    if b'"tree_info"' in content and b'"num_tree_per_iteration"' in head:
        return (
            f"a dump of LightGBM's trees: export the model as ONNX, {_by_onnxmltools('lightgbm')}"
        )
    if b'"nbformat"' in content and b'"cells"' in head:
        return "a notebook, not a model: upload what its model.save or export wrote"
    if re.search(rb'"class_name"\s*:\s*"(?:Functional|Sequential|Model)"', head):
        return (
            "a Keras architecture without weights: model = keras.models.model_from_json("
            f"open('m.json').read()); model.load_weights('m.weights.h5'); {_KERAS}"
        )
    if b'"inputNode"' in head or b'"input_node"' in head:
        return "params.json, not the model: send it in the field 'params' and the model in 'model'"
    return None


def _ubj(content: bytes) -> str | None:
    head = content[:_HEAD]
    if content[:1] == b"{" and b"learner{" in head and b"gradient_booster" in content:
        number = re.search(rb"num_featureSL.{8}(\d+)", content, re.DOTALL)
        return f"XGBoost's own UBJ: {_xgboost('m.ubj', number)}"
    if content.startswith(b"binf"):
        return f"XGBoost's own binary: {_xgboost('m.bin', None)}"
    return None


def _lightgbm(content: bytes) -> str | None:
    if content.startswith(b"booster[0]:"):
        return _DUMP
    if not content.startswith((b"tree\nversion=", b"tree\r\nversion=")):
        return None
    number = re.search(rb"\nmax_feature_idx=(\d{1,9})", content[:_HEAD])
    width = str(int(number[1]) + 1) if number else "N"
    model = "lightgbm.Booster(model_file='m.txt')"
    return f"LightGBM's own text: export it as ONNX, {_by_onnxmltools('lightgbm', model, width)}"


def _xgboost(name: str, number: re.Match[bytes] | None) -> str:
    model = f"xgboost.Booster(model_file={name!r})"
    width = number[1].decode() if number else "N"
    return f"export it as ONNX, {_by_onnxmltools('xgboost', model, width)}"


def _by_onnxmltools(library: str, model: str = "model", width: str = "N") -> str:
    options = ", zipmap=False" if library == "lightgbm" else ""
    return (
        f"onnxmltools.convert_{library}({model}, initial_types=[('X', "
        "onnxmltools.convert.common.data_types.FloatTensorType("
        f"[None, {width}]))]{options}).SerializeToString()"
    )


def _tflite(content: bytes) -> str | None:
    if content[4:8] == b"TFL3":
        return (
            "a model of TensorFlow Lite, which is made for phones: upload the Keras model or the "
            f"SavedModel that it was converted from ({_KERAS})"
        )
    if content[4:8] in (b"ET12", b"ET13"):
        return f"a model of ExecuTorch, which is made for phones: {_LINES['torch']}"
    return None


def _safetensors(content: bytes) -> str | None:
    length = int.from_bytes(content[:8], "little")
    if content[8:9] != b"{" or not 2 <= length <= len(content):
        return None
    if b'"data_offsets"' not in content[8 : 8 + min(length, _HEAD)]:
        return None
    return (
        "weights only (safetensors), without the model: load them into it with "
        "model.load_state_dict(safetensors.torch.load_file('model.safetensors')), then "
        f"{_LINES['torch']}"
    )


def _zip(content: bytes) -> str | None:
    if not archive.is_zip(content):
        return None
    names = archive.zip_names(content)
    if any(name.endswith(("/data.pkl", "/archive_format")) or name == "data.pkl" for name in names):
        return (
            "of PyTorch, which is a program (a PyTorch file holds pickled code: export the model "
            f"with torch.onnx.export); {_LINES['torch']}, a state_dict after "
            "model.load_state_dict(torch.load('model.pt'))"
        )
    if "schema.json" in names:
        return f"a model of scikit-learn in skops: export it as ONNX, {_LINES['sklearn']}"
    if names and all(name.endswith(".npy") for name in names):
        return (
            "arrays of NumPy (.npz), no model: upload the model; weights are to be loaded into it "
            "before"
        )
    return None


def _compressed(content: bytes) -> str | None:
    """The kind of what is in a compressed file, such as joblib and XGBoost write."""
    head = _unpacked(content)
    inner = _kind(head) if head else None
    return inner and f"{inner} (the file is compressed)"


def _unpacked(content: bytes) -> bytes:
    """The beginning of what a file compresses; empty if it compresses nothing."""
    for start, decoder in _DECODERS.items():
        if content.startswith(start):
            try:
                return decoder(content)
            except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError):
                return b""
    return b""


def _deflated(content: bytes) -> bytes:
    return zlib.decompressobj(zlib.MAX_WBITS | 32).decompress(content, _HEAD)


def _bzip2(content: bytes) -> bytes:
    return bz2.BZ2Decompressor().decompress(content, _HEAD)


def _lzma(content: bytes) -> bytes:
    return lzma.LZMADecompressor(memlimit=_MOST_MEMORY).decompress(content, _HEAD)


_DUMP = (
    f"a dump of XGBoost's trees for people: export the model as ONNX, {_by_onnxmltools('xgboost')}"
)
_LOOKS: tuple[Callable[[bytes], str | None], ...] = (
    *(_started, _root, _text, _pickle, _h5, _json, _ubj, _lightgbm, _tflite, _safetensors, _zip),
)
_DECODERS: dict[bytes, Callable[[bytes], bytes]] = {
    **dict.fromkeys((b"\x1f\x8b", b"x\x01", b"x^", b"x\x9c", b"x\xda"), _deflated),
    b"BZh": _bzip2,
    **dict.fromkeys((b"\xfd7zXZ\0", b"]\0\0"), _lzma),
}
