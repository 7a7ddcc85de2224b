"""HTTP/1.1 connections: bytes ↔ requests and answers, over httptools' parser.

A protocol of our own rather than an ASGI server's, because a single event costs a few
microseconds: with a hundred clients the same application answers over twice as many requests
a second as under uvicorn (``tests/benchmarks/RESULTS.md``).  What HTTP demands of a server
is held by ``tests/serving/test_http.py``: keep-alive, pipelining, chunked bodies, ``Expect``,
limits, slow clients, malformed requests.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import select
import socket
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import httptools

from tfaas_nb.errors import (
    HeadTooLarge,
    Overloaded,
    RequestError,
    ServerError,
    TfaasError,
    TooLarge,
)
from tfaas_nb.serving import framing, upgrades
from tfaas_nb.serving.calls import Application, Call
from tfaas_nb.serving.downloads import NOT_MODIFIED
from tfaas_nb.serving.gathering import Gathering
from tfaas_nb.serving.heads import (
    CLOSED,
    KnownHeads,
    ResponseHeads,
    head_of,
    kept_after,
)
from tfaas_nb.serving.large_body import LargeBody
from tfaas_nb.serving.messages import Head, Request, Response
from tfaas_nb.serving.room import Room
from tfaas_nb.serving.tls import Encrypted, Tls, subject

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

#: Connections that may wait to be accepted.
BACKLOG = 2048

#: A refused request may still send this much before its connection is closed instead.
_MOST_REFUSED = 64 * 1024
_LINGER = 2.0
_SWEEP = 1.0

#: While the server ends, connections are looked at so often.
_LAST_SWEEP = 0.01

#: A connection that asked nothing yet is given so long for it, should the server end.
_FIRST_SECONDS = 0.25

#: A body of which more than this is to come is received without the parser.
_LARGE_BODY = 256 * 1024

#: Heads that are remembered of a client with a certificate.
_KNOWN_OF_ONE = 16
#: Smaller bodies take no room worth counting; of those of unknown length it is taken in such steps.
_SMALL_BODY = 16 * 1024
_STEP = 256 * 1024

#: How long a client may owe something before its place is given to another, when all are taken.
_PATIENCE = 1.0
#: Of so many connections one more may be there to be told that there are too many.
_PART_REFUSED = 8
#: Places that are made free at once: to find them takes a look at all connections.
_AT_ONCE = 32

_log = logging.getLogger("tfaas_nb")


@dataclass(frozen=True)
class Limits:
    """Limits of a server's connections: sizes, times, rates and numbers.

    Attributes
    ----------
    head_bytes : int
        Address and headers of a request.
    head_seconds : float
        From a request's first byte to the end of its headers.
    body_bytes_per_second : float
        Slowest rate of a body, which may be behind by twice `head_seconds`, and of an answer
        that is taken.
    idle_seconds : float
        Between the requests of a connection, and for an answer to begin to be taken.
    pipelined : int
        Requests under way before reading pauses.
    connections : int
        Connections at once.  For a further one those are closed that keep others waiting or
        have nothing to say; where there is none it is told 503.
    held_bytes : int
        Of all bodies that are being received and worked on; who sends more is told 503.
    """

    head_bytes: int = 64 * 1024
    head_seconds: float = 20.0
    body_bytes_per_second: float = 10_000.0
    idle_seconds: float = 75.0
    pipelined: int = 64
    connections: int = 4096
    held_bytes: int = 256 << 20


async def serve(
    application: Application,
    listening: socket.socket,
    stop: asyncio.Event,
    ready: Callable[[], None],
    server: str,
    limits: Limits | None = None,
    grace: float = 3.0,
    drain: float = 0.0,
    tls: Tls | None = None,
    open_now: set[Connection] | None = None,
) -> None:
    """Accept connections until `stop` is set, then let requests under way end.

    A request that has come by then, or that comes on a connection just made, is answered; each
    answer is its connection's last.  Idle connections are closed, so that whoever keeps them, such
    as a proxy, sees that before it uses them again.

    Parameters
    ----------
    application : Application
        What answers.
    listening : socket.socket
        A bound, listening socket.
    stop : asyncio.Event
        Ends it.
    ready : callable
        Called once connections are accepted.
    server : str
        Value of the ``Server`` header.
    limits : Limits, optional
        What a connection may take.
    grace : float
        Seconds that requests under way have to end.
    drain : float
        Seconds for which connections are still accepted after `stop` is set.
    tls : Tls, optional
        How connections are encrypted.
    open_now : set of Connection, optional
        Kept up to date with those that are open.

    Raises
    ------
    ServerError
        If a file of the certificate cannot be used.
    """
    limits = limits or Limits()
    open_now = set() if open_now is None else open_now
    known, heads = KnownHeads(), ResponseHeads(server)
    gathering = Gathering(open_now, application.hold)
    room = Room(limits.held_bytes)
    loop = asyncio.get_running_loop()
    encrypted = Encrypted(tls) if tls else None
    encryption = encrypted.options(loop) if encrypted else {}

    def connection() -> Connection:
        last = stop.is_set()
        return Connection(application, limits, open_now, known, heads, gathering, room, last)

    accepting = await loop.create_server(connection, sock=listening, backlog=BACKLOG, **encryption)
    ready()
    while not stop.is_set():
        try:
            await asyncio.wait_for(stop.wait(), _SWEEP)
        except asyncio.TimeoutError:
            if encrypted:
                encrypted.look()
            for kept in list(open_now):
                kept.close_if_late()
    gathering.close()
    until = loop.time() + drain
    while loop.time() < until:
        await _shut(open_now)
    await _accept_waiting(listening, connection, encryption, grace)
    accepting.close()
    for _ in range(3):  # turns of the loop in which those just accepted enter among the open ones
        await asyncio.sleep(0)
    until = loop.time() + grace
    while open_now and loop.time() < until:
        await _shut(open_now)
    for left in list(open_now):
        left.abort()


async def _shut(connections: set[Connection]) -> None:
    for connection in list(connections):
        connection.shut()
        connection.close_if_late()
    await asyncio.sleep(_LAST_SWEEP)


async def _accept_waiting(
    listening: socket.socket,
    connection: Callable[[], asyncio.Protocol],
    encryption: dict[str, Any],
    seconds: float,
) -> None:
    """Accept those that the system has accepted: closing the port would reset them."""
    loop = asyncio.get_running_loop()
    entering = [
        asyncio.ensure_future(loop.connect_accepted_socket(connection, accepted, **encryption))
        for accepted in _waiting(listening)
    ]
    if entering:
        done, late = await asyncio.wait(entering, timeout=seconds)
        for one in late:
            one.cancel()
        for one in done:
            one.exception()  # of a handshake that failed nobody needs to hear


def _waiting(listening: socket.socket) -> Iterator[socket.socket]:
    with contextlib.suppress(OSError):
        while True:
            accepted, _ = listening.accept()
            accepted.setblocking(False)
            yield accepted


class Connection(asyncio.Protocol):
    """One client's connection.

    Parameters
    ----------
    application : Application
        What answers.
    limits : Limits
        What the client may take.
    open_now : set of Connection
        All that are open; this one enters and leaves by itself.
    known : KnownHeads
        Heads of requests that the application admitted before.
    heads : ResponseHeads
        Makes the heads of answers.
    gathering : Gathering
        Reads all connections at once when the event loop is behind.
    room : Room
        What all bodies take together.
    """

    def __init__(
        self,
        application: Application,
        limits: Limits,
        open_now: set[Connection],
        known: KnownHeads,
        heads: ResponseHeads,
        gathering: Gathering,
        room: Room,
        last: bool = False,
    ) -> None:
        self.application, self._limits, self._open_now = application, limits, open_now
        self._known, self._heads, self._gathering = known, heads, gathering
        self.room = room
        self._parser = httptools.HttpRequestParser(self)
        self._loop = asyncio.get_running_loop()
        self._transport: Any = None
        self.client = self._subject = ""
        self._answers: deque[_Answer] = deque()
        self._deaf = False  # nothing more is read from the client
        self._reading = True
        self._stuck = False  # the client does not take what is written
        self._unsent = 0  # of that, when it was last looked at
        self._asking = False  # a request has begun and is not yet whole
        self._has_asked = False  # a whole request has come
        self._elsewhere = False  # the gathering reads, not the event loop
        self._receives_large = False  # what comes goes elsewhere
        self._last = last  # the request under way is the last one
        self._expect(limits.head_seconds)
        self._first = self._loop.time() + _FIRST_SECONDS
        self._forget()

    def _forget(self) -> None:
        """Be ready for the next request."""
        self._url = b""
        self._headers: dict[bytes, bytes] = {}
        self._header_lines = 0
        self._raw = b""  # the head as it was sent, if it came in one piece
        self._size = 0
        self._trailer = 0
        self._body: bytes | bytearray = b""
        self._taken = 0  # of the room for bodies
        self._head: Head | None = None
        self._call: Call | None = None
        self._refusal: TfaasError | None = None
        self._plain_head = b""  # what stands for a head that offers another protocol

    # --- the connection -------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Enter among the open connections."""
        self._transport = transport
        self.client = str((transport.get_extra_info("peername") or ("",))[0])
        shown = transport.get_extra_info("ssl_object")
        self._subject = subject(shown) if shown else ""
        if self._subject:  # who may ask depends on more than a head's bytes
            self._known = KnownHeads(_KNOWN_OF_ONE)
        self._open_now.add(self)
        beyond = len(self._open_now) - self._limits.connections
        if beyond <= 0 or self._make_place():
            return
        if beyond > self._limits.connections // _PART_REFUSED + 1:
            self.abort()
        else:
            self._give_up(Overloaded("too many connections are open; try again soon"))

    def connection_lost(self, exc: Exception | None) -> None:
        """Leave; answers that come later go nowhere."""
        self._deaf = True
        self._open_now.discard(self)
        self._gathering.forget(self)
        self._answers.clear()
        self._release()

    def data_received(self, data: bytes) -> None:
        """Take what came."""
        self._gathering.begin()
        self.take(data)

    def plain_socket(self) -> socket.socket | None:
        """The socket while its bytes are the request's bytes, and wanted."""
        if self._deaf or not self._reading or self._receives_large:
            return None
        return self._own_socket()

    def read_elsewhere(self, elsewhere: bool) -> None:
        """Leave the socket to the gathering, or read it again."""
        self._elsewhere = elsewhere
        if self._reading and not self._transport.is_closing():
            (self._transport.pause_reading if elsewhere else self._transport.resume_reading)()

    def descriptor(self) -> int:
        """The socket's number; -1 when it is closed."""
        found = self._transport.get_extra_info("socket") if self._transport else None
        return -1 if found is None else int(found.fileno())

    def _own_socket(self) -> socket.socket | None:
        transport = self._transport
        if transport.is_closing() or transport.get_extra_info("sslcontext"):
            return None
        found: socket.socket | None = transport.get_extra_info("socket")
        return found

    def take(self, data: bytes) -> None:
        """Parse what came; complete requests are answered from within."""
        if self._deaf:
            return
        self._first = 0.0
        if not self._asking:
            data = self._answer_known(data)
            if not data:
                return
            self._raw = head_of(data)
        try:
            self._feed(data)
            if self._call and not self._refusal:
                self._receive_if_large(self._call)
        except httptools.HttpParserUpgrade:
            self._deaf = True  # what follows would not be HTTP
            self.flush()
        except httptools.HttpParserCallbackError as error:
            self._give_up(_told(error.__context__ or error.__cause__))
        except httptools.HttpParserError as error:
            if not self._deaf:  # else it is what follows the last request
                self._give_up(RequestError(f"the request is not HTTP/1.1: {error}"))

    def _feed(self, data: bytes) -> None:
        """Parse what came; where another protocol is offered, as if it were not."""
        while True:
            try:
                self._parser.feed_data(data)
            except httptools.HttpParserUpgrade as offer:
                if not self._plain_head:
                    raise
                data = self._plain_head + data[offer.args[0] :]
                self._parser = httptools.HttpRequestParser(self)
                self._forget()
            else:
                return

    def _answer_known(self, data: bytes) -> bytes:
        """Answer whole requests whose heads are known; returns what is left to parse."""
        while data:
            head = head_of(data)
            found = self._known.get(head)
            size = len(head) + found.length if found else 0
            if found is None or len(data) < size or self._last:
                break
            self._has_asked = True
            request = Request(found.head, data[len(head) : size])
            answer = _Answer(self, found.kept, request, found.call)
            self._answers.append(answer)
            found.call.answer(request, answer.done)
            data = data[size:]
        if len(self._answers) >= self._limits.pipelined:
            self._read_or_pause()
        return data

    def eof_received(self) -> bool:
        """Keep a half-open connection until what was asked is answered."""
        self._deaf = True
        return bool(self._answers)

    def pause_writing(self) -> None:
        """Stop reading from a client that does not take its answers."""
        self._stuck = True
        self._unsent = self._transport.get_write_buffer_size()
        self._expect(self._limits.idle_seconds)
        self._read_or_pause()

    def resume_writing(self) -> None:
        """Go on."""
        self._stuck = False
        self._expect(self._limits.idle_seconds)
        self._read_or_pause()

    def shut(self) -> None:
        """Close once what was asked, or is being asked, is answered; may be called again."""
        self._last = True
        if not self._asking and (self._deaf or not self._is_about_to_ask()):
            self._deaf = True
            self.flush()

    def _is_about_to_ask(self) -> bool:
        """Return True if bytes wait to be read, or are awaited on a connection just made."""
        found = self._transport.get_extra_info("socket")
        if found is None or self._transport.is_closing():
            return False
        return self._loop.time() < self._first or _is_readable(found.fileno())

    def abort(self) -> None:
        """Close now."""
        self._transport.abort()
        self._deaf = True

    def close_if_late(self) -> None:
        """Close when the client took too long to ask, or to take its answer."""
        if self._stuck:
            unsent = self._transport.get_write_buffer_size()
            self._progress(self._unsent - unsent)
            self._unsent = unsent
        if not self._is_waiting and self._loop.time() - self._since > self._allowed:
            self.abort()

    def owed(self) -> tuple[bool, float] | None:
        """Return True for a slow client or False for an idle one, with its delay in seconds.

        None if it is neither: it waits for an answer, or has only just begun.
        """
        owed = self._loop.time() - self._since
        is_slow = self._stuck or self._asking or self._deaf or not self._has_asked
        return None if self._is_waiting or owed < _PATIENCE else (is_slow, owed)

    @property
    def _is_waiting(self) -> bool:
        """True if the client waits for an answer."""
        return bool(self._answers) and not self._stuck

    def _expect(self, seconds: float) -> None:
        """Have the client do something within some seconds from now on."""
        self._since, self._allowed = self._loop.time(), seconds

    def _progress(self, size: int) -> None:
        """Give the client time for as many bytes as it sent or took, but no credit for later."""
        since = self._since + size / self._limits.body_bytes_per_second
        self._since = min(since, self._loop.time())

    def _make_place(self) -> bool:
        """Close connections that others need more; returns whether there were any."""
        owing = ((other.owed(), other) for other in self._open_now if other is not self)
        found = sorted(((owed, id(other), other) for owed, other in owing if owed), reverse=True)
        if found and found[0][0][0]:  # idle ones only where there is no slow one
            found = [one for one in found if one[0][0]]
        for _, _, other in found[:_AT_ONCE]:
            other.abort()
            self._open_now.discard(other)
        return bool(found)

    # --- the parser's callbacks -----------------------------------------------------

    def on_message_begin(self) -> None:
        """Start the clock."""
        self._asking = True
        self._expect(self._limits.head_seconds)

    def on_url(self, part: bytes) -> None:
        """Take a part of the address."""
        self._url += part
        self._count(len(part))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; one sent twice keeps its last value, unless that leaves room."""
        name = name.lower()
        if self._head is not None:  # it comes after the body, and was not there to be admitted
            self._count_trailer(len(name) + len(value))
            return
        if name in self._headers:
            framing.check_repeated(name)
        self._headers[name] = value
        self._header_lines += 1
        self._count(len(name) + len(value))

    def on_headers_complete(self) -> None:
        """Admit the request or refuse it, before its body comes."""
        if upgrades.is_offered(self._parser):
            self._plain_head = upgrades.head_without(self._parser, self._url, self._headers)
            return
        framing.check(self._parser, self._url, self._headers)
        self._head = _head(self._parser.get_method(), self._url, self._headers, self._subject)
        self._size = 0
        self._allowed += self._limits.head_seconds
        try:
            self._call = self.application.admit(self._head)
            length = _announced(self._headers, self._call.most_bytes)
            if length > _SMALL_BODY:
                self._take(length)
        except TfaasError as error:
            self._refusal = error
        else:
            kept = kept_after(self._parser)
            self._known.add(self._raw, self._header_lines, self._head, self._call, kept)
        waits = self._headers.get(b"expect", b"").lower() == b"100-continue"
        if waits and self._refusal:
            raise self._refusal
        if waits:
            self._transport.write(_CONTINUE)

    def on_body(self, part: bytes) -> None:
        """Take a part of the body."""
        self._size += len(part)
        self._progress(len(part))
        if self._refusal:
            if self._size > _MOST_REFUSED:
                raise self._refusal
            return
        if self._call and self._size > self._call.most_bytes:
            raise TooLarge(f"the body has more than {self._call.most_bytes} bytes")
        if self._size > max(self._taken, _SMALL_BODY):
            self._take_more()
        if self._body:  # not a list of parts: clients choose how many there are
            self._body = bytearray(self._body) if isinstance(self._body, bytes) else self._body
            self._body += part
        else:
            self._body = part

    def on_message_complete(self) -> None:
        """Hand the request over."""
        if not self._plain_head:
            self._complete(bytes(self._body), kept_after(self._parser))

    def _complete(self, body: bytes, kept: int) -> None:
        """Have a request answered; answers are written in the order of their requests."""
        head, call, refusal = self._head, self._call, self._refusal
        assert head is not None
        kept = CLOSED if self._last else kept
        request = Request(head, body)
        answer = _Answer(self, kept, request, call, self._taken)
        self._answers.append(answer)
        self._deaf, self._asking, self._has_asked = not kept, False, True
        self._forget()
        if refusal or call is None:
            answer.done(self.application.refuse(refusal or ServerError("not admitted")))
        else:
            call.answer(request, answer.done)
        self._read_or_pause()

    def _receive_if_large(self, call: Call) -> None:
        """Have the rest of a large body of known length received straight into its place."""
        length = self._headers.get(b"content-length", b"")
        if not length.isdigit() or int(length) - self._size < _LARGE_BODY:
            return
        kept = kept_after(self._parser)
        self._parser = httptools.HttpRequestParser(self)  # the other one waits for the body

        def whole(body: bytes) -> None:
            self._receives_large = False
            self._read_by(self)
            self._complete(body, kept)

        begun, self._body = self._body, b""
        self._receives_large = True
        self._gathering.give_back(self)
        self._read_by(LargeBody(self, bytes(begun), int(length), self._progress, whole))

    def _take(self, size: int) -> None:
        """Take room for a body, or for more of it."""
        self.room.take(size)
        self._taken += size

    def _take_more(self) -> None:
        """Take room for more of a body of unknown length."""
        if self._taken + _STEP > self.room.most:
            raise TooLarge(
                f"a body of unknown length may have {self.room.most >> 20} MB: send Content-Length"
            )
        self._take(_STEP)

    def _release(self) -> None:
        """Give back the room of a body that is not worked on."""
        if self._taken:
            self.room.give(self._taken)
            self._taken = 0

    def _read_by(self, protocol: asyncio.BaseProtocol) -> None:
        if self._reading:  # how to read is settled when reading starts
            self._transport.pause_reading()
        self._transport.set_protocol(protocol)
        if self._reading:
            self._transport.resume_reading()

    # --- answers --------------------------------------------------------------------

    def flush(self) -> None:
        """Write the answers that are there, in the order of their requests."""
        answers = self._answers
        while answers and answers[0].response is not None:
            answer = answers.popleft()
            assert answer.response is not None
            self._write(self._bytes(answer, answer.response))
            if not answer.kept:
                answers.clear()
                self._transport.close()
                return
        if not (answers or self._asking or self._stuck):
            self._expect(self._limits.idle_seconds)
        if not answers and self._deaf:
            self._transport.close()
        elif not self._reading:
            self._read_or_pause()

    def _write(self, data: bytes) -> None:
        if self._gathering.is_answering and not self._transport.get_write_buffer_size():
            plain = self._own_socket()
            if plain is not None:
                data = data[self._gathering.send(plain, data) :]
        if data:
            self._transport.write(data)

    def _bytes(self, answer: _Answer, response: Response) -> bytes:
        head = self._heads.of(response, answer.kept)
        return head + response.body if answer.with_body else head

    def _give_up(self, error: TfaasError) -> None:
        """Tell the error after what was asked before it, and close.

        The client may still be sending; what it sends is read and dropped for a moment, since
        closing at once would reset the connection before the answer is read.
        """
        self._deaf = True
        request = Request(self._head, b"") if self._head else None
        answer = _Answer(self, CLOSED, request, self._call)
        self._release()
        self._forget()
        answer.take(self.application.refuse(error))
        if self._answers:
            self._answers.append(answer)
            return
        assert answer.response is not None
        self._transport.write(self._bytes(answer, answer.response))
        if self._transport.can_write_eof():
            self._transport.write_eof()
            self._expect(_LINGER)
        else:
            self._transport.close()

    def _read_or_pause(self) -> None:
        wanted = not self._stuck and len(self._answers) < self._limits.pipelined
        if wanted != self._reading and not self._transport.is_closing():
            self._reading = wanted
            if not self._elsewhere:
                (self._transport.resume_reading if wanted else self._transport.pause_reading)()

    def _count_trailer(self, size: int) -> None:
        self._trailer += size
        if self._trailer > self._limits.head_bytes:
            raise HeadTooLarge(f"the trailer has more than {self._limits.head_bytes} bytes")

    def _count(self, size: int) -> None:
        self._size += size
        if self._size > self._limits.head_bytes:
            raise HeadTooLarge(
                f"address and headers have more than {self._limits.head_bytes} bytes"
            )


class _Answer:
    """The place of an answer in the order of a connection's answers."""

    __slots__ = ("_call", "_connection", "_request", "_since", "_taken", "kept", "response")

    def __init__(
        self,
        connection: Connection,
        kept: int,
        request: Request | None,
        call: Call | None,
        taken: int = 0,
    ) -> None:
        self._connection, self.kept, self._taken = connection, kept, taken
        self._request, self._call = request, call
        self._since = time.perf_counter()
        self.response: Response | None = None

    @property
    def with_body(self) -> bool:
        if self.response is not None and self.response.status == NOT_MODIFIED:
            return False
        return self._request is None or self._request.head.method != "HEAD"

    def done(self, response: Response) -> None:
        self.take(response)
        self._connection.flush()

    def take(self, response: Response) -> None:
        connection = self._connection
        if self._taken:
            connection.room.give(self._taken)
            self._taken = 0
        self.response = connection.application.answered(
            self._request, self._call, response, self._since, connection.client
        )


