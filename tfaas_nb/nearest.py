"""The name that somebody probably meant; never one of another observable."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence

_CUTOFF = 0.6
#: The same where other keys than the known ones are none of our business.
_MUCH_ALIKE = 0.75
_MOST_KEYS = 20
#: Of a name that was asked for, which may come from strangers.
_MOST_LETTERS = 100
_NUMBER = re.compile(r"\d+")
#: The words of a name: ``jetMassSoftDrop``, ``MET_pt``, ``log_pT_0``.
_WORD = re.compile(r"p[Tt](?![a-z])|m[Ss][Dd](?![a-z])|[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[A-Z]")
#: Words of names, in small letters, that are observables, directions of variations, or what is
#: counted; those of one line mean the same.
_OBSERVABLES = {
    word: line[0]
    for line in (
        *(("pt",), ("px",), ("py",), ("pz",), ("eta",), ("phi",), ("mass", "m"), ("msd",)),
        *(("energy", "e"), ("charge",), ("et",), ("ht",), ("met",), ("tau",), ("rho",)),
        *(("up",), ("down",), ("min",), ("max",), ("signal",), ("background",)),
        *(("jet", "jets"), ("lepton", "leptons", "lep"), ("photon", "photons")),
        *(("electron", "electrons", "ele"), ("muon", "muons", "mu"), ("taus",)),
        *(("vertex", "vertices"), ("run", "runs"), ("event", "events", "evt")),
    )
    for word in line
}
_INDEX = re.compile(r"_\d+$")


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name most like this one that can mean the same, or None.

    Names of which numbers differ mean different things: τ₂/τ₁ is no misspelt τ₃/τ₂, and one
    trigger no other one.  But the number of a jet at the end (``jetPt_7``) may be missing or
    another one, and a digit may have been typed twice; `only_number_differs` tells of both.
    Nor is the name of one observable that of another: ``MET_pt`` is no misspelt ``MET_phi``.
    """
    return _nearest(name[:_MOST_LETTERS], list(dict.fromkeys(known)), _CUTOFF)


def _nearest(name: str, names: Sequence[str], cutoff: float) -> str | None:
    for one in names:
        if _folded(one) == _folded(name):
            return one
    names = [one for one in names if not _is_of_another(one, name)]
    for may_mean in (_has_numbers_of, _has_stem_of):
        alike = [one for one in names if may_mean(one, name)]
        if found := difflib.get_close_matches(name, alike, n=_MOST_KEYS, cutoff=cutoff):
            ratio = _likeness(found[0], name)
            return next(one for one in alike if one in found and _likeness(one, name) == ratio)
    return None


def _likeness(known: str, name: str) -> float:
    """Return the ratio by which `difflib.get_close_matches` orders names."""
    return difflib.SequenceMatcher(None, known, name).ratio()


def only_number_differs(name: str, near: str) -> bool:
    """Return True if a name differs from the nearest one in a number that it has."""
    return _numbers(name) != _numbers(near) and bool(_INDEX.search(name) or _repeats(name, near))


def note(name: str, near: str) -> str:
    """The words that a suggestion needs besides: empty, or that another number is meant."""
    return ", of another number" if only_number_differs(name, near) else ""


def hint(name: str, known: Iterable[str]) -> str:
    """The end of an error message: the nearest name, or nothing."""
    near = nearest(name, known)
    return "" if near is None else f"; the nearest name is {near!r}{note(name, near)}"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return the nearest name as a question in brackets; empty if there is none."""
    near = nearest(name, known)
    return "" if near is None else f" (did you mean {near!r}{note(name, near)}?)"


def unknown_keys(keys: Iterable[object], known: Sequence[str]) -> str:
    """The words for keys of a mapping that nothing reads; empty if there are none."""
    unknown = [key for key in keys if key not in known]
    listed = ", ".join(
        f"{key!r}{did_you_mean(str(key), [k for k in known if k not in keys])}"
        for key in unknown[:_MOST_KEYS]
    )
    return f"unknown {listed}; known are {', '.join(known)}" if unknown else ""


def misspelt(keys: Iterable[object], known: Sequence[str]) -> str:
    """The words for a key that is much like a known one which is not there; empty if none is.

    For requests and files of others, which may have keys for other programs.
    """
    there = list(keys)
    absent = [key for key in known if key not in there]
    for key in [key for key in there if key not in known][:_MOST_KEYS]:
        if near := _nearest(str(key)[:_MOST_LETTERS], absent, _MUCH_ALIKE):
            return f"unknown key {key!r} (did you mean {near!r}?)"
    return ""


def _folded(name: str) -> str:
    """Letters and digits as those see them who do not care how names are written."""
    return re.sub(r"[\W_]", "", name).casefold()


def _is_of_another(known: str, name: str) -> bool:
    """Return True if each of two names has a word for an observable that the other lacks."""
    one, other = _observables(known), _observables(name)
    return bool(one - other and other - one)


def _observables(name: str) -> set[str]:
    words = (word.casefold() for word in _WORD.findall(name))
    return {_OBSERVABLES[word] for word in words if word in _OBSERVABLES}


def _numbers(name: str) -> list[str]:
    return _NUMBER.findall(name)


def _stem(name: str) -> str:
    """Remove the number at the end."""
    return _INDEX.sub("", name)


def _has_numbers_of(known: str, name: str) -> bool:
    return _numbers(known) == _numbers(name)


def _has_stem_of(known: str, name: str) -> bool:
    same = _numbers(_stem(known)) == _numbers(_stem(name))
    return (same and bool(_INDEX.search(known))) or _repeats(name, known)


def _repeats(name: str, known: str) -> bool:
    """Return True if the name has a digit twice that the known one has once."""
    typed, meant = _numbers(name), _numbers(known)
    return len(typed) == len(meant) and all(
        a == b or (len(b) == 1 and a == b + b) for a, b in zip(typed, meant, strict=True)
    )
