"""All benchmarks, or some; writes RESULTS.md and the README's table.

Usage: python -m tests.benchmarks [--only PARTS] [--quick]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from tests.benchmarks import (
    bulk,
    cluster,
    latency,
    memory,
    physics,
    reading,
    report,
    single,
    streaming,
    training,
    upload,
)
from tests.benchmarks.load import needs_wrk
from tests.benchmarks.options import Options
from tests.benchmarks.peers import measure as peers
from tests.benchmarks.unavailable import Unavailable

PARTS: dict[str, Callable[[Options], report.Section]] = {
    "single": single.measure,
    "peers": peers.measure,
    "bulk": bulk.measure,
    "latency": latency.measure,
    "upload": upload.measure,
    "memory": memory.measure,
    "reading": reading.measure,
    "streaming": streaming.measure,
    "physics": physics.measure,
    "training": training.measure,
    "cluster": cluster.measure,
}
#: Parts that put no server under load.
_WITHOUT_LOAD = {"reading", "streaming", "physics", "training", "cluster"}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default=",".join(PARTS), help="parts, separated by commas")
    parser.add_argument("--quick", action="store_true", help="shorter, and only shown")
    options = parser.parse_args()
    chosen = options.only.split(",")
    if unknown := set(chosen) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    lengths = Options.quick() if options.quick else Options()
    try:
        if set(chosen) - _WITHOUT_LOAD:
            needs_wrk()
        sections = [PARTS[part](lengths) for part in PARTS if part in chosen]
    except Unavailable as error:
        print(error, file=sys.stderr)
        return 1
    for section in sections:
        print(f"## {section.title}\n\n{section.markdown()}")
    if not options.quick:
        report.write(sections, whole=len(sections) == len(PARTS))
    return 0


if __name__ == "__main__":
    sys.exit(main())
