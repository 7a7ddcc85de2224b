"""Environment of a process that reads untrusted files: it holds none of our secrets."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import tfaas_nb

#: What a Python that imports TensorFlow needs of our environment.  Tokens are not among it.
_KEPT = (
    *("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "PYTHONHOME", "VIRTUAL_ENV"),
    *("LANG", "LC_ALL", "LC_CTYPE", "TZ", "SYSTEMROOT", "WINDIR"),
)


def clean(home: str) -> dict[str, str]:
    """The environment of a process that works below a folder."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    # As this process finds modules, so must that one; its folder is the package's, wherever we are.
    ours = str(Path(tfaas_nb.__file__).parent.parent)
    paths = [ours, *(path for path in sys.path if path and Path(path).is_dir())]
    return kept | {
        "PYTHONPATH": os.pathsep.join(dict.fromkeys(paths)),
        "HOME": home,
        "KERAS_HOME": home,
        "KERAS_BACKEND": "tensorflow",
        "TMPDIR": home,
        "CUDA_VISIBLE_DEVICES": "",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        # Else TensorFlow looks for memory for ten seconds before it says that there is none.
        "TF_ONEDNN_USE_SYSTEM_ALLOCATOR": "1",
        # One thread alone, so that the process can be copied.
        **{f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")},
    }
