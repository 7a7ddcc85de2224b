"""Minutes of everything at once: ``pytest -m endurance tests/reliability/test_soak.py --soak 600``.

Clients ask for single events, many events, lists and figures, or nonsense, while models are
uploaded, replaced and deleted under them.  Nothing may fail that should not, every score must be
of a version that was there during the request, and the process must not grow.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import requests

from tests.reliability.serving_command import TOKEN, Command, Looked, serving
from tests.reliability.sums import KEYS, sum_of
from tfaas_nb import backend
from tfaas_nb.wire.tfaas import decode_predictions, encode_npy, encode_row

pytestmark = pytest.mark.endurance

_HEADERS = {"Authorization": f"Bearer {TOKEN}"}
#: A busy machine may take long to try a model; that is no failure.
_TIMEOUT = 180

#: Part of the time after which the process has all it needs, and seconds of it at most.
_WARM_UP, _MOST_WARM_UP = 1 / 3, 120.0

#: What is freed late makes the memory rise and fall by megabytes; a leak raises its floor.  So a
#: line is fitted to the lowest values of windows of so many seconds.
_WINDOW = 5.0

#: MB per minute, after ten minutes.  In the eighty seconds that two minutes leave, one step of
#: four megabytes, as Python's table of names makes it once, is a slope of four and a half, and
#: beside other work there is more.
_MOST_SLOPE, _MOST_SHORT_SLOPE = 1.0, 8.0
_LONG = 600.0


@dataclass
class Version:
    """From when to when a version can have answered; infinite while that is not known."""

    begun: float
    acknowledged: float = np.inf
    replaced: float = np.inf


@dataclass
class Story:
    """History of a model: factor of its scores → that version; 0 is none."""

    versions: dict[int, Version] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    _gone: list[Version] = field(default_factory=lambda: [Version(0.0, 0.0)])

    @contextlib.contextmanager
    def change(self, factor: int) -> Iterator[None]:
        """While it becomes another version, or none."""
        new = Version(time.monotonic())
        with self.lock:
            former = [v for v in (*self.versions.values(), *self._gone) if v.replaced == np.inf]
            if factor:
                self.versions[factor] = new
            else:
                self._gone.append(new)
        yield
        now = time.monotonic()
        with self.lock:
            new.acknowledged = now
            for one in former:
                one.replaced = now

    def could_answer(self, factor: int, begun: float, ended: float) -> bool:
        """Return True if a request at that time may have met a version, or none at all."""
        with self.lock:
            wanted = [self.versions.get(factor)] if factor else self._gone
            return any(v and v.begun <= ended and v.replaced >= begun for v in wanted)


class Soak:
    """The load; each part is a thread that goes round until the end, counting what it got."""

    def __init__(self, server: Command) -> None:
        self.server = server
        self.answers: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.stories = {"replaced": Story(), "comes": Story()}
        self._factors = itertools.count(1)
        self._ends = threading.Event()
        self._lock = threading.Lock()

    def run(self, seconds: float) -> list[tuple[float, Looked]]:
        """Put load on the server; return its use of resources, by time (s) from the beginning."""
        parts: list[tuple[Callable[[requests.Session], None], float]] = [
            (self._json, 0.005),
            (self._json, 0.005),
            (self._proto, 0.01),
            (self._bulk, 0.1),
            (self._list, 0.05),
            (self._nonsense, 0.02),
            (self._broken_connection, 0.05),
            (self._replace, 0.5),
            (self._come_and_go, 0.5),
        ]
        threads = [threading.Thread(target=self._go_on, args=part) for part in parts]
        for thread in threads:
            thread.start()
        looked, begun = [], time.monotonic()
        try:
            while (now := time.monotonic() - begun) < seconds and not self.wrong:
                looked.append((now, self.server.look()))
                time.sleep(0.5)
        finally:
            self._ends.set()
            for thread in threads:
                thread.join(_TIMEOUT)
        assert not any(thread.is_alive() for thread in threads)
        return looked

    def _go_on(self, part: Callable[[requests.Session], None], pause: float) -> None:
        with requests.Session() as session:
            session.headers.update(_HEADERS)
            while not self._ends.wait(pause):
                try:
                    part(session)
                except Exception as error:
                    self._tell(f"{part.__name__}: {type(error).__name__}: {error}")

    def _tell(self, what: str) -> None:
        with self._lock:
            self.wrong.append(what)
            self._ends.set()

    def _count(self, answer: requests.Response, *expected: int) -> requests.Response:
        """Overload may be told at any time, if it says when to come again."""
        is_overload = answer.status_code in (429, 503) and "Retry-After" in answer.headers
        with self._lock:
            self.answers[str(answer.status_code)] += 1
        if answer.status_code not in expected and not is_overload:
            asked = f"{answer.request.method} {answer.request.path_url}"
            self._tell(f"{asked} {answer.status_code} {answer.text[:300]}")
        return answer

    def _post(
        self, session: requests.Session, path: str, data: bytes, *expected: int
    ) -> requests.Response:
        answer = session.post(self.server.url + path, data=data, timeout=_TIMEOUT)
        return self._count(answer, *expected)

    # --- what clients do ------------------------------------------------------------------

    def _json(self, session: requests.Session) -> None:
        for name in self.stories:
            body = json.dumps({"keys": KEYS, "values": [1, 0, 0], "model": name}).encode()
            with self._checked(name) as tell:
                answer = self._post(session, "/json", body, 200, 404)
                if answer.status_code in (200, 404):
                    tell.append(int(answer.json()[0]) if answer.status_code == 200 else 0)

    def _proto(self, session: requests.Session) -> None:
        for name in self.stories:
            with self._checked(name) as tell:
                body = encode_row(KEYS, [1.0, 0.0, 0.0], name)
                answer = self._post(session, "/proto", body, 200, 404)
                if answer.status_code in (200, 404):
                    found = answer.status_code == 200
                    tell.append(int(decode_predictions(answer.content)[0][1]) if found else 0)

    @contextlib.contextmanager
    def _checked(self, name: str) -> Iterator[list[int]]:
        factors: list[int] = []
        begun = time.monotonic()
        yield factors
        ended = time.monotonic()
        for factor in factors:
            if not self.stories[name].could_answer(factor, begun, ended):
                self._tell(f"{name} answered as {factor} when that was not there")

    def _bulk(self, session: requests.Session) -> None:
        values = np.ones((8192, len(KEYS)), np.float32)
        answer = self._post(session, "/npy?model=steady", encode_npy(KEYS, values), 200)
        if answer.status_code == 200:
            scores = np.load(io.BytesIO(answer.content))
            if scores.shape != (8192, 1) or not (scores == 6).all():
                self._tell(f"scores of shape {scores.shape}, {scores[:3]}")

    def _list(self, session: requests.Session) -> None:
        for path in ("/models", "/metrics", "/status", "/params/steady", "/health", "/v2", "/"):
            self._count(session.get(self.server.url + path, timeout=_TIMEOUT), 200)

    def _nonsense(self, session: requests.Session) -> None:
        good = b'"keys": ["a", "b", "c"], "values": [1, 1, 1]'
        for path, body, status in (
            ("/json", b"{", 400),
            ("/json", b'{"keys": ["a", "b", "x"], "values": [1, 1, 1], "model": "steady"}', 422),
            ("/json", b'{"keys": ["a", "b", "c"], "values": [1, null, 1]}', 422),
            ("/json", b"{%b, " % good + b'"model": "never"}', 404),
            ("/json", b"\xff" * 40_000, 400),
            ("/proto", b"\x0a\xff\xff", 400),
            ("/npy?model=steady", b"\x93NUMPY", 400),
            ("/dataframe", b"\xff", 400),
            ("/models", b"", 405),
            ("/no/such/address", b"x", 404),
            ("/upload", b"\x1f\x8b\x08 no archive", 422),
            ("/v2/models/steady/infer", b"{}", 400),
        ):
            self._post(session, path, body, status)
        refused = requests.get(f"{self.server.url}/models", timeout=_TIMEOUT)
        self._count(refused, 401)

    def _broken_connection(self, session: requests.Session) -> None:
        whole = b"POST /json HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n"
        whole += f"Authorization: Bearer {TOKEN}\r\n\r\n".encode() + b"x" * 50_000
        for sent in (b"\x16\x03\x01\r\n\r\n", b"GET / HT", whole):
            with socket.create_connection(("127.0.0.1", self.server.port), _TIMEOUT) as connection:
                connection.sendall(sent)

    # --- what uploaders do ----------------------------------------------------------------

    def _replace(self, session: requests.Session) -> None:
        self._upload(session, "replaced")

    def _come_and_go(self, session: requests.Session) -> None:
        self._upload(session, "comes")
        with self.stories["comes"].change(0):
            path = f"{self.server.url}/delete/comes"
            self._count(session.delete(path, timeout=_TIMEOUT), 200)

    def _upload(self, session: requests.Session, name: str) -> None:
        factor = next(self._factors)
        archive = sum_of(name, factor).archive()
        with self.stories[name].change(factor):
            self._post(session, "/upload", archive, 200)


def slope_of(minutes: np.ndarray, values: np.ndarray) -> tuple[float, float]:
    """Slope of the floor of values, per minute, and its standard error."""
    windows = (minutes * 60 // _WINDOW).astype(int)
    kept = [windows == window for window in np.unique(windows)]
    x = np.array([minutes[one].mean() for one in kept])
    y = np.array([values[one].min() for one in kept])
    (slope, _), covariance = np.polyfit(x, y, 1, cov=True)
    return float(slope), float(np.sqrt(covariance[0, 0]))


def test_nothing_fails_and_nothing_grows(
    tmp_path: Path, request: pytest.FixtureRequest, record_property: Callable[[str, object], None]
) -> None:
    seconds = request.config.getoption("--soak")
    backend.tensorflow()
    with serving(tmp_path / "models") as server:
        server.client().upload(sum_of("steady"))
        soak = Soak(server)
        looked = soak.run(seconds)
        assert soak.wrong == []
    warm = [(t, one) for t, one in looked if t > min(_WARM_UP * seconds, _MOST_WARM_UP)]
    half = len(warm) // 2
    minutes = np.array([t / 60 for t, _ in warm])
    slope, error = slope_of(minutes, np.array([one.rss for _, one in warm]))
    told = [f"soak of {seconds:.0f} s: {sum(soak.answers.values())} answers"]
    told += [", ".join(f"{status}: {count}" for status, count in sorted(soak.answers.items()))]
    versions = sum(len(story.versions) for story in soak.stories.values())
    told += [f"{versions} uploads; RSS {warm[0][1].rss:.0f} to {warm[-1][1].rss:.0f} MB"]
    told += [f"slope {slope:+.2f} ± {error:.2f} MB/min"]
    for name in ("files", "threads", "children"):
        most = [max(getattr(one, name) for _, one in part) for part in (warm[:half], warm[half:])]
        told.append(f"{name} at most {most[0]} in the first half, {most[1]} in the second")
        assert most[1] <= most[0] + (8 if name == "files" else 0), told
    record_property("summary", "; ".join(told))
    assert slope < (_MOST_SLOPE if seconds >= _LONG else _MOST_SHORT_SLOPE), told
