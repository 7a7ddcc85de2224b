"""Reference to a model by its name, with an optional version or label."""

from __future__ import annotations

import re
from dataclasses import dataclass

# A number has one spelling: 03 is no second name of version 3.
_PATTERN = re.compile(
    r"(?P<name>[^/]+)(?:/versions/(?P<version>0|[1-9][0-9]{0,17})|/labels/(?P<label>[^/]+))?"
)


@dataclass(frozen=True)
class Reference:
    """A model by ``NAME`` (its latest version), ``NAME/versions/3`` or ``NAME/labels/LABEL``.

    Attributes
    ----------
    name : str
        Name of the model.
    version : int or None
        The version wanted.
    label : str or None
        The label whose version is wanted.
    """

    name: str
    version: int | None = None
    label: str | None = None

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Read a reference; what is none is taken as a name, which no model has."""
        found = _PATTERN.fullmatch(text)
        if not found:
            return cls(text)
        version = found["version"]
        return cls(found["name"], None if version is None else int(version), found["label"])

    @property
    def parts(self) -> tuple[str, ...]:
        """Parts between the slashes, each to be quoted by itself in an address."""
        if self.version is not None:
            return (self.name, "versions", str(self.version))
        return (self.name,) if self.label is None else (self.name, "labels", self.label)

    def __str__(self) -> str:
        return "/".join(self.parts)
