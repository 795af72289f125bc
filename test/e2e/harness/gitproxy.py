"""A door before the real Git server that damages or delays what comes back."""

import http.client
import http.server
import threading
import urllib.parse

from .hostile import Served


class GitProxy(Served):
    """A door before the real Git server; `damage` (bytes → bytes, or None to cut the connection after them) falls on answers to fetches; `slow`: seconds
    between two bytes of the head of any answer; `silent`: no request is answered; `stalled`: packs stop half way; `drip`: bytes of a pack in a second.
    What a request waits in is counted in
    `held` for as long as the other side waits, too."""

    def __init__(self, upstream, port=22450):
        self.upstream, self.damage, self.slow, self.hits = urllib.parse.urlsplit(upstream).netloc, None, 0, 0
        self.silent, self.stalled, self.drip, self.held = False, False, 0, 0
        self.server = next(s for s in (listen(port + n, self) for n in range(100)) if s)
        self.address = f"127.0.0.1:{self.server.server_port}"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def pass_on(self):
        proxy = self.server.proxy
        if proxy.silent:
            self.hold()
            return
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        if self.headers.get("Transfer-Encoding") == "chunked":
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        connection = http.client.HTTPConnection(proxy.upstream, timeout=20)
        connection.request(self.command, self.path, body, {k: v for k, v in self.headers.items() if k.lower() not in ("host", "transfer-encoding")})
        answer = connection.getresponse()
        data, cut = answer.read(), False
        if proxy.damage and b"PACK" in data:
            proxy.hits += 1
            damaged = proxy.damage(data)
            cut, data = len(damaged) < len(data), damaged
        head = [(k, v) for k, v in answer.getheaders() if k.lower() not in ("transfer-encoding", "content-length", "connection")]
        head.append(("Content-Length", str(len(data) + (1000 if cut else 0))))
        try:
            self.begin(answer.status, head)
            if proxy.stalled and b"PACK" in data:
                proxy.hits += 1
                self.wfile.write(data[:len(data) // 2])
                self.hold()
                return
            if proxy.drip and b"PACK" in data:
                self.trickle(data)
                return
            self.wfile.write(data)
        except OSError:
            self.close_connection = True
        if cut:
            self.close_connection = True

    def begin(self, status, head):
        text = f"HTTP/1.1 {status} OK\r\n" + "".join(f"{k}: {v}\r\n" for k, v in head) + "\r\n"
        proxy = self.server.proxy
        for at in range(len(text) if proxy.slow else 0):
            self.wfile.write(text[at:at + 1].encode())
            self.wfile.flush()
            proxy.hits += at == 0
            if self.server.stopping.wait(proxy.slow):
                break
        if not proxy.slow:
            self.wfile.write(text.encode())

    def trickle(self, data):
        proxy = self.server.proxy
        proxy.held += 1
        try:
            for at in range(0, len(data), proxy.drip // 4):
                self.wfile.write(data[at:at + proxy.drip // 4])
                if self.server.stopping.wait(0.25):
                    break
        finally:
            proxy.held -= 1

    def hold(self):
        """Says nothing more until the other side has gone, or the proxy ends."""
        proxy, self.close_connection = self.server.proxy, True
        proxy.held += 1
        self.connection.settimeout(0.1)
        while not self.server.stopping.is_set():
            try:
                if not self.connection.recv(65536):
                    break
            except TimeoutError:
                continue
            except OSError:
                break
        proxy.held -= 1

    do_GET = do_POST = pass_on


def listen(port, proxy):
    try:
        server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
    except OSError:
        return None
    server.daemon_threads, server.proxy, server.stopping = True, proxy, threading.Event()
    return server
