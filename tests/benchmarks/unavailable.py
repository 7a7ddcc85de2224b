"""The one error of the benchmarks."""

from __future__ import annotations


class Unavailable(Exception):
    """Something cannot be measured on this machine; its text says why."""
