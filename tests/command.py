"""The installed command, as a user starts it."""

from __future__ import annotations

import sys
from pathlib import Path

COMMAND = [str(Path(sys.executable).parent / "tfaas-nb")]
