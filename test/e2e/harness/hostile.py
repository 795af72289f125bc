"""A registry on its worst day: a proxy before the real one that answers some requests by rules of the test."""

import http.client
import http.server
import re
import threading


class Served:
    """`server` answers inside the with block. A base class of the proxies."""

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.stopping.set()
        self.server.shutdown()
        self.server.server_close()


class Hostile(Served):
    """`with Hostile(upstream) as bad: bad.rule("GET .*/blobs/", bad.status(404))`. Unruled requests go to the upstream registry.

    `requests` holds what came: (method, path, headers). Rules are tried newest first; one made with times=N stops after N answers.
    """

    def __init__(self, upstream=None, port=22400):
        self.upstream, self.rules, self.requests, self.sent_bytes = upstream, [], [], 0
        self.server = _listen(port, self)
        self.address = f"127.0.0.1:{self.server.server_port}"

    def rule(self, pattern, answer, times=None):
        self.rules.insert(0, [re.compile(pattern), answer, times])

    def asked(self, pattern):
        return [r for r in self.requests if re.search(pattern, f"{r[0]} {r[1]}")]

    def forward(self, handler):
        """What the real registry says: (status, headers, body)."""
        connection = http.client.HTTPConnection(self.upstream, timeout=10)
        headers = {k: v for k, v in handler.headers.items() if k.lower() not in ("host", "connection", "authorization")}
        connection.request(handler.command, handler.path, headers=headers)
        response = connection.getresponse()
        body = response.read()
        connection.close()
        return response.status, response.getheaders(), body

    # --- answers -----------------------------------------------------------------------------------------------------

    @staticmethod
    def status(code, body=b"{}", **headers):
        def answer(handler):
            handler.answer(code, [(k.replace("_", "-"), v) for k, v in headers.items()], body)
        return answer

    @staticmethod
    def body(data, content_type):
        return Hostile.status(200, data, Content_Type=content_type)

    def changed(self, change):
        """The real answer with its body changed."""
        def answer(handler):
            status, headers, body = self.forward(handler)
            handler.answer(status, headers, change(body))
        return answer

    def truncated(self):
        def answer(handler):
            status, headers, body = self.forward(handler)
            handler.answer(status, headers, body[:len(body) // 2], length=len(body))
        return answer

    @staticmethod
    def hang(handler):
        handler.server.stopping.wait(60)

    @staticmethod
    def trickle(handler):
        """One byte a second of a body that promises much."""
        handler.head(200, [("Content-Type", "application/vnd.oci.image.manifest.v1+json"), ("Content-Length", "100000")])
        while not handler.server.stopping.wait(1):
            handler.wfile.write(b"x")

    @staticmethod
    def endless(content_type):
        """A body without a length that never ends."""
        def answer(handler):
            handler.head(200, [("Content-Type", content_type)])
            while not handler.server.stopping.is_set():
                handler.wfile.write(b" " * 65536)
                handler.server.hostile.sent_bytes += 65536
        return answer


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def head(self, code, headers):
        self.send_response_only(code)
        for name, value in headers:
            if name.lower() not in ("connection", "transfer-encoding", "date"):
                self.send_header(name, value)
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True

    def answer(self, code, headers, body, length=None):
        headers = [(k, v) for k, v in headers if k.lower() != "content-length"]
        self.head(code, headers + [("Content-Length", str(len(body) if length is None else length))])
        self.wfile.write(body)

    def do_GET(self):
        hostile = self.server.hostile
        hostile.requests.append((self.command, self.path, {k.lower(): v for k, v in self.headers.items()}))
        try:
            for rule in hostile.rules:
                if (rule[2] is None or rule[2] > 0) and rule[0].search(f"{self.command} {self.path}"):
                    if rule[2] is not None:
                        rule[2] -= 1
                    return rule[1](self)
            self.answer(*hostile.forward(self))
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self.do_GET()


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address, hostile):
        self.hostile, self.stopping = hostile, threading.Event()
        super().__init__(address, _Handler)


def _listen(port, hostile):
    """The first free port of a hundred."""
    for number in range(port, port + 100):
        try:
            return _Server(("127.0.0.1", number), hostile)
        except OSError:
            continue
    raise OSError(f"no free port between {port} and {port + 100}")
