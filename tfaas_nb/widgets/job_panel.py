"""A training on a cluster: its progress, live curves, and two ways to end it."""

from __future__ import annotations

import threading

import ipywidgets

from tfaas_nb.call_arguments import checked_calls
from tfaas_nb.errors import TrainingError
from tfaas_nb.training_job import CANCELLED, ENDED, TrainingJob
from tfaas_nb.widgets.live_curve import Curve, picture
from tfaas_nb.widgets.panel import LABELS, WIDE, WRAPPED, Panel


@checked_calls(TrainingError)
class JobPanel(Panel):
    """Panel of a training on a cluster: its progress, its curves, and buttons to end it.

    The job goes on when the panel is closed.

    Parameters
    ----------
    job : TrainingJob
        From `tfaas_nb.train_on`.

    Attributes
    ----------
    progress : ipywidgets.IntProgress
        Epochs done.
    state : ipywidgets.HTML
        The last epoch, and the time left.
    picture : ipywidgets.HTML
        Losses and AUC over epochs, the best epoch marked.
    stop_button, cancel_button : ipywidgets.Button
        End it with the best weights so far; or without a result.
    """

    def __init__(self, job: TrainingJob) -> None:
        self.job = job
        self._curve = Curve()
        self._begun = 0
        self._showing = threading.Lock()
        self.progress = ipywidgets.IntProgress(
            max=job.most_epochs, description="Epochs", style=LABELS, layout={"width": "24em"}
        )
        self.state = ipywidgets.HTML()
        self.stop_button = ipywidgets.Button(description="Stop, keep the best", layout=WIDE)
        self.cancel_button = ipywidgets.Button(description="Cancel", layout=WIDE)
        self.picture = ipywidgets.HTML()
        row = [self.stop_button, self.cancel_button, self.progress, self.state]
        buttons = ipywidgets.Box(row, layout=WRAPPED)
        super().__init__([buttons, self.picture])
        self.tell_below(buttons)
        self.stop_button.on_click(lambda _: self.stop())
        self.cancel_button.on_click(lambda _: self.cancel())
        self._forget = job.observe(self._show)
        self._show()

    def stop(self) -> None:
        """End the training; the best weights so far are kept."""
        self._end("Stopping …")
        self.job.stop()

    def cancel(self) -> None:
        """End the training without a result."""
        self._end("Cancelling …")
        threading.Thread(target=self.job.cancel, name="tfaas_nb-cancel", daemon=True).start()

    def close(self) -> None:
        """End all controls; the training goes on."""
        self._forget()
        super().close()

    def _end(self, words: str) -> None:
        self.stop_button.disabled = self.cancel_button.disabled = True
        self.say(words)

    def _show(self) -> None:
        """Show how far it is; called in the job's thread, once in the cell's."""
        with self._showing, self.errors_in_words():
            workers = self.job.workers
            if len(workers) != self._begun:
                self._begun = len(workers)
                self._curve = Curve()
                self._tell_worker(workers)
            for epoch in self.job.epochs[len(self._curve.epochs) :]:
                self._curve.add(epoch)
            self.progress.value = len(self._curve.epochs)
            if self.job.state in ENDED:
                self._show_end()
            elif self._curve.epochs:
                self._show_epochs()
            else:
                self.state.value = "Waiting for a worker …" if not workers else "Beginning …"

    def _tell_worker(self, workers: tuple[str, ...]) -> None:
        if len(workers) == 1:
            self.say(f"Training on worker {workers[0]}; the notebook stays usable.")
        else:
            self.say(
                f"Worker {workers[-2]} was lost: the training begins again on {workers[-1]}, "
                "with the same seed."
            )

    def _show_epochs(self) -> None:
        curve = self._curve
        self.state.value = curve.told(self.progress.max)
        if curve.is_due:
            began = curve.clock()
            self.picture.value = picture(curve.epochs, curve.best.number)
            curve.drawn(began)

    def _show_end(self) -> None:
        self.stop_button.disabled = self.cancel_button.disabled = True
        self.progress.layout.display = "none"
        self.state.value = ""
        if self.job.error:
            self.say(str(self.job.error), error=True)
        elif self.job.state == CANCELLED:
            self.say("Cancelled; there is no result.")
        else:
            history = self.job.history
            self.picture.value = picture(history.epochs, history.best)
            self.say(f"Trained: {history!r}. The bundle is the job's result().")
