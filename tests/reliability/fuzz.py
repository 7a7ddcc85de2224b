"""Fuzzing of the decoders: inputs by the million.

``python -m tests.reliability.fuzz DECODER... --inputs N`` needs nothing but this package.  With
``--guided`` and ``pip install atheris``, libFuzzer chooses the inputs by what they reach and keeps
those that reach something new in ``--corpus FOLDER``; of these, ``--minimise`` makes the committed
corpus: few and small ones that reach all steps from line to line that the seeds do not.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from types import CodeType, FrameType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.reliability.decoders import Decoder

CORPUS = Path(__file__).parent / "corpus"
#: Bytes of an input that is kept, and of all of a decoder.
_MOST_KEPT, _MOST_CORPUS = 3000, 14_000


def corpus(name: str) -> list[bytes]:
    """Committed inputs of a decoder."""
    return [path.read_bytes() for path in sorted((CORPUS / name).glob("*"))]


def inputs(name: str, count: int, seed: int = 1) -> Iterator[bytes]:
    """The seeds and the corpus of a decoder, and what is made of them.

    Parameters
    ----------
    name : str
        The decoder.
    count : int
        How many to make.
    seed : int
        The same inputs come of the same one.
    """
    from tests.reliability.decoders import DECODERS

    decoder = DECODERS[name]
    random = Random(f"{name} {seed}")
    known = [*decoder.seeds(), *corpus(name)]
    yield from known
    for _ in range(count):
        data = random.choice(known)
        for _ in range(random.choice((1, 1, 2))):
            data = decoder.mutate(random, data)
        yield data


def run(name: str, count: int, seed: int = 1) -> tuple[int, int]:
    """Try inputs; how many there were, and how many of them were decoded.

    Raises
    ------
    Finding
        At the first that does what none may.
    """
    from tests.reliability.decoders import DECODERS, Finding, watched

    tried = decoded = 0
    with watched() as check:
        for data in inputs(name, count, seed):
            tried += 1
            decoded += DECODERS[name].tried(data)
            try:
                check()
            except Finding as error:
                raise Finding(f"{error}: {data[:1000]!r}") from None
    return tried, decoded


def main() -> None:
    """Fuzz as the command line says."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("decoder", nargs="*")
    asked.add_argument("--inputs", type=int, default=1_000_000)
    asked.add_argument("--seed", type=int, default=1)
    asked.add_argument("--guided", action="store_true")
    asked.add_argument("--minimise", action="store_true")
    asked.add_argument("--corpus", type=Path, default=Path("build/fuzz"))
    options = asked.parse_args()
    if options.guided:
        (name,) = options.decoder
        _guided(name, options)
        return
    from tests.reliability.decoders import DECODERS

    for name in options.decoder or DECODERS:
        if options.minimise:
            print(f"{name}: {minimise(name, options.corpus / name)} inputs kept", flush=True)
            continue
        began = time.perf_counter()
        tried, decoded = run(name, options.inputs, options.seed)
        took = time.perf_counter() - began
        print(f"{name}: {tried} inputs, {decoded} decoded, {took:.0f} s", flush=True)


def minimise(name: str, found: Path) -> int:
    """Make the committed corpus of a decoder out of a folder of inputs; how many were kept.

    Parameters
    ----------
    name : str
        The decoder.
    found : path
        Inputs; the committed ones are looked at as well.
    """
    from tests.reliability.decoders import DECODERS

    decoder = DECODERS[name]
    seeds = decoder.seeds()
    for data in seeds:  # what is done once only is done now
        _steps(decoder, data)
    reached: set[Step] = set().union(*(_steps(decoder, data) for data in seeds))
    candidates = {*corpus(name), *(p.read_bytes() for p in found.glob("*") if p.is_file())}
    kept: list[bytes] = []
    for data in sorted((c for c in candidates if len(c) <= _MOST_KEPT), key=lambda c: (len(c), c)):
        new = _steps(decoder, data) - reached
        if new and sum(map(len, kept)) + len(data) <= _MOST_CORPUS:
            reached |= new
            kept.append(data)
    shutil.rmtree(CORPUS / name, ignore_errors=True)
    for data in kept:
        (CORPUS / name).mkdir(parents=True, exist_ok=True)
        (CORPUS / name / hashlib.sha256(data).hexdigest()[:12]).write_bytes(data)
    return len(kept)


#: A piece of code, the line that ran and the one that ran next.
Step = tuple[CodeType, int, int]


def _steps(decoder: Decoder, data: bytes) -> set[Step]:
    """The steps within this package that an input takes."""
    steps: set[Step] = set()

    def trace(frame: FrameType, event: str, argument: object) -> Any:
        code = frame.f_code
        if "/tfaas_nb/" not in code.co_filename:
            return None
        last = 0

        def line(frame: FrameType, event: str, argument: object) -> Any:
            nonlocal last
            if event == "line":
                steps.add((code, last, frame.f_lineno))
                last = frame.f_lineno
            return line

        return line

    sys.settrace(trace)
    try:
        decoder.tried(data)
    finally:
        sys.settrace(None)
    return steps


def _guided(name: str, options: argparse.Namespace) -> None:
    import atheris  # type: ignore[import-not-found,unused-ignore]

    with atheris.instrument_imports(include=["tfaas_nb"]):
        from tests.reliability.decoders import DECODERS, Finding, watched
    decoder = DECODERS[name]
    folder = options.corpus / name
    folder.mkdir(parents=True, exist_ok=True)
    seeds = [*decoder.seeds(), *corpus(name)]
    for i, data in enumerate(seeds):
        (folder / f"seed{i}").write_bytes(data)
    watching = watched()
    check = watching.__enter__()

    found: set[str] = set()

    def test(data: bytes) -> None:
        try:
            decoder.tried(data)
            check()
        except Finding as error:
            if str(error)[:60] not in found:  # and go on: the next one may be another
                found.add(str(error)[:60])
                path = options.corpus / f"{name}-finding{len(found)}"
                path.write_bytes(data)
                print(f"{path}: {error}", flush=True)

    def mutate(data: bytes, most: int, seed: int) -> bytes:
        random = Random(seed)
        if random.random() < 0.05 or not data:
            data = random.choice(seeds)
        return decoder.mutate(random, data)[:most]

    libfuzzer = [sys.argv[0], "-max_len=65536", "-timeout=200", "-rss_limit_mb=3000"]
    libfuzzer += [f"-runs={options.inputs}", f"-seed={options.seed}", "-print_final_stats=1"]
    libfuzzer += ["-len_control=0", f"-artifact_prefix={folder}-"]
    atheris.Setup([*libfuzzer, str(folder)], test, custom_mutator=mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
