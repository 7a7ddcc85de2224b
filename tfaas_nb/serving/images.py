"""The addresses that answer pictures: a form with a PNG or JPEG file, as TFaaS takes it."""

from __future__ import annotations

from tfaas_nb.errors import FeatureError, RequestError
from tfaas_nb.serving.loaded_model import Model
from tfaas_nb.serving.messages import Request, Response
from tfaas_nb.serving.routes import Route
from tfaas_nb.serving.service import Service
from tfaas_nb.wire import image

MOST_IMAGE = 32 << 20


class Images:
    """Pictures in, labels out.

    Parameters
    ----------
    service : Service
        What answers.
    """

    def __init__(self, service: Service) -> None:
        self._service = service

    def routes(self) -> tuple[Route, ...]:
        """All addresses; the longer one is TFaaS's second name."""
        return tuple(
            Route("POST", path, self._classify, MOST_IMAGE) for path in ("/image", "/predict/image")
        )

    def _classify(self, request: Request) -> Response:
        parts = request.parts()
        if "image" not in parts:
            raise RequestError(
                f"the form has no file 'image'; it has {sorted(parts)}: send image and model"
            )
        name = parts["model"].text().strip() if "model" in parts else None
        model = self._service.model(name or request.head.option("model"))
        canvas = _canvas(model)
        sent = parts["image"]
        outputs = model.run({canvas.tensor.name: canvas.pixels(sent.content)})
        scores = model.engine.signature.joined(outputs)[0]
        return Response(image.encode_labels(sent.file_name or "", model.bundle.labels, scores))


def _canvas(model: Model) -> image.Canvas:
    try:
        return image.Canvas.of(model.engine.signature, model.bundle.params.img_channels)
    except FeatureError as error:
        raise FeatureError(f"model {model.stored.name!r}: {error}") from error
