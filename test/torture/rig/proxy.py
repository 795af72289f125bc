"""A proxy before the real API server that does to some requests what a plan says.

It answers with the API server's own certificate, so that a kubeconfig differs by its address only. Every request is in `ledger`, in the
order of arrival. `plan` is asked about each: it returns None (the request goes through) or a function of the exchange that answers it.
"""

import contextlib
import dataclasses
import http.client
import http.server
import json
import re
import socket
import ssl
import struct
import threading
import urllib.parse
import weakref

from harness.hostile import Served

from . import h2door

BOOKS = re.compile(r"/(leases|events|selfsubjectaccessreviews)\b")


@dataclasses.dataclass
class Request:
    """One request as it came; `number` counts from 1, `beside` the requests under way on its connection, itself included."""

    number: int
    method: str
    path: str
    headers: dict
    faulted: bool = False
    beside: int = 1

    @property
    def governed(self):
        """A write of what Git declares: it is sent as somebody else and carries our id."""
        return self.method != "GET" and "Impersonate-User" in self.headers and "dryRun" not in self.path

    @property
    def mutating(self):
        """A write that a crash can fall before or after: of governed objects and of our own books, but for the lease and events."""
        return self.method != "GET" and "dryRun" not in self.path and not BOOKS.search(self.path.split("?")[0])

    @property
    def watch(self):
        return "watch=" in self.path

    @property
    def list(self):
        return self.method == "GET" and "limit=" in self.path and not self.watch

    def __str__(self):
        return f"#{self.number} {self.method} {self.path.split('?')[0]}"


class Exchange:
    """What a fault has in hand: the request, the way to the real server, and the way back, which is HTTP/1.1 (below) or a stream of HTTP/2 (h2door.py)."""

    def __init__(self, proxy, request, body, way):
        self.proxy, self.request, self.body, self.way = proxy, request, body, way

    def forward(self):
        """Sends the request on and returns the open answer."""
        return self.way.upstream(self.request, self.body)

    def deliver(self, answer, limit=None, edit=None):
        """Hands an answer on as it comes. After `limit` bytes of the body the connection is cut; `edit` changes the whole body."""
        headers = [(k, v) for k, v in answer.getheaders() if k.lower() not in ("transfer-encoding", "content-length", "connection")]
        whole = None if answer.length is None and not edit else answer.read()
        if edit:
            whole = edit(whole)
        self.way.begin(answer.status, headers, None if whole is None else len(whole))
        left = limit
        for piece in [whole] if whole is not None else iter(lambda: answer.read1(65536), b""):
            self.way.send(piece if left is None else piece[:left])
            if left is not None and (left := left - len(piece)) <= 0:
                break
        self.way.end() if limit is None else self.way.cut()

    def say(self, status, body, headers=()):
        """Answers instead of the server; a dictionary becomes JSON."""
        body = json.dumps(body).encode() if isinstance(body, dict) else body
        self.way.begin(status, [("Content-Type", "application/json"), *headers], len(body))
        self.way.send(body)
        self.way.end()

    def fail(self, status, reason, message, headers=()):
        """Answers with an error as the API server words it."""
        self.say(status, {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "reason": reason, "message": message,
                          "code": status}, headers)

    def begin(self, status, length=None):
        """Begins an answer of JSON by hand; send, end and cut follow."""
        self.way.begin(status, [("Content-Type", "application/json")], length)

    def dribble(self, answer, seconds):
        """The head of an answer, a byte at a time, with so long a pause after each."""
        headers = [(k, v) for k, v in answer.getheaders() if k.lower() not in ("transfer-encoding", "connection")]
        self.way.dribble(answer.status, headers, lambda: self.pause(seconds))

    def send(self, piece):
        self.way.send(piece)

    def end(self):
        self.way.end()

    def cut(self):
        """The end in the middle of an answer."""
        self.way.cut()

    def reset(self):
        """RST instead of an answer."""
        self.way.reset()

    def sever(self):
        """RST of the connection, with all that goes over it."""
        self.way.sever()

    def leave(self):
        """The end without an answer: whoever asked is no more."""
        self.way.leave()

    def pause(self, seconds):
        """Lets time pass; whether the proxy ends."""
        return self.proxy.server.stopping.wait(seconds)

    def hang(self):
        """No answer until the other side goes away, or the proxy ends."""
        while not self.proxy.server.stopping.is_set() and not self.way.gone(0.2):
            pass
        self.way.leave()


