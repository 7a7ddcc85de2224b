"""``tfaas-nb serve``: a directory of models, until interrupted."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from tfaas_nb.errors import ServerError
from tfaas_nb.serving import option_values
from tfaas_nb.serving.security import READER_TOKEN_VARIABLE, TOKEN_VARIABLE

if TYPE_CHECKING:
    from tfaas_nb.serving.server import Server

T = TypeVar("T")


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Tell the command line of it."""
    serve = commands.add_parser("serve", help="serve a directory of models until interrupted")
    serve.add_argument("--host", default="127.0.0.1", help="address to listen on")
    serve.add_argument("--port", type=int, default=8083, help="port to listen on; 0 for any")
    serve.add_argument("--models", type=Path, default=Path("models"), help="directory of models")
    token = serve.add_mutually_exclusive_group()
    token.add_argument(
        "--token", help=f"token that clients must show; else ${TOKEN_VARIABLE}, else a random one"
    )
    token.add_argument(
        "--no-token",
        action="store_true",
        help="let everybody on this machine in, or with --client-ca all certificates, to read",
    )
    serve.add_argument(
        "--reader-token",
        action="append",
        default=[],
        metavar="TOKEN",
        help="token of clients that predict and look only; may be given again for another; "
        f"else those in ${READER_TOKEN_VARIABLE}, apart by spaces",
    )
    serve.add_argument(
        "--certfile", metavar="PEM", help="the server's certificate: connections are encrypted"
    )
    serve.add_argument("--keyfile", metavar="PEM", help="its private key, if that is another file")
    serve.add_argument(
        "--client-ca",
        metavar="PATH",
        help="clients must show a certificate of these authorities, or a grid proxy, besides the "
        "token; a PEM file, or a folder such as /etc/grid-security/certificates",
    )
    serve.add_argument(
        "--admin-subject",
        action="append",
        default=[],
        metavar="DN",
        help="whose certificate, such as /DC=ch/DC=cern/CN=Some One, makes an admin without token",
    )
    serve.add_argument(
        "--plain-http",
        action="store_true",
        help="listen for other machines without TLS: a proxy ends it, or the network is trusted",
    )
    serve.add_argument(
        "--rate",
        type=float,
        metavar="N",
        help="requests per second that each token may ask for, counted by each worker",
    )
    serve.add_argument(
        "--burst", type=int, metavar="N", help="requests that it may ask for at once"
    )
    serve.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="a further host name under which the server may be asked",
    )
    serve.add_argument(
        "--allow-op",
        action="append",
        default=[],
        metavar="OP",
        help="a TensorFlow operation that uploaded models may use besides those that only compute",
    )
    serve.add_argument(
        "--memory",
        type=_bytes,
        default="1GB",
        metavar="SIZE",
        help="models kept in memory, such as 500MB or 2GB; the least recently used leave",
    )
    serve.add_argument(
        "--workers",
        type=_workers,
        default=1,
        metavar="N",
        help="processes that answer on the port; 0 or auto for one a core (default 1)",
    )
    serve.add_argument(
        "--access-log", metavar="PATH", help="append a line of JSON per answer; - is standard error"
    )
    serve.add_argument(
        "--drain",
        type=_seconds,
        default=0.0,
        metavar="SECONDS",
        help="after SIGTERM, go on accepting for so long while /health says 503 (default 0)",
    )
    serve.add_argument(
        "--grace",
        type=_seconds,
        default=20.0,
        metavar="SECONDS",
        help="then wait for so long at most for requests under way (default 20)",
    )
    serve.set_defaults(run=_serve)


def _bytes(text: str) -> int:
    return _value(option_values.size, text, "memory")


def _seconds(text: str) -> float:
    return _value(option_values.seconds, text, "seconds")


def _workers(text: str) -> int:
    return _value(option_values.workers, text, "workers")


def _value(read: Callable[[str, str], T], text: str, option: str) -> T:
    try:
        return read(text, option)
    except ServerError as error:
        raise argparse.ArgumentTypeError(str(error).partition("=")[2]) from None


def _serve(options: argparse.Namespace) -> int:
    from tfaas_nb.data.allocation import share_places
    from tfaas_nb.serving.room import more_files
    from tfaas_nb.serving.server import Server

    more_files()
    share_places()
    # A file that was put there ends in a new line.
    given = options.token or os.environ.get(TOKEN_VARIABLE, "").strip() or None
    known = [] if options.no_token else os.environ.get(READER_TOKEN_VARIABLE, "").split()
    server = Server(
        options.models,
        options.host,
        options.port,
        False if options.no_token else given,
        options.allow_host,
        memory=options.memory,
        access_log=options.access_log,
        workers=options.workers,
        preload=True,
        allow_ops=options.allow_op,
        drain=options.drain,
        grace=options.grace,
        reader_token=options.reader_token or known,
        certfile=options.certfile,
        keyfile=options.keyfile,
        client_ca=options.client_ca,
        admin_subject=options.admin_subject,
        plain_http=options.plain_http,
        rate=options.rate,
        burst=options.burst,
    )
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    with _log_told():
        try:
            server.start()
            _tell(server, secret=bool(server.token and not given))
            server.wait()
        except KeyboardInterrupt:
            print("stopping", flush=True)
        finally:
            server.stop()
    return 0


def _tell(server: Server, secret: bool) -> None:
    for name, error in server.damaged.items():
        print(f"tfaas-nb: {name} is not served: {error}", file=sys.stderr)
    if not server.isolated:  # else its processes do that
        from tfaas_nb.serving.worker import warm_up

        threading.Thread(target=warm_up, daemon=True).start()
    query = f"?token={server.token}" if secret else ""
    print(f"{server!r}\nopen {server.url}/{query} (Ctrl-C stops)", flush=True)


@contextmanager
def _log_told() -> Iterator[None]:
    """Write the log's warnings on the error stream, such as that a worker was replaced."""
    log, told = logging.getLogger("tfaas_nb"), logging.StreamHandler()
    told.setFormatter(logging.Formatter("tfaas-nb: %(message)s"))
    log.addHandler(told)
    try:
        yield
    finally:
        log.removeHandler(told)
