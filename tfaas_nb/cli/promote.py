"""``tfaas-nb promote``: a model from one running server to another."""

from __future__ import annotations

import argparse
import os

from tfaas_nb.errors import Unauthorized
from tfaas_nb.serving.security import TOKEN_VARIABLE

#: Holds the token of the server to copy to, as `TOKEN_VARIABLE` does that of the one to copy from.
TARGET_TOKEN_VARIABLE = f"{TOKEN_VARIABLE}_TO"


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Tell the command line of it."""
    promote = commands.add_parser(
        "promote",
        help="copy a model to another server, if its scores are the same there",
        description="Copies a model from a running tfaas_nb server to another one, or to a Go "
        "TFaaS, and asks both for the scores of its reference events. A model whose scores "
        "differ is taken from the other server again.",
    )
    promote.add_argument(
        "model", metavar="NAME", help="the model, NAME/versions/3, or NAME/labels/production"
    )
    promote.add_argument("--to", required=True, metavar="URL", help="the server to copy to")
    promote.add_argument(
        "--from",
        dest="source",
        default="http://127.0.0.1:8083",
        metavar="URL",
        help="the server to copy from (default %(default)s)",
    )
    promote.add_argument(
        "--as", dest="name", metavar="NAME", help="name on the server to copy to, if another one"
    )
    promote.add_argument(
        "--features",
        default="",
        metavar="A,B,C",
        help="names of the model's features in its order, if it does not tell them",
    )
    promote.add_argument(
        "--token", help=f"what the server to copy from asks for; else ${TOKEN_VARIABLE}"
    )
    promote.add_argument(
        "--to-token", help=f"what the server to copy to asks for; else ${TARGET_TOKEN_VARIABLE}"
    )
    promote.set_defaults(run=_promote)


def _promote(options: argparse.Namespace) -> int:
    from tfaas_nb.client import Client
    from tfaas_nb.promotion import promote

    token = options.token or os.environ.get(TOKEN_VARIABLE) or None
    target_token = options.to_token or os.environ.get(TARGET_TOKEN_VARIABLE) or None
    source = Client(options.source, token)
    target = Client(options.to, target_token)
    try:
        print(promote(options.model, source, target, options.name, options.features))
    except Unauthorized as error:
        if target.url == source.url or target.url not in str(error):
            raise
        raise Unauthorized(str(error).replace("token=...", "to_token=...")) from error
    return 0