class Proxy(Served):
    """`with Proxy(stack) as proxy:`; `proxy.address` goes into the kubeconfig, `proxy.plan` may be changed at any time. `h2`: as the API server does, it
    offers HTTP/2, too."""

    def __init__(self, stack, port=22300, h2=False):
        self.stack, self.plan, self.ledger, self.lock, self.ups = stack, None, [], threading.Lock(), weakref.WeakSet()
        self.to = urllib.parse.urlsplit(stack.api_server)
        self.tls = ssl.create_default_context(cafile=stack.api_ca)
        door = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        door.load_cert_chain(stack.folder / "apiserver.crt", stack.folder / "apiserver.key")
        door.set_alpn_protocols(["h2", "http/1.1"] if h2 else ["http/1.1"])
        self.server = _listen(port, self, door)
        self.address = f"https://127.0.0.1:{self.server.server_port}"

    def mutations(self):
        """How many writes have come, but for the lease and events."""
        return sum(request.mutating for request in list(self.ledger))

    def kubeconfig(self, installation, file):
        """A kubeconfig of the installation that leads here."""
        installation.kubeconfig(file)
        text = file.read_text()
        file.write_text(text.replace(installation.kube.server, self.address))
        return file

    def exchange(self, method, path, headers, body, way):
        """Numbers a request, asks the plan about it, and has it answered; False when the way back broke."""
        with self.lock:
            request = Request(len(self.ledger) + 1, method, path, headers, beside=way.beside)
            self.ledger.append(request)
            fault = self.plan(request) if self.plan else None
            request.faulted = fault is not None
        exchange = Exchange(self, request, body, way)
        try:
            fault(exchange) if fault else exchange.deliver(exchange.forward())
        except (OSError, http.client.HTTPException):
            return False
        return True

    def connect(self, request):
        """A new connection to the real server."""
        up = http.client.HTTPSConnection(self.to.hostname, self.to.port, timeout=None if request.watch else 60, context=self.tls)
        up.connect()
        self.ups.add(up.sock)
        return up

    def cut(self):
        """Ends what stands of connections to the real server, as when that is restarted."""
        for up in list(self.ups):
            with contextlib.suppress(OSError):
                up.shutdown(socket.SHUT_RDWR)

    def __exit__(self, *why):
        super().__exit__(*why)
        # a watch whose other side went away reads on until the server ends it
        self.cut()


def passed_on(headers):
    """Headers of a request that go on to the server."""
    return {k: v for k, v in headers.items() if k.lower() not in ("host", "connection", "accept-encoding")}


class _Handler(http.server.BaseHTTPRequestHandler):
    """One connection of HTTP/1.1, which is the way back of its requests, too; one of HTTP/2 is handed on."""

    protocol_version = "HTTP/1.1"
    up = last = None
    beside = 1

    def setup(self):
        self.request.settimeout(120)
        self.request.do_handshake()
        super().setup()

    def log_message(self, *_):
        pass

    def handle(self):
        if self.request.selected_alpn_protocol() == "h2":
            h2door.Connection(self.server.proxy, self.request).serve()
        else:
            super().handle()

    def any(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        if not self.server.proxy.exchange(self.command, self.path, dict(self.headers.items()), body, self):
            self.close_connection = True

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = any

    def upstream(self, request, body):
        """The server's answer. Over a kept connection that turns out closed it is asked once more, as every client does for an idle one; one whose last
        answer nobody read is of no use."""
        for fresh in (self.last is None or not self.last.isclosed(), True):
            if fresh:
                self.up = self.server.proxy.connect(request)
            try:
                self.up.request(request.method, request.path, body or None, passed_on(request.headers))
                self.last = self.up.getresponse()
                return self.last
            except http.client.RemoteDisconnected:
                if fresh:
                    raise

    # --- the way back ---

    def begin(self, status, headers, length):
        self.chunked = length is None
        self.send_response_only(status)
        for name, value in [*headers, ("Transfer-Encoding", "chunked") if self.chunked else ("Content-Length", str(length))]:
            self.send_header(name, value)
        self.end_headers()

    def send(self, piece):
        if piece:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece) if self.chunked else piece)
            self.wfile.flush()

    def end(self):
        if self.chunked:
            self.wfile.write(b"0\r\n\r\n")

    def dribble(self, status, headers, pause):
        head = f"HTTP/1.1 {status} X\r\n" + "".join(f"{k}: {v}\r\n" for k, v in headers) + "\r\n"
        self.close_connection = True
        for byte in head.encode():
            self.wfile.write(bytes([byte]))
            self.wfile.flush()
            if pause():
                return

    def cut(self):
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def reset(self):
        self.close_connection = True
        break_off(self.connection)

    sever = reset

    def leave(self):
        self.close_connection = True

    def gone(self, seconds):
        self.connection.settimeout(seconds)
        try:
            return not self.connection.recv(1)
        except (TimeoutError, ssl.SSLWantReadError):
            return False
        except OSError:
            return True


def break_off(connection):
    """Ends a connection with RST."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address, proxy, door):
        self.proxy, self.stopping, self.door = proxy, threading.Event(), door
        super().__init__(address, _Handler)

    def get_request(self):
        connection, address = super().get_request()
        # the handshake is done in the handler's thread: a slow one holds nobody up
        return self.door.wrap_socket(connection, server_side=True, do_handshake_on_connect=False), address

    def handle_error(self, *_):
        pass


def _listen(port, proxy, door):
    """The first free port of a hundred."""
    for number in range(port, port + 100):
        try:
            return _Server(("127.0.0.1", number), proxy, door)
        except OSError:
            continue
    raise OSError(f"no free port between {port} and {port + 100}")
