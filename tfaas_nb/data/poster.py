"""The event that TFaaS's poster asks about: real input whose answer everybody can compare."""

from __future__ import annotations

import json
from importlib.resources import files

from tfaas_nb.call_arguments import checked_calls
from tfaas_nb.errors import DataError


@checked_calls(DataError)
def poster_event() -> dict[str, float]:
    """The poster's event as ``{feature: value}`` (GeV, radians), in the order it was sent."""
    row = json.loads((files("tfaas_nb.data") / "events" / "poster-row.json").read_bytes())
    return dict(zip(row["keys"], row["values"], strict=True))
