"""Columns of a tree: the branches of a TTree with their leaves, or the fields of an RNTuple."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

#: What an RNTuple's header says of the role of a field.
_COLLECTION, _RECORD, _STREAMED = 1, 2, 4
_LISTS = re.compile(r"\b(vector|RVec|list|deque|(multi|unordered_)*(set|map)|array|bitset)\s*<")
_NUMBER = re.compile(r"(std::)?u?int\d+_t|float|double|bool")
_TEXT = re.compile(r"\b(basic_)?string\b|\bchar\b")
_FEW = 5
_NAMES = {"f": "float", "d": "double", "b": "int8_t", "B": "uint8_t", "?": "bool"}


class Column(NamedTuple):
    """A branch, one leaf of several, or a field.

    Attributes
    ----------
    path : str
        Its whole path.
    branch : uproot.TBranch or uproot.RField
        What it is read from.
    tree : uproot.TTree or uproot.RNTuple
        The tree that the branch is of: a friend's branches are not of the tree itself.
    leaf : str
        Name of the leaf, if the branch has several.
    others : tuple of str
        Other spellings of the path.
    """

    path: str
    branch: Any
    tree: Any
    leaf: str = ""
    others: tuple[str, ...] = ()

    @property
    def typename(self) -> str:
        """The C++ type of an event's values, as far as it is known."""
        if is_ntuple(self.tree):
            around = _lists_around(self.branch)
            return f"{'std::vector<' * around}{self.branch.typename}{'>' * around}"
        return _leaf_type(self.branch, self.leaf) if self.leaf else _typename(self.branch)

    @property
    def problem(self) -> str:
        """Reason for which the column cannot be read as numbers, by its type; empty if none."""
        if is_ntuple(self.tree):
            return _problem_of_field(self.branch)
        return _problem_of_branch(self.branch, self.leaf)


def is_ntuple(tree: Any) -> bool:
    """Return True if an object is an RNTuple rather than a TTree."""
    return bool(tree.classname == "ROOT::RNTuple")


def columns(tree: Any, prefix: str = "") -> list[Column]:
    """All columns of a tree, in the file's order, with a prefix to their paths."""
    if is_ntuple(tree):
        return _of_ntuple(tree)
    return list(_below(tree, tree, prefix))


def _below(holder: Any, tree: Any, prefix: str) -> Iterator[Column]:
    for branch in holder.branches:
        path = prefix + branch.name
        leaves = branch.member("fLeaves")
        if len(leaves) == 1:
            yield Column(path, branch, tree, "", _by_leaf(path, branch, leaves[0]))
        else:
            yield Column(path, branch, tree)
        if len(leaves) > 1:
            for leaf in leaves:
                name = leaf.member("fName")
                yield Column(f"{path.rstrip('.')}.{name}", branch, tree, name)
        if branch.branches:
            yield from _below(branch, tree, path + "/")


def _by_leaf(path: str, branch: Any, leaf: Any) -> tuple[str, ...]:
    """``branch.leaf``, where the only leaf is called otherwise than its branch."""
    if branch.classname != "TBranch":
        return ()
    name = leaf.member("fName")
    return () if name == branch.name else (f"{path}.{name}".replace("/", "."),)


def _typename(branch: Any) -> str:
    try:
        kind = str(_interpretation(branch).typename)
    except Exception:  # of a class that the file does not describe
        kind = "unknown"
    named = branch.member("fClassName", none_if_missing=True) or branch.title
    return str(named) if kind == "unknown" and named else kind


def _leaf_type(branch: Any, leaf: str) -> str:
    dtype = _dtype(branch)
    if dtype is None or dtype.names is None or leaf not in dtype.names:
        return "unknown"
    base, shape = dtype[leaf].base, dtype[leaf].shape
    sign = {"i": "int", "u": "uint"}.get(base.kind)
    kind = _NAMES.get(base.char) or f"{sign}{8 * base.itemsize}_t"
    jagged = "[]" if type(branch.interpretation).__name__ == "AsJagged" else ""
    return kind + jagged + "".join(f"[{length}]" for length in shape)


def _dtype(branch: Any) -> Any:
    """The NumPy type of a branch's numbers; None if it holds anything else."""
    interpretation = _interpretation(branch)
    content = getattr(interpretation, "content", interpretation)
    return getattr(content, "to_dtype", None)


def _interpretation(branch: Any) -> Any:
    from tfaas_nb.data.packed import interpretation

    try:
        found = interpretation(branch)
    except Exception:  # of a class that the file does not describe
        return None
    return None if isinstance(found, Exception) else found  # uproot returns why it has none