def _head(method: bytes, url: bytes, headers: dict[bytes, bytes], subject: str) -> Head:
    try:
        parsed = httptools.parse_url(url)
    except httptools.HttpParserInvalidURLError as error:
        told = framing.without_query(url)
        raise RequestError(f"the address {told!r} is not one") from error
    path = (parsed.path or b"").decode("latin-1")
    path = unquote(path) if "%" in path else path
    return Head(method.decode(), path, parsed.query or b"", headers, subject)


def _is_readable(descriptor: int) -> bool:
    if not hasattr(select, "poll"):  # Windows
        return bool(select.select([descriptor], [], [], 0)[0])
    polled = select.poll()
    polled.register(descriptor, select.POLLIN)
    return bool(polled.poll(0))


def _announced(headers: dict[bytes, bytes], most: int) -> int:
    """The length of the body as announced; 0 if it is not."""
    announced = headers.get(b"content-length", b"")
    length = int(announced) if announced.isdigit() else 0
    if length > most:
        raise TooLarge(f"the body has {length} bytes, more than {most}")
    return length


def _told(error: BaseException | None) -> TfaasError:
    """Turn an error within a callback into the error that the client gets."""
    if isinstance(error, TfaasError):
        return error
    _log.error("a connection failed", exc_info=error)
    return ServerError("the server failed on this request; see its log")
