"""ROC curves with a working point that can be moved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import ipywidgets

from tfaas_nb import plots
from tfaas_nb.client import Client
from tfaas_nb.data.dataset import Dataset
from tfaas_nb.evaluation import Evaluation
from tfaas_nb.metrics import WorkingPoint
from tfaas_nb.table import Table
from tfaas_nb.widgets.panel import LABELS, Panel, offer

_FIRST_EFFICIENCY = 0.5


class RocView(Panel):
    """ROC of one or more models on the same events, and what a cut on the score leaves.

    Parameters
    ----------
    evaluations : Evaluation or mapping of name to Evaluation
        What to show.

    Attributes
    ----------
    model : ipywidgets.Dropdown
        Whose working point the numbers are.
    efficiency : ipywidgets.FloatSlider
        Signal efficiency ε_S asked for.
    point : WorkingPoint or None
        The working point shown.
    numbers : ipywidgets.HTML
        ε_S, ε_B, threshold, 1/ε_B and S/√B.
    picture : ipywidgets.HTML
        The curves.
    """

    def __init__(self, evaluations: Evaluation | Mapping[str, Evaluation]) -> None:
        self.point: WorkingPoint | None = None
        self.model = ipywidgets.Dropdown(description="Working point of", style=LABELS)
        self.efficiency = ipywidgets.FloatSlider(
            _FIRST_EFFICIENCY,
            min=0.01,
            max=1.0,
            step=0.01,
            description="Signal efficiency ε_S",
            style=LABELS,
            continuous_update=False,
            layout=ipywidgets.Layout(width="32em"),
        )
        self.numbers = ipywidgets.HTML()
        self.picture = ipywidgets.HTML()
        controls = ipywidgets.HBox([self.model, self.efficiency])
        super().__init__([controls, self.numbers, self.picture])
        self._evaluations: dict[str, Evaluation] = {}
        self.model.observe(self._changed, "value")
        self.efficiency.observe(self._changed, "value")
        self.use(evaluations)

    @classmethod
    def of_models(
        cls, client: Client, data: Dataset, models: Sequence[str] | None = None
    ) -> RocView:
        """Served models on events of known class; by default all that the server has.

        Raises
        ------
        TfaasError
            If a model cannot score the events.
        """
        return cls(evaluate_models(client, data, models))

    def use(self, evaluations: Evaluation | Mapping[str, Evaluation]) -> None:
        """Show other evaluations."""
        named = {"model": evaluations} if isinstance(evaluations, Evaluation) else evaluations
        self._evaluations = dict(named)
        offer(self.model, list(named))
        self.show()

    def show(self) -> None:
        """Draw the curves and the working point as the controls say."""
        if self.model.value is None:
            self.point, self.numbers.value = None, "No model evaluated yet."
            return
        with self.errors_in_words():
            roc = self._evaluations[self.model.value].roc
            point = self.point = roc.working_point(self.efficiency.value)
            curves = {name: evaluation.roc for name, evaluation in self._evaluations.items()}
            self.numbers.value = _table(point)._repr_html_()
            drawn = plots.png(lambda ax: plots.roc(curves, ax, points={"Working point": point}))
            self.picture.value = plots.html_image(drawn, "ROC curves with the working point")

    def _changed(self, _: Any) -> None:
        self.show()


def evaluate_models(
    client: Client, data: Dataset, models: Sequence[str] | None = None
) -> dict[str, Evaluation]:
    """Evaluate served models on events of known class."""
    names = models or [m["name"] for m in client.describe_models() if "error" not in m]
    return {name: Evaluation.of(data, client.predict(name, data)) for name in names}


def _table(point: WorkingPoint) -> Table:
    warning = "few background events left" if point.is_uncertain else ""
    row = (
        f"{point.eps_s:.3f}",
        f"{point.eps_b:.5f}",
        f"{point.threshold:.5f}",
        f"{point.rejection:.0f} ± {point.rejection_error:.0f}",
        f"{point.significance:.1f}",
        warning,
    )
    return Table(("ε_S", "ε_B", "threshold", "1/ε_B", "S/√B", ""), (row,))