def _problem_of_branch(branch: Any, leaf: str) -> str:
    import uproot

    from tfaas_nb.data import baskets

    interpretation = _interpretation(branch)
    if isinstance(interpretation, uproot.interpretation.grouped.AsGrouped):
        return f"it consists of branches: name one of them, {_some(branch.branches)}"
    if why := baskets.problem(branch):
        return why
    dtype = _dtype(branch)
    if leaf:
        known = dtype is not None and dtype.names is not None and leaf in dtype.names
        return "" if known else f"uproot cannot read {_typename(branch)}"
    if len(branch.member("fLeaves")) > 1 and dtype is not None and dtype.names is not None:
        return f"it has several leaves: name one of them, {', '.join(dtype.names)}"
    try:
        form = interpretation.awkward_form(branch.file)
    except Exception:  # whatever uproot says of a type that it does not know
        return f"uproot cannot read {_typename(branch)}"
    return "" if _is_numbers(form) else f"it holds {_typename(branch)}, not numbers"


def _some(parts: Sequence[Any]) -> str:
    names = [part.name for part in parts[:_FEW]]
    return ", ".join(names) + (", ..." if len(parts) > _FEW else "")


def _is_numbers(form: Any) -> bool:
    """Return True if events have a number or a list of numbers."""
    if form.parameter("__array__") in ("string", "bytestring"):
        return False
    if form.is_list:
        form = form.content
        return bool(form.is_numpy and not form.inner_shape)
    return bool(form.is_numpy and len(form.inner_shape) < 2)


# RNTuples


def _of_ntuple(ntuple: Any) -> list[Column]:
    """Fields; parts of records also as NanoAOD's TTrees call them, ``FatJet_pt``."""
    parts = _in_records(ntuple)
    records = {path.partition(".")[0] for path in parts}
    top = [field for field in ntuple.fields if field.name not in records]
    taken = {field.name for field in top}
    plain: dict[str, list[str]] = {}
    for path in parts:
        plain.setdefault(path.replace(".", "_"), []).append(path)
    shown = {paths[0]: n for n, paths in plain.items() if n not in taken and len(paths) == 1}
    return [
        *(Column(field.name, field, ntuple) for field in top),
        *(
            Column(shown.get(path, path), field, ntuple, "", _spellings(path, field))
            for path, field in parts.items()
        ),
    ]


def _in_records(ntuple: Any) -> dict[str, Any]:
    """The fields of an RNTuple that are parts of records: path → field.

    From its header: uproot's own recursive list takes a second for a thousand fields.
    """
    kinds = ntuple.field_records
    parts = {}
    for i, own in enumerate(kinds):
        parent = own.parent_field_id
        if parent != i and kinds[parent].struct_role == _RECORD:
            field = ntuple.all_fields[i]
            if field.path is not None:  # a base class, or one of several types, has none
                parts[field.path] = field
    parents = {path.rpartition(".")[0] for path in parts}
    return {path: field for path, field in parts.items() if path not in parents}


def _spellings(path: str, field: Any) -> tuple[str, ...]:
    """Return the spellings of a path: of pairs and tuples also ROOT's ``p._1`` and ``p.second``."""
    if not any(part.isdigit() for part in path.split(".")):
        return (path,)
    roots = ".".join(f"_{part}" if part.isdigit() else part for part in path.split("."))
    before, _, number = path.rpartition(".")
    kind = field.parent.typename if number in ("0", "1") else ""
    ordinal = (f"{before}.{('first', 'second')[int(number)]}",) if "std::pair" in kind[:9] else ()
    return (path, roots, *ordinal)


def _lists_around(field: Any) -> int:
    """The number of lists, in one another, of the records that a field is part of."""
    found = 0
    while not field.top_level:
        field = field.parent
        found += field.record.struct_role == _COLLECTION or bool(field.record.repetition)
    return found


def _is_of_numbers(kind: str) -> bool:
    """Return True if a field is no variant, or a variant of numbers only."""
    match = re.fullmatch(r"std::variant<(.*)>", kind)
    if match is None:
        return "std::variant<" not in kind
    return all(_NUMBER.fullmatch(one.strip()) for one in match[1].split(","))


def _problem_of_field(field: Any) -> str:
    kind, role = field.typename, field.record.struct_role
    if role == _STREAMED:
        return f"uproot cannot read {kind}, which ROOT wrote whole"
    if role == _RECORD or not _is_of_numbers(kind):
        return f"it holds {kind}, not numbers"
    depth = len(_LISTS.findall(kind)) + _lists_around(field)
    if depth > 1 or _TEXT.search(kind):
        return f"it holds {Column('', field, field.ntuple).typename}, not numbers"
    return ""
