"""The application under uvicorn, to measure the worth of our own HTTP protocol.

Usage: python -m tests.benchmarks.under_uvicorn MODELS PORT
"""

from __future__ import annotations

import asyncio
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import uvicorn

from tfaas_nb.errors import TfaasError
from tfaas_nb.repository import Repository
from tfaas_nb.serving.app import App
from tfaas_nb.serving.messages import Head, Request, Response
from tfaas_nb.serving.security import Access
from tfaas_nb.serving.service import Service
from tfaas_nb.serving.shares import all_in


class Asgi:
    """ASGI 3 around the application, with nothing to spare."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        head = Head(scope["method"], scope["path"], scope["query_string"], dict(scope["headers"]))
        message = await receive()
        body = message["body"]
        while message.get("more_body"):
            message = await receive()
            body += message["body"]
        response = await self._respond(head, body)
        headers = [
            (b"content-type", response.content_type.encode()),
            (b"content-length", str(len(response.body)).encode()),
        ]
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        await send({"type": "http.response.body", "body": response.body})

    async def _respond(self, head: Head, body: bytes) -> Response:
        try:
            call = self._app.admit(head)
        except TfaasError as error:
            return self._app.refuse(error)
        answer: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
        call.answer(Request(head, body), answer.set_result)
        return await answer


if __name__ == "__main__":
    models, port = Path(sys.argv[1]), int(sys.argv[2])
    service = Service(Repository(models))
    service.load_all()
    uvicorn.run(
        Asgi(App(service, Access(None), all_in(ThreadPoolExecutor(2)))),
        port=port,
        http="httptools",
        loop="uvloop",
        lifespan="off",
        access_log=False,
        log_level="critical",
        server_header=False,
        date_header=False,
    )
