"""The proxy's door over HTTP/2: many streams of one connection, each answered by a thread of its own.

TLS is one state for both directions, so whoever reads or writes holds the lock; the reader waits for bytes outside of it.
"""

import http.client
import select
import ssl
import threading

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h2.settings
import hyperframe.frame

from . import proxy as door

STREAMS_MOST = 250  # as the API server says
WINDOW = 65535


class Connection:
    """One connection; `serve` returns when it has ended."""

    def __init__(self, proxy, sock):
        self.proxy, self.sock, self.changed = proxy, sock, threading.Condition()
        self.streams, self.idle, self.open = {}, [], True
        # not select: a long campaign has more than a thousand descriptors
        self.ready = select.poll()
        self.ready.register(sock, select.POLLIN)
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        self.h2.local_settings.max_concurrent_streams = STREAMS_MOST

    def serve(self):
        try:
            with self.changed:
                self.h2.initiate_connection()
                self.flush()
            while data := self.receive():
                with self.changed:
                    for event in self.h2.receive_data(data):
                        self.take(event)
                    self.flush()
        except (OSError, ValueError, h2.exceptions.ProtocolError):
            pass
        finally:
            with self.changed:
                self.open = False
                self.changed.notify_all()

    def receive(self):
        """What came, or nothing at the end."""
        while self.open and not self.proxy.server.stopping.is_set():
            if self.sock.pending() or self.ready.poll(200):
                with self.changed:
                    self.sock.settimeout(0.05)
                    try:
                        return self.sock.recv(65536)
                    except (TimeoutError, ssl.SSLWantReadError):
                        continue
                    finally:
                        self.sock.settimeout(60)
        return b""

    def flush(self):
        data = self.h2.data_to_send()
        if data:
            self.sock.sendall(data)

    def take(self, event):
        if isinstance(event, h2.events.RequestReceived):
            self.streams[event.stream_id] = Stream(self, event.stream_id, event.headers)
        elif isinstance(event, h2.events.DataReceived):
            if event.stream_id in self.streams:
                self.streams[event.stream_id].body += event.data
            self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.StreamEnded):
            threading.Thread(target=self.streams[event.stream_id].answer, daemon=True).start()
        elif isinstance(event, h2.events.StreamReset):
            self.streams.pop(event.stream_id, None)
        elif isinstance(event, h2.events.ConnectionTerminated):
            self.open = False
        self.changed.notify_all()

    def set_window(self, size):
        """How much of the body of a request may come before more is allowed, for streams that begin from now on and those that wait."""
        with self.changed:
            self.h2.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: size})
            self.flush()

    def goaway(self, last):
        """No stream behind `last` was or will be looked at, it says; those before go on."""
        with self.changed:
            frame = hyperframe.frame.GoAwayFrame(0, last_stream_id=last, error_code=h2.errors.ErrorCodes.NO_ERROR)
            self.sock.sendall(frame.serialize())

    def close(self, end):
        with self.changed:
            self.open = False
            end(self.sock)
            self.changed.notify_all()


class Stream:
    """The way back of one request. A stream that is gone is a broken pipe."""

    def __init__(self, connection, number, headers):
        self.connection, self.number, self.body = connection, number, b""
        fields = dict(headers)
        self.method, self.path = fields[":method"], fields[":path"]
        self.headers = {"-".join(w.capitalize() for w in k.split("-")): v for k, v in fields.items() if not k.startswith(":")}

    def answer(self):
        if not self.connection.proxy.exchange(self.method, self.path, self.headers, self.body, self):
            self.leave()
        with self.connection.changed:
            self.connection.streams.pop(self.number, None)

    @property
    def beside(self):
        return len(self.connection.streams)

    def upstream(self, request, body):
        """The server's answer, over a connection of its own."""
        up = self.connection.proxy.connect(request)
        up.request(request.method, request.path, body or None, {**door.passed_on(request.headers), "Connection": "close"})
        return up.getresponse()

    def is_gone(self):
        return not self.connection.open or self.number not in self.connection.streams

    def do(self, act):
        """Something on the connection, while the stream is there."""
        with self.connection.changed:
            if self.is_gone():
                raise BrokenPipeError("the stream is gone")
            try:
                act(self.connection.h2)
                self.connection.flush()
            except h2.exceptions.ProtocolError as error:
                raise BrokenPipeError(str(error)) from error

    def begin(self, status, headers, length):
        fields = [(":status", str(status)), *((k.lower(), v) for k, v in headers)]
        if length is not None:
            fields.append(("content-length", str(length)))
        self.do(lambda h2: h2.send_headers(self.number, fields))

    def dribble(self, status, headers, pause):
        """HEADERS that is gone on with byte by byte: nothing else may come on the connection meanwhile, and nothing does."""
        frame, connection = hyperframe.frame, self.connection
        with connection.changed:
            block = connection.h2.encoder.encode([(":status", str(status)), *((k.lower(), v) for k, v in headers)])
            connection.sock.sendall(frame.HeadersFrame(self.number, block[:1]).serialize())
            for at in range(1, len(block)):
                connection.sock.sendall(frame.ContinuationFrame(self.number, block[at:at + 1]).serialize())
                if pause():
                    break
            connection.open = False

    def room(self):
        """Waits until something may be sent; how much."""
        connection = self.connection
        with connection.changed:
            while not self.is_gone():
                size = min(connection.h2.local_flow_control_window(self.number), connection.h2.max_outbound_frame_size)
                if size > 0:
                    return size
                connection.changed.wait(0.5)
        raise BrokenPipeError("the stream is gone")

    def send(self, piece):
        while piece:
            with self.connection.changed:
                now = piece[:self.room()]
                self.do(lambda h2, now=now: h2.send_data(self.number, now))
            piece = piece[len(now):]

    def end(self):
        self.do(lambda h2: h2.end_stream(self.number))

    def reset(self, code=h2.errors.ErrorCodes.INTERNAL_ERROR):
        """RST_STREAM, as a server sends it whose handler broke off."""
        try:
            self.do(lambda h2: h2.reset_stream(self.number, code))
        except OSError:
            pass  # the connection is gone, and the stream with it

    cut = leave = reset

    def sever(self):
        self.connection.close(door.break_off)

    def gone(self, seconds):
        with self.connection.changed:
            return self.is_gone() or (self.connection.changed.wait(seconds) and self.is_gone())
