"""The command ``tfaas-nb``: demo, serve, simulate."""

from __future__ import annotations

import argparse
import gc
import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from tfaas_nb.errors import TfaasError

#: Where a token may stand instead of the command line, which other users can see.
TOKEN_VARIABLE = "TFAAS_NB_TOKEN"

_USAGE, _FAILED, _INTERRUPTED = 2, 1, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    options = _parser().parse_args(arguments)
    try:
        code: int = options.run(options)
    except TfaasError as error:
        print(f"tfaas-nb: {error}", file=sys.stderr)
        return _FAILED
    except KeyboardInterrupt:
        return _INTERRUPTED
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tfaas-nb", description="A signal/background classifier as a service."
    )
    commands = parser.add_subparsers(required=True, metavar="command")
    _add_demo(commands)
    _add_serve(commands)
    _add_simulate(commands)
    return parser


def _add_demo(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    demo = commands.add_parser(
        "demo", help="train on the packaged sample, serve, and ask for the poster's event"
    )
    demo.add_argument(
        "-o", "--output", type=Path, default=Path("demo"), help="folder for the files it makes"
    )
    demo.add_argument("--seed", type=int, default=1, help="seed of split and training")
    demo.set_defaults(run=_demo)


def _add_serve(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    serve = commands.add_parser("serve", help="serve a directory of models until interrupted")
    serve.add_argument("--host", default="127.0.0.1", help="address to listen on")
    serve.add_argument("--port", type=int, default=8083, help="port to listen on; 0 for any")
    serve.add_argument("--models", type=Path, default=Path("models"), help="directory of models")
    token = serve.add_mutually_exclusive_group()
    token.add_argument(
        "--token", help=f"token that clients must show; else ${TOKEN_VARIABLE}, else a random one"
    )
    token.add_argument("--no-token", action="store_true", help="let everybody on this machine in")
    serve.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="a further host name under which the server may be asked",
    )
    serve.add_argument(
        "--access-log", metavar="PATH", help="append a line of JSON per answer; - is standard error"
    )
    serve.set_defaults(run=_serve)


def _add_simulate(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    simulate = commands.add_parser(
        "simulate", help="simulate events with Pythia 8 and FastJet into a ROOT file"
    )
    simulate.add_argument("process", choices=("ttbar", "qcd"))
    simulate.add_argument("--events", type=int, default=1000, help="selected events to write")
    simulate.add_argument("--seed", type=int, default=1, help="the same seed, the same events")
    simulate.add_argument("-o", "--output", type=Path, required=True, help="the ROOT file")
    simulate.set_defaults(run=_simulate)


def _demo(options: argparse.Namespace) -> int:
    from tfaas_nb.demo import run

    return 0 if run(options.output, options.seed).agrees else _FAILED


def _serve(options: argparse.Namespace) -> int:
    from tfaas_nb.serving.server import Server

    token = False if options.no_token else options.token or os.environ.get(TOKEN_VARIABLE) or None
    if options.no_token and options.host not in ("127.0.0.1", "localhost", "::1"):
        print(
            f"tfaas-nb: anybody who reaches {options.host} could upload models: "
            "leave --no-token out, or listen on 127.0.0.1",
            file=sys.stderr,
        )
        return _USAGE
    server = Server(
        options.models,
        options.host,
        options.port,
        token,
        options.allow_host,
        access_log=options.access_log,
    )
    for name, error in server.service.load_all().items():
        print(f"tfaas-nb: {name} is not served: {error}", file=sys.stderr)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    try:
        server.start()
        threading.Thread(target=_warm_up, daemon=True).start()
        secret = f"?token={server.token}" if server.token and not options.token else ""
        print(f"{server!r}\nopen {server.url}/{secret} (Ctrl-C stops)", flush=True)
        server.wait()
    except KeyboardInterrupt:
        print("stopping", flush=True)
    finally:
        server.stop()
    return 0


def _warm_up() -> None:
    """Import TensorFlow before the first upload asks for it.

    Its million objects then stay for good: a garbage collection that went through them
    would hold up every client for a tenth of a second.
    """
    from tfaas_nb import backend

    backend.tensorflow()
    gc.collect()
    gc.freeze()


def _simulate(options: argparse.Namespace) -> int:
    from tqdm.auto import tqdm

    from tfaas_nb.data.simulation import simulate

    with tqdm(total=options.events, desc=options.process, unit="event") as bar:

        def show(events: int) -> None:
            bar.update(events)

        path = simulate(
            options.process, options.events, options.seed, options.output, progress=show
        )
    print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
