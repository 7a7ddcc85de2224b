"""Single events per second of other people's servers, ours and the constant in turns."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks import servers
from tests.benchmarks.load import Ask, Measured, Round, needs_wrk, ratio, wrk
from tests.benchmarks.options import Options
from tests.benchmarks.peers import PEERS, Peer
from tests.benchmarks.peers.running import running
from tests.benchmarks.processes import Running
from tests.benchmarks.report import Section, shown
from tests.benchmarks.single import CLIENTS, json_ask
from tests.benchmarks.unavailable import Unavailable
from tests.benchmarks.workplace import files, models

_TITLE = "Other servers"
_METHOD = """The same graph behind other Python servers, each in an environment of its own, one at
a time, in turns with the constant server and with ours (medians of rounds; one longer round where
a server is slow). Before it is measured each must answer with the graph's score to 1e-5. *Quick
start* is what its documentation shows for a Keras model; *tuned* has the fastest TensorFlow call
and what its documentation advises for speed, one set of settings each."""
_HEADER = (
    "server",
    "form",
    *(f"requests/s ÷ constant, {n} client{'s' * (n > 1)}" for n in CLIENTS),
    *(f"tfaas_nb `/json` ÷ it, {n}" for n in CLIENTS),
)
_MANY = 100
_SLOW = 100


@dataclass(frozen=True)
class Length:
    """Rounds, and seconds of each; where answers are few, more time rather than more rounds."""

    rounds: int
    yardsticks: int
    peer: int


@dataclass(frozen=True)
class Found:
    """Result of a peer: its rounds by number of clients, or the reason why there are none."""

    peer: Peer
    rounds: dict[int, list[Round]]
    reason: str = ""

    def ratio(self, name: str, yardstick: str, clients: int) -> float:
        return ratio(self.rounds[clients], name, yardstick, "rate")

    def row(self) -> tuple[str, ...]:
        if self.reason:
            return (self.peer.name, self.peer.form, self.reason, *[""] * (2 * len(CLIENTS) - 1))
        shares = [shown(self.ratio("peer", "constant", n)) for n in CLIENTS]
        ahead = [shown(self.ratio("ours", "peer", n)) for n in CLIENTS]
        return (self.peer.name, self.peer.form, *shares, *ahead)


def measure(options: Options) -> Section:
    needs_wrk()
    with (
        models() as repository,
        files() as folder,
        servers.constant() as constant,
        servers.tfaas_nb(repository) as (_, ours),
    ):
        known = {"constant": json_ask(constant), "ours": json_ask(ours)}
        found = [_measured(peer, folder, known, options) for peer in PEERS]
    return Section(_TITLE, _METHOD, _HEADER, [each.row() for each in found], _main(found))


def _measured(peer: Peer, folder: Path, known: dict[str, Ask], options: Options) -> Found:
    options.tell(f"{peer.name}, {peer.form}")
    try:
        with running(peer, folder) as (process, ask):
            at_rest = process.busy(1)
            length = _length(wrk(ask, 1, 1), options)
            rounds: dict[int, list[Round]] = {clients: [] for clients in CLIENTS}
            for clients in CLIENTS * length.rounds:
                turn = {name: wrk(each, clients, length.yardsticks) for name, each in known.items()}
                turn["peer"] = _patiently(process, ask, clients, length.peer)
                rounds[clients].append(turn)
                process.become_quiet(at_rest)
    except Unavailable as error:
        options.tell(str(error))
        return Found(peer, {}, str(error))
    return Found(peer, rounds)


def _patiently(process: Running, ask: Ask, clients: int, seconds: int) -> Measured:
    """Measured for longer if nobody was answered; some answer all of a crowd at the end."""
    try:
        return wrk(ask, clients, seconds)
    except Unavailable:
        process.become_quiet()
        return wrk(ask, clients, 4 * seconds)


def _length(alone: Measured, options: Options) -> Length:
    seconds = max(options.seconds // 2, 1)
    if alone.rate < _SLOW:
        return Length(1, seconds, 4 * seconds)
    return Length(min(options.rounds, 3), seconds, seconds)


def _main(found: list[Found]) -> dict[str, str]:
    """Of each server its fastest form."""
    best: dict[str, Found] = {}
    for each in found:
        if each.reason:
            continue
        former = best.get(each.peer.name)
        if former is None or _share(each) > _share(former):
            best[each.peer.name] = each
    return {
        f"tfaas_nb ÷ {name} ({each.peer.form}), requests/s, 100 clients": shown(
            each.ratio("ours", "peer", _MANY)
        )
        for name, each in best.items()
    }


def _share(found: Found) -> float:
    return found.ratio("peer", "constant", _MANY)
