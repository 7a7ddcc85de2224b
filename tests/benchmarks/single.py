"""Single events per second and their latency, against uvicorn answering a constant."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.benchmarks import model, servers
from tests.benchmarks.load import Ask, Round, needs_wrk, ratio, wrk
from tests.benchmarks.options import Options
from tests.benchmarks.report import Section, shown
from tests.benchmarks.workplace import models
from tfaas_nb.wire import tfaas

CLIENTS = (1, 100, 200)
YARDSTICK = "uvicorn, a constant"
JSON = "tfaas_nb `/json`"
_PROTO = "tfaas_nb `/proto`"
_TITLE = "Single events"
_METHOD = """Each figure is the median over rounds of a ratio to uvicorn (httptools, uvloop)
answering a constant in the same round (`wrk -t1`, keep-alive clients)."""
_HEADER = ("server", "clients", "requests/s ÷ constant", "p50 ÷ constant", "p99 ÷ constant")


def json_ask(url: str) -> Ask:
    """One event over our ``/json``; a constant server takes it too."""
    return Ask(f"{url}/json", tfaas.encode_json(model.FEATURES, model.event()))


def measure(options: Options) -> Section:
    needs_wrk()
    with _compared() as asks:
        rounds = {clients: _rounds(asks, clients, options) for clients in CLIENTS}
    rows = [_row(name, clients, rounds[clients]) for clients in CLIENTS for name in asks]
    return Section(_TITLE, _METHOD, _HEADER, rows, _main(rounds))


@contextmanager
def _compared() -> Iterator[dict[str, Ask]]:
    """Server → what it is asked, while all of them run."""
    with ExitStack() as stack:
        folder: Path = stack.enter_context(models())
        yardstick = stack.enter_context(servers.constant())
        _, url = stack.enter_context(servers.tfaas_nb(folder))
        asgi = stack.enter_context(servers.under_uvicorn(folder))
        row = tfaas.encode_row(model.FEATURES, model.event().tolist())
        yield {
            YARDSTICK: json_ask(yardstick),
            JSON: json_ask(url),
            _PROTO: Ask(f"{url}/proto", row),
            "tfaas_nb's application under uvicorn, `/json`": json_ask(asgi),
        }


def _rounds(asks: dict[str, Ask], clients: int, options: Options) -> list[Round]:
    options.tell(f"single events, {clients} clients")
    return [
        {name: wrk(ask, clients, options.seconds) for name, ask in asks.items()}
        for _ in range(options.rounds)
    ]


def _row(name: str, clients: int, rounds: list[Round]) -> tuple[str, ...]:
    ratios = (ratio(rounds, name, YARDSTICK, quantity) for quantity in ("rate", "p50", "p99"))
    return (name, str(clients), *map(shown, ratios))


def _main(rounds: dict[int, list[Round]]) -> dict[str, str]:
    def against(name: str, clients: int, quantity: str) -> str:
        return shown(ratio(rounds[clients], name, YARDSTICK, quantity))

    return {
        "single-event `/json`, requests/s ÷ uvicorn's constant, 100 clients": against(
            JSON, 100, "rate"
        ),
        "single-event `/proto`, the same": against(_PROTO, 100, "rate"),
        "`/json`, p99 ÷ the constant's, 200 clients": against(JSON, 200, "p99"),
        "`/json`, p50 ÷ the constant's, 1 client": against(JSON, 1, "p50"),
    }
