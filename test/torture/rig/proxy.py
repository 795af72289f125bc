"""A proxy before the real API server that does to some requests what a plan says.

It answers with the API server's own certificate, so that a kubeconfig differs by its address only. Every request is in `ledger`, in the
order of arrival. `plan` is asked about each: it returns None (the request goes through) or a function of the exchange that answers it.
"""

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

from harness.hostile import Served

BOOKS = re.compile(r"/(leases|events|selfsubjectaccessreviews)\b")


@dataclasses.dataclass
class Request:
    """One request as it came; `number` counts from 1."""

    number: int
    method: str
    path: str
    headers: dict
    faulted: bool = False

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
    """What a fault has in hand: the request, the way to the real server, and the way back."""

    def __init__(self, handler, request, body):
        self.handler, self.request, self.body = handler, request, body

    def forward(self):
        """Sends the request on and returns the open answer."""
        return self.handler.upstream(self.request, self.body)

    def deliver(self, answer, limit=None, edit=None):
        """Hands an answer on as it comes. After `limit` bytes of the body the connection is cut; `edit` changes the whole body."""
        self.handler.deliver(answer, limit, edit)

    def say(self, status, body, headers=()):
        """Answers instead of the server; a dictionary becomes JSON."""
        self.handler.say(status, json.dumps(body).encode() if isinstance(body, dict) else body, headers)

    def fail(self, status, reason, message, headers=()):
        """Answers with an error as the API server words it."""
        self.say(status, {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "reason": reason, "message": message,
                          "code": status}, headers)

    def reset(self):
        """RST instead of an answer."""
        self.handler.reset()

    def hang(self):
        """No answer until the other side goes away, or the proxy ends."""
        self.handler.connection.settimeout(0.2)
        while not self.handler.server.stopping.is_set():
            try:
                if not self.handler.connection.recv(1):
                    break
            except (TimeoutError, ssl.SSLWantReadError):
                continue
            except OSError:
                break
        self.handler.close_connection = True


class Proxy(Served):
    """`with Proxy(stack) as proxy:`; `proxy.address` goes into the kubeconfig, `proxy.plan` may be changed at any time."""

    def __init__(self, stack, port=22300):
        self.stack, self.plan, self.ledger, self.lock = stack, None, [], threading.Lock()
        self.to = urllib.parse.urlsplit(stack.api_server)
        self.tls = ssl.create_default_context(cafile=stack.api_ca)
        door = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        door.load_cert_chain(stack.folder / "apiserver.crt", stack.folder / "apiserver.key")
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

    def enter(self, method, path, headers):
        """Numbers a request and asks the plan about it: (request, fault or None)."""
        with self.lock:
            request = Request(len(self.ledger) + 1, method, path, headers)
            self.ledger.append(request)
            fault = self.plan(request) if self.plan else None
            request.faulted = fault is not None
        return request, fault


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    up = None

    def setup(self):
        self.request.settimeout(120)
        self.request.do_handshake()
        super().setup()

    def log_message(self, *_):
        pass

    def any(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        request, fault = self.server.proxy.enter(self.command, self.path, dict(self.headers.items()))
        exchange = Exchange(self, request, body)
        try:
            if fault:
                fault(exchange)
            else:
                exchange.deliver(exchange.forward())
        except (OSError, http.client.HTTPException):
            self.close_connection = True

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = any

    def upstream(self, request, body):
        """The server's answer. Over a kept connection that turns out closed it is asked once more, as every client does for an idle one."""
        proxy, headers = self.server.proxy, {k: v for k, v in request.headers.items() if k.lower() not in ("host", "connection", "accept-encoding")}
        for fresh in (self.up is None, True):
            if fresh:
                self.up = http.client.HTTPSConnection(proxy.to.hostname, proxy.to.port, timeout=None if request.watch else 60, context=proxy.tls)
            try:
                self.up.request(request.method, request.path, body or None, headers)
                return self.up.getresponse()
            except http.client.RemoteDisconnected:
                if fresh:
                    raise

    def deliver(self, answer, limit, edit):
        keep = [(k, v) for k, v in answer.getheaders() if k.lower() not in ("transfer-encoding", "content-length", "connection")]
        whole = None if answer.length is None and not edit else answer.read()
        if edit:
            whole = edit(whole)
        self.send_response_only(answer.status)
        for name, value in [*keep, ("Transfer-Encoding", "chunked") if whole is None else ("Content-Length", str(len(whole)))]:
            self.send_header(name, value)
        self.end_headers()
        if whole is not None:
            self.wfile.write(whole if limit is None else whole[:limit])
        else:
            self.stream(answer, limit)
        if limit is not None:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)

    def stream(self, answer, limit):
        passed = 0
        while limit is None or passed < limit:
            piece = answer.read1(65536)
            if limit is not None:
                piece = piece[:limit - passed]
            if not piece:
                self.wfile.write(b"0\r\n\r\n")
                break
            passed += len(piece)
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            self.wfile.flush()

    def say(self, status, body, headers):
        self.send_response_only(status)
        for name, value in [("Content-Type", "application/json"), ("Content-Length", str(len(body))), *headers]:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def reset(self):
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()


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
