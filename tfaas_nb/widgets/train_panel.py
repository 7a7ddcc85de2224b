"""Train a classifier: settings, progress, live curves; what comes out is a normal object."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import ipywidgets
import traitlets

from tfaas_nb.bundle import Bundle, check_name
from tfaas_nb.call_arguments import checked_calls
from tfaas_nb.classifier import Classifier
from tfaas_nb.data.dataset import Dataset
from tfaas_nb.data.stream import Stream
from tfaas_nb.errors import DataError, TrainingError
from tfaas_nb.evaluation import Evaluation
from tfaas_nb.options import LARGEST_SEED
from tfaas_nb.serving.server import Server
from tfaas_nb.training import Epoch
from tfaas_nb.widgets.background import Background
from tfaas_nb.widgets.field import NumberField, TextField
from tfaas_nb.widgets.live_curve import Curve, counted, picture
from tfaas_nb.widgets.option_form import LOOKS, OptionForm, explained
from tfaas_nb.widgets.panel import (
    LABELS,
    WIDE,
    WRAPPED,
    Panel,
    Source,
    check_events,
    check_source,
    client_of,
)

_NO_EVENTS = "No events yet: load them first (in the dashboard, in the tab Data)."
_ENDED = {
    "finished": "all epochs are done",
    "early": "the validation loss did not become better any more",
    "interrupted": "stopped",
}


@checked_calls(DataError)
class TrainPanel(Panel):
    """Settings of a training, its progress, and what becomes of its classifier.

    Parameters
    ----------
    data : Dataset or Stream, optional
        Events of both classes; a part is kept for the test.
    source : Server or Client, optional
        Where a classifier can be sent to; a server of this kernel is started when it is not
        running.

    Attributes
    ----------
    data : Dataset, Stream or None
        What is trained on.
    result : Classifier or None
        What was trained last; can be observed, in the thread that trained it.
    evaluation : Evaluation or None
        Of `result` on the test events; can be observed, set after it.
    test : Dataset, Stream or None
        The test events, which the classifier has not seen.
    bundle : Bundle or None
        What was sent or saved last.
    sent : str
        Name of the model that was sent last; can be observed.
    running : bool
        Whether a training is under way; can be observed.
    options : OptionForm
        The classifier's settings; ``options.controls["epochs"].value = 5`` sets one.
    test_fraction, seed : NumberField
        Part of the events kept for the test; what decides everything random.
    start_button, stop_button : ipywidgets.Button
        Begin a training; end it with the best weights so far.
    progress : ipywidgets.IntProgress
        Epochs done.
    state : ipywidgets.HTML
        The last epoch, and the time left.
    picture : ipywidgets.HTML
        Losses and AUC over epochs, the best epoch marked.
    name, description : TextField, ipywidgets.Text
        Of the model.
    send_button, save_button : ipywidgets.Button
        Send it to the server, or write ``NAME.tar.gz``.

    Notes
    -----
    Training is done in a thread; `wait` waits for its end.
    """

    result = traitlets.Instance(Classifier, allow_none=True)
    evaluation = traitlets.Instance(Evaluation, allow_none=True)
    sent = traitlets.Unicode("")
    running = traitlets.Bool(False)

    def __init__(self, data: Dataset | Stream | None = None, source: Source | None = None) -> None:
        check_events(data, "TrainPanel")
        if source is not None:
            check_source(source, "TrainPanel(data, source)")
        self.source = source
        self.data: Dataset | Stream | None = None
        self.test: Dataset | Stream | None = None
        self.bundle: Bundle | None = None
        self._background = Background("train")
        self._stop = threading.Event()
        self._curve = Curve()
        self.events = ipywidgets.HTML(_NO_EVENTS)
        self.options = OptionForm()
        self.test_fraction = NumberField(
            0.3, min=0.05, max=0.9, step=0.05, description="Test fraction", **LOOKS
        )
        self.seed = NumberField(1, whole=True, min=0, max=LARGEST_SEED, description="Seed", **LOOKS)
        self._fields = (*self.options.controls.values(), self.test_fraction, self.seed)
        own = {"test": self.test_fraction, "seed": self.seed}
        self.arguments = {**self.options.controls, **own}
        self.start_button = ipywidgets.Button(
            description="Start training", button_style="primary", layout=WIDE
        )
        self.stop_button = ipywidgets.Button(
            description="Stop, keep the best", disabled=True, layout=WIDE
        )
        self.progress = ipywidgets.IntProgress(
            description="Epochs", style=LABELS, layout={"width": "24em", "display": "none"}
        )
        self.state = ipywidgets.HTML()
        self.picture = ipywidgets.HTML()
        self.name = TextField(
            *("ttbar", lambda text: check_name(text.strip())),
            description="Model name",
            style=LABELS,
            continuous_update=True,
        )
        self.description = ipywidgets.Text(
            description="Description",
            placeholder="a sentence for people",
            style=LABELS,
            layout={"width": "28em"},
        )
        self.send_button = ipywidgets.Button(
            description="Send to the server",
            layout={**WIDE, "display": "none" if source is None else None},
        )
        self.save_button = ipywidgets.Button(description="Save as .tar.gz", layout=WIDE)
        buttons = [self.start_button, self.stop_button, self.progress, self.state]
        model = [self.name, self.description, self.send_button, self.save_button]
        self._model = ipywidgets.Box(model, layout={**WRAPPED, "display": "none"})
        begin = ipywidgets.Box(buttons, layout=WRAPPED)
        form = ipywidgets.VBox(
            [
                self.options,
                explained(self.test_fraction, "part of the events that judges the result"),
                explained(self.seed, "the same seed gives the same split and the same network"),
            ],
            layout={"flex": "1 1 38em", "width": "auto"},
        )
        # Beside the form, or above it where the page is narrow; flex-end is then the top.
        seen = ipywidgets.Box(
            [form, self.picture],
            layout={"flex_flow": "row wrap-reverse", "align_items": "flex-end"},
        )
        super().__init__([self.events, begin, self._model, seen])
        self.tell_below(self._model)
        self._above = self.line_below(begin)
        self.start_button.on_click(lambda _: self.start())
        self.stop_button.on_click(lambda _: self.stop())
        self.send_button.on_click(lambda _: self._background.run(self.send))
        self.save_button.on_click(lambda _: self._background.run(self.save))
        if data is not None:
            self.use(data)

    def use(self, data: Dataset | Stream) -> None:
        """Train on these events from now on; what is trained already stays."""
        self.data = data
        self.forget_error(DataError)
        if isinstance(data, Stream):
            (background, signal), how = data.counts, ", read from the files in each epoch"
        else:
            background, signal, how = len(data.background), len(data.signal), ""
        self.events.value = f"To train on: {signal} signal and {background} background events{how}."

    def start(self) -> None:
        """Begin a training as the form says; the notebook stays usable."""
        if self.running:
            return
        if self.refuses(self._fields, self._above):
            self.options.reveal()
            return
        with self.errors_in_words(*self._fields, at=self._above):
            if self.data is None:
                raise DataError("there are no events to train on: load some first")
            if not len(self.data):
                raise DataError(
                    "no event passed the selection: there is nothing to train on; load events "
                    "with another selection"
                )
            data, options = self.data, self.options.values()
            classifier = Classifier(**options, seed=self.seed.value)
            fraction = float(self.test_fraction.value)
            self._stop.clear()
            self._show_running(True)
            self._background.run(lambda: self._train(classifier, data, fraction))

    def stop(self) -> None:
        """End the training; the best weights so far are kept."""
        self._stop.set()

    def wait(self, seconds: float | None = None) -> bool:
        """Block until what was clicked is done; returns whether it is."""
        return self._background.wait(seconds)

    def send(self) -> None:
        """Send the classifier to the server, under the name in the field."""
        with self.errors_in_words(self.name), _disabled(self.send_button, self.save_button):
            if self.source is None:
                raise TrainingError("there is no server to send it to: TrainPanel(data, server)")
            if self.refuses([self.name]):
                return
            bundle = self._bundled()
            if isinstance(self.source, Server) and not self.source.is_running:
                self.say("Starting the server …")
                self.source.start()
            self.say(f"Sending {bundle.name!r} …")
            version = client_of(self.source).upload(bundle)
            number = "" if version is None else f", version {version}"
            self.say(f"The server now serves {bundle.name!r}{number}.")
            self.sent = ""  # so that observers hear of the same name again
            self.sent = bundle.name

    def save(self, folder: str | Path = ".") -> None:
        """Write the classifier as ``NAME.tar.gz``."""
        with self.errors_in_words(self.name), _disabled(self.send_button, self.save_button):
            if self.refuses([self.name]):
                return
            bundle = self._bundled()
            path = bundle.save_archive(Path(folder) / f"{bundle.name}.tar.gz")
            self.say(f"Written: {path.resolve()}")

    def close(self) -> None:
        """End all controls and a training under way; the result stays with whoever has it."""
        self._stop.set()
        self._background.close()
        super().close()

    def _bundled(self) -> Bundle:
        if self.result is None:
            raise TrainingError("there is no classifier yet: start a training first")
        self.say("Freezing the network …")
        self.bundle = self.result.bundle(self.name.value.strip(), self.description.value.strip())
        return self.bundle

    def _show_running(self, running: bool) -> None:
        self.start_button.disabled, self.stop_button.disabled = running, not running
        self.running = running

    def _show_progress(self, shown: bool) -> None:
        self.progress.layout.display = None if shown else "none"
        self.state.value = ""

    def _train(self, classifier: Classifier, data: Dataset | Stream, fraction: float) -> None:
        self._curve = Curve()
        self.progress.max, self.progress.value = classifier.settings.epochs, 0
        self._show_progress(True)
        self.state.value = "The network is being built …"
        self.say("Training; the notebook stays usable.", at=self._above)
        try:
            with self.errors_in_words(*self._fields, at=self._above):
                self._fit(classifier, data, fraction)
        finally:
            self._show_progress(False)
            self._show_running(False)

    def _fit(self, classifier: Classifier, data: Dataset | Stream, fraction: float) -> None:
        training, test = data.split(fraction, classifier.settings.seed)
        try:
            classifier.fit(
                training, progress=False, on_epoch=self._after, should_stop=self._stop.is_set
            )
        except TrainingError:
            if self._stop.is_set() and not self._curve.epochs:
                self.say(
                    "Stopped before the first epoch ended: nothing was learned.", at=self._above
                )
                return
            raise
        history = classifier.history
        self.picture.value = picture(history.epochs, history.best)
        self.state.value = "The classifier is judged on the test events …"
        self.test, self.result = test, classifier
        self._model.layout.display = None
        evaluation = classifier.evaluate(test)
        self.say(
            f"Trained for {counted(len(history.epochs))} ({_ENDED[history.stopped]}); epoch "
            f"{history.best} was the best and is kept. On {len(test)} test events: AUC "
            f"{evaluation.roc.area}.",
            at=self._above,
        )
        self._show_progress(False)
        self.evaluation = evaluation

    def _after(self, epoch: Epoch) -> None:
        """Show an epoch."""
        curve = self._curve
        curve.add(epoch)
        self.progress.value = epoch.number
        self.state.value = curve.told(self.progress.max)
        if curve.is_due:
            began = curve.clock()
            self.picture.value = picture(curve.epochs, curve.best.number)
            curve.drawn(began)


@contextmanager
def _disabled(*buttons: ipywidgets.Button) -> Iterator[None]:
    for button in buttons:
        button.disabled = True
    try:
        yield
    finally:
        for button in buttons:
            button.disabled = False
