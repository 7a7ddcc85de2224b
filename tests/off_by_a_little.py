"""``tfaas-nb`` as it is, but that the scores it sends as ``.npy`` are 0.01 too large."""

from __future__ import annotations

import sys
from typing import Any

from tfaas_nb.cli import main
from tfaas_nb.wire import tfaas

if __name__ == "__main__":
    encode: Any = tfaas.encode_scores_npy
    tfaas.encode_scores_npy = lambda scores: encode(scores + type(scores.flat[0])(0.01))
    sys.exit(main(sys.argv[1:]))
