"""Choose files of signal and background, see what is in them, select events, load them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

import ipywidgets
import traitlets

from tfaas_nb import plots
from tfaas_nb.call_arguments import checked_calls
from tfaas_nb.data.counting import Count, count
from tfaas_nb.data.dataset import Dataset
from tfaas_nb.data.inspection import Inspection, inspect
from tfaas_nb.data.root import load_telling, stream_telling
from tfaas_nb.data.sample import sample_files
from tfaas_nb.data.stream import MEMORY, Stream
from tfaas_nb.errors import DataError, TfaasError
from tfaas_nb.features import TTBAR_ALL_HADRONIC, FeatureSet
from tfaas_nb.table import Table, folded
from tfaas_nb.widgets import paths
from tfaas_nb.widgets.asked import Asked, check_expression, mapping_in
from tfaas_nb.widgets.background import Background
from tfaas_nb.widgets.field import NumberField, TextField
from tfaas_nb.widgets.latest import IsOver, Latest
from tfaas_nb.widgets.panel import LABELS, WIDE, WRAPPED, Panel, check_events, offer
from tfaas_nb.widgets.path_field import PathField

#: Labels of one width where fields stand below each other.
_ALIGNED = {"description_width": "8.5em"}
_INDENTED = {"margin": "2px 2px 2px calc(8.5em + 10px)"}
#: As wide as the panel, less the margins that each control has.
_FIELD = {"width": "calc(100% - 4px)", "max_width": "56em"}
_SIZE = (8.0, 5.2)  # inches
_ANY_TREE = "found by itself"
#: Seconds between two numbers shown while events are counted or read.
_EVERY = 0.25
_NOTHING_PASSED = (
    "No event was loaded: the files have none, or none passes the selection. Write another "
    "selection and load again."
)


#: Ways to treat values that are not finite, as the control offers them.
_ON_NAN = [
    ("are an error", "error"),
    ("leave the events out", "skip"),
    ("take the jet, or the value, as absent", "pad"),
]


class _Cancelled(Exception):
    """The person does not want to wait any longer."""


@checked_calls(DataError)
class DataPanel(Panel):
    """Files of signal and background, what they hold, and the events that are loaded of them.

    Parameters
    ----------
    data : Dataset or Stream, optional
        Events to show at first.
    features : FeatureSet, optional
        What is read.

    Attributes
    ----------
    data : Dataset, Stream or None
        What was loaded; can be observed, in the thread that loaded it.  It is a `Stream` where
        files are larger than memory; then features are drawn of its sample.
    signal, background : PathField
        Paths, globs and addresses, between commas; completed as they are typed.
    sample_button : ipywidgets.Button
        Names the packaged sample.
    tree : ipywidgets.Dropdown
        Which tree.
    branches : TextField
        Where a variable stands, if the layout does not tell.
    nearest_button : ipywidgets.Button
        Takes the nearest names for variables that are missing.
    inspected : ipywidgets.HTML
        What the files hold.
    cut, weight : TextField
        Selection and event weight.
    skip : ipywidgets.Checkbox
        Go on without files that cannot be read.
    on_nan : ipywidgets.Dropdown
        What becomes of events with values that are not finite.
    optional : ipywidgets.Text
        Branches that some files may lack.
    stream : ipywidgets.Checkbox
        Read events when they are needed, for files larger than memory.
    memory : NumberField
        Megabytes of events in memory then.
    counts : ipywidgets.HTML
        How many events pass, or what is wrong with the selection.
    load_button, cancel_button : ipywidgets.Button
        Begin and end reading.
    progress : ipywidgets.FloatProgress
        Files read.
    loaded : ipywidgets.HTML
        What `data` is.
    feature : ipywidgets.Dropdown
        Whose distribution is drawn.
    picture : ipywidgets.HTML
        Signal against background.

    Notes
    -----
    Files are looked at in threads, which end with their work; `wait` waits for them.
    """

    data = traitlets.Union(
        [traitlets.Instance(Dataset), traitlets.Instance(Stream)],
        default_value=None,
        allow_none=True,
    )

    def __init__(
        self, data: Dataset | Stream | None = None, features: FeatureSet = TTBAR_ALL_HADRONIC
    ) -> None:
        check_events(data, "DataPanel")
        self.features = data.features if data is not None else features
        self._look = Latest("look at files")
        self._draw = Latest("draw a feature", 0.0)
        self._background = Background("load")
        self._cancelled = self._loading = self._counting = False
        self._inspected: tuple[Any, dict[str, str]] | None = None
        self.signal, self.background = (
            PathField(
                description=f"{role} files",
                placeholder="path, glob or root:// address; several between commas",
                style=_ALIGNED,
                layout=_FIELD,
            )
            for role in ("Signal", "Background")
        )
        self.sample_button = ipywidgets.Button(
            description="Use the packaged sample", layout={**WIDE, **_INDENTED}
        )
        self.tree = ipywidgets.Dropdown(
            description="Tree", options=[(_ANY_TREE, "")], style=_ALIGNED, layout={"width": "22em"}
        )
        self.branches = TextField(
            *("", mapping_in),
            continuous_update=True,
            description="Branches, if not found",
            placeholder="variable = branch, …",
            style=LABELS,
            layout={"width": "36em"},
        )
        self.nearest_button = ipywidgets.Button(
            description="Take the nearest names", layout={**WIDE, "display": "none"}
        )
        self.inspected = ipywidgets.HTML()
        self.cut = TextField(
            *("", check_expression),
            continuous_update=True,
            description="Selection",
            placeholder="nJets >= 2 & jetPt_0 > 400; empty takes all events",
            style=_ALIGNED,
            layout=_FIELD,
        )
        self.weight = TextField(
            *("", partial(check_expression, what="weight")),
            continuous_update=True,
            description="Event weight",
            placeholder="a branch or an expression, such as genWeight; empty is 1",
            style=_ALIGNED,
            layout={"width": "40em"},
        )
        self.skip = ipywidgets.Checkbox(
            description="Go on without files that cannot be read", indent=False, layout=WIDE
        )
        self.on_nan = ipywidgets.Dropdown(
            description="Values that are not finite",
            options=_ON_NAN,
            style=LABELS,
            layout={"width": "32em"},
        )
        self.optional = ipywidgets.Text(
            description="Branches that some files lack",
            placeholder="HLT_A, HLT_B; they are 0 there",
            style=LABELS,
            layout={"width": "36em"},
        )
        self.stream = ipywidgets.Checkbox(
            description="The files are larger than memory: read events when they are needed",
            indent=False,
            layout={**WIDE, **_INDENTED},
        )
        self.memory = NumberField(
            MEMORY,
            unit="MB",
            min=1.0,
            max=1e6,
            step=64.0,
            description="Megabytes of events at a time",
            style=LABELS,
            layout={"width": "20em", "display": "none"},
        )
        self.counts = ipywidgets.HTML()
        self.load_button = ipywidgets.Button(
            description="Load events", button_style="primary", layout=WIDE
        )
        self.cancel_button = ipywidgets.Button(description="Cancel", disabled=True, layout=WIDE)
        self.progress = ipywidgets.FloatProgress(
            description="Read", style=LABELS, layout={"width": "24em", "display": "none"}
        )
        self.loaded = ipywidgets.HTML()
        self.feature = ipywidgets.Dropdown(
            description="Feature", style=LABELS, layout={"width": "24em", "display": "none"}
        )
        self.picture = ipywidgets.HTML()
        self.arguments = {
            "tree": self.tree,
            "branches": self.branches,
            "cut": self.cut,
            "weight": self.weight,
            "on_error": self.skip,
            "on_nan": self.on_nan,
            "optional": self.optional,
            "stream": self.stream,
            "memory": self.memory,
        }
        rows = [
            [self.sample_button],
            [self.tree, self.branches, self.nearest_button],
            [self.weight, self.skip, self.on_nan, self.optional],
            [self.stream, self.memory],
            [self.load_button, self.cancel_button, self.progress],
        ]
        first, named, weighted, streamed, loading = (
            ipywidgets.Box(row, layout=WRAPPED) for row in rows
        )
        drawn = ipywidgets.VBox([self.feature, self.picture])
        super().__init__(
            [
                *(self.signal, self.background, first, named, self.inspected),
                *(self.cut, weighted, streamed, self.counts, loading),
                ipywidgets.Box(
                    [drawn, self.loaded],
                    layout={**WRAPPED, "align_items": "flex-start", "grid_gap": "0 16px"},
                ),
            ]
        )
        self.tell_below(loading)
        for paths_field in (self.signal, self.background):
            paths_field.observe(self._changed, "value")
        typed = (self.tree, self.branches, self.cut, self.weight)
        for control in (*typed, self.skip, self.on_nan, self.optional):
            control.observe(self._changed, "value")
        self.stream.observe(lambda change: self._show_memory(change["new"]), "value")
        self.sample_button.on_click(lambda _: self.use_sample())
        self.nearest_button.on_click(self._take_nearest)
        self.load_button.on_click(self._load)
        self.cancel_button.on_click(lambda _: self.cancel())
        self.feature.observe(self._show_feature, "value")
        if data is not None:
            self.use(data)

    def use_sample(self) -> None:
        """Name the files of the packaged sample."""
        self.signal.value, self.background.value = sample_files()

    def use(self, data: Dataset | Stream) -> None:
        """Take events that were loaded elsewhere; of a stream a part is read, to be shown."""
        shown = data._repr_html_()
        if isinstance(data, Stream):
            shown += folded("Ranges of the features, of events drawn at random", data.describe())
        self.loaded.value = shown
        self.data = data
        offer(self.feature, data.features.names)
        self.feature.layout.display = None
        self._show_feature(None)

    def asked(self) -> Asked:
        """Return the contents of the fields now."""
        fields = {"signal": self.signal, "background": self.background}
        named = {role: paths.split(field.value) for role, field in fields.items()}
        return Asked(
            {role: files for role, files in named.items() if files},
            self.features,
            self.tree.value or None,
            self.branches.value,
            self.cut.value.strip(),
            self.weight.value.strip(),
            "skip" if self.skip.value else "stop",
            float(self.memory.value or MEMORY) if self.stream.value else None,
            self.on_nan.value,
            self.optional.value,
        )

    def load(self) -> None:
        """Read the events that the fields ask for; returns when they are there."""
        if self._refuses_fields():
            return
        self._begin()
        self._load_asked(self.asked())

    def cancel(self) -> None:
        """End reading and counting; what was loaded before stays."""
        self._cancelled = True
        self._look.cancel()

    def wait(self, seconds: float | None = None) -> bool:
        """Block until nothing is being looked at, loaded or drawn; returns whether it is so."""
        workers = (self.signal, self.background, self._look, self._background, self._draw)
        return all(worker.wait(seconds) for worker in workers)

    def close(self) -> None:
        """End all controls and what is under way; the events stay with whoever has them."""
        self._cancelled = True
        for worker in (self._look, self._background, self._draw):
            worker.close()
        super().close()

    def _changed(self, _: Any) -> None:
        for field in (self.signal, self.background):
            field.marked = False
        asked = self.asked()
        self._look.ask(lambda is_over: self._look_at(asked, is_over))

    def _look_at(self, asked: Asked, is_over: IsOver) -> None:
        """Show what is in the files that are asked for, and how many events pass."""
        if not asked.files:
            self.inspected.value = self.counts.value = ""
            return
        self._counting = True
        self._show_busy()
        try:
            self._inspect(asked)
            self._count(asked, is_over)
        except TfaasError as error:
            self.counts.value = "" if is_over() else _alert(self.in_fields(str(error)))
        except Exception as error:  # a person who types has no traceback to read
            self.counts.value = _alert(
                f"that failed unexpectedly ({type(error).__name__}: {error})"
            )
        finally:
            self._counting = False
            self._show_busy()

    def _count(self, asked: Asked, is_over: IsOver) -> None:
        shown = time.monotonic()
        for found in count(asked.files, asked.reading(), asked.on_error):
            if is_over():
                self.counts.value = _counts(asked, found, "Counting was ended.")
                return
            if time.monotonic() > shown + _EVERY:
                shown = time.monotonic()
                self.counts.value = _counts(asked, found, "Counting …")
        self.counts.value = _counts(asked, found)

    def _inspect(self, asked: Asked) -> None:
        key = asked.files, asked.tree, asked.branches, asked.features, asked.optional
        if self._inspected and self._inspected[0] == key:
            return
        self._inspected = None
        shown: list[str] = []
        trees: list[str] = []
        near: dict[str, str] = {}
        for role, files in asked.files.items():
            with self._marked_on_error(role):
                found = inspect(
                    files,
                    asked.features,
                    asked.tree,
                    branches=asked.inspected(),
                    optional=asked.absent(),
                )
            shown.append(_inspection(role, found, self.in_fields(found.summary)))
            trees += [tree.name for tree in found.trees if tree.name not in trees]
            near |= {one.variable: one.nearest for one in found.missing if one.nearest}
        self.inspected.value = "".join(shown)
        self._inspected = key, near
        self.nearest_button.layout.display = None if near else "none"
        self._offer_trees(trees)

    @contextmanager
    def _marked_on_error(self, role: str) -> Iterator[None]:
        try:
            yield
        except TfaasError:
            getattr(self, role).marked = True
            raise

    def _offer_trees(self, trees: list[str]) -> None:
        options = [(_ANY_TREE, ""), *((name, name) for name in trees)]
        if self.tree.value and self.tree.value not in trees:
            # It stays chosen until a person chooses another, which must be offered.
            options.append((f"{self.tree.value} (not in these files)", self.tree.value))
        if list(self.tree.options) != options:
            chosen = self.tree.value
            self.tree.options = options
            self.tree.value = chosen

    def _take_nearest(self, _: Any) -> None:
        with self.errors_in_words():
            near = self._inspected[1] if self._inspected else {}
            mapping = {**self.asked().mapping(), **near}
            self.branches.value = ", ".join(f"{v} = {b}" for v, b in mapping.items())

    def _load(self, _: Any) -> None:
        if self._refuses_fields():
            return
        asked = self.asked()
        self._begin()
        self._background.run(lambda: self._load_asked(asked))

    def _refuses_fields(self) -> bool:
        """Return True, and say why, if a field that counts is marked."""
        fields = [self.branches, self.cut, self.weight]
        return self.refuses([*fields, self.memory] if self.stream.value else fields)

    def _begin(self) -> None:
        self._cancelled, self._loading = False, True
        self._show_busy()

    def _show_busy(self) -> None:
        self.load_button.disabled = self._loading
        self.cancel_button.disabled = not (self._loading or self._counting)

    def _load_asked(self, asked: Asked) -> None:
        self.progress.value, self.progress.layout.display = 0.0, None
        self.say("Reading …")
        started = time.monotonic()
        typed = (self.signal, self.background, self.tree, self.branches, self.cut, self.weight)
        others = (self.skip, self.on_nan, self.optional, self.stream, self.memory)
        with self.errors_in_words(*typed, *others):
            try:
                missing = [role for role in ("signal", "background") if role not in asked.files]
                for role in missing:
                    getattr(self, role).marked = True
                if missing:
                    raise DataError(
                        f"name files of {' and '.join(missing)} first, "
                        "or press “Use the packaged sample”"
                    )
                data = self._read(asked)
                self.use(data)
                took = time.monotonic() - started
                what = "loaded" if asked.memory is None else "found, to be read when needed,"
                told = f"{len(data)} events {what} in {took:.1f} s."
                self.say(told if len(data) else _NOTHING_PASSED)
            except _Cancelled:
                self.say("Reading was cancelled; nothing was loaded.")
        self.progress.layout.display = "none"
        self._loading = False
        self._show_busy()

    def _read(self, asked: Asked) -> Dataset | Stream:
        files = asked.files["signal"], asked.files["background"]
        if asked.memory is None:
            return load_telling(*files, asked.reading(), asked.on_error, self._told)
        return stream_telling(*files, asked.reading(), asked.on_error, asked.memory, self._told)

    def _told(self, done: float, all_of_them: int) -> None:
        if self._cancelled:
            raise _Cancelled
        self.progress.max, self.progress.value = float(all_of_them), float(done)

    def _show_memory(self, shown: bool) -> None:
        self.memory.layout.display = None if shown else "none"

    def _show_feature(self, _: Any) -> None:
        data, name = self.data, self.feature.value
        if data is None or name is None:
            return
        if isinstance(data, Stream):
            data = data.sample

        def draw(is_over: IsOver) -> None:
            with self.errors_in_words():
                picture = plots.png(lambda ax: plots.feature(data, name, ax), _SIZE)
                if not is_over():
                    told = f"{name}: signal against background"
                    self.picture.value = plots.html_image(picture, told)

        self._draw.ask(draw)


def _inspection(role: str, found: Inspection, words: str) -> str:
    layout = f"{found.layout}, tree {found.tree}: " if found.tree else ""
    file = Path(found.file).name
    summary = escape(f"{role.capitalize()}, {file}: {layout}").rstrip(" :")
    told = "<br>".join(map(escape, words.splitlines()))
    is_open = "" if found.is_readable else " open"
    return (
        f"<details{is_open}><summary>{summary}. {told}</summary>"
        f'<div style="max-height:24em;overflow:auto">{found._repr_html_()}</div></details>'
    )


def _counts(asked: Asked, found: Mapping[str, Count], state: str = "") -> str:
    """HTML table of the numbers of events that pass the selection."""
    columns = ["", "events", "pass the selection", "fraction"]
    if asked.weight:
        columns.append("sum of weights")
    if any(one.skipped for one in found.values()):
        columns.append("files not read")
    rows = []
    for role, one in found.items():
        row: list[Any] = [role, one.entries, one.passed, f"{one.fraction:.2%}"]
        if asked.weight:
            row.append(f"{one.weight:.6g}")
        if len(columns) > len(row):
            row.append(one.skipped)
        rows.append(tuple(row))
    total, done = (
        sum(getattr(one, name) for one in found.values()) for name in ("files", "read_files")
    )
    caption = f"{state} {done} of {total} files were read." if state else ""
    return Table(tuple(columns), tuple(rows), caption)._repr_html_()


def _alert(text: str) -> str:
    return f'<div role="alert"><b>Error:</b> {escape(text)}</div>'
