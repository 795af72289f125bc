"""What the controller serves over HTTP, asked as a probe and a scraper ask."""

import http.client
import re
import socket
import subprocess

LINE = re.compile(r'^(\w+)(?:\{(.*)\})? (\S+)$')
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def free_port():
    """A port of the loopback that nobody listens on, below those that the kernel hands out."""
    for port in range(31000, 32700):
        with socket.socket() as s:
            if s.connect_ex(("127.0.0.1", port)) != 0:
                try:
                    s.close()
                    with socket.socket() as taken:
                        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                        taken.bind(("127.0.0.1", port))
                        return port
                except OSError:
                    continue
    raise AssertionError("no free port")


class Web:
    """The listener of one controller."""

    def __init__(self, port, host="127.0.0.1"):
        self.host, self.port = host, port

    @property
    def address(self):
        return f"{self.host}:{self.port}"

    def get(self, path, method="GET", seconds=10):
        """(status, body); a refused or cut connection is (0, why)."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=seconds)
        try:
            connection.request(method, path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        except (OSError, http.client.HTTPException) as error:
            return 0, repr(error)
        finally:
            connection.close()

    def raw(self, data, seconds=10):
        """Sends the bytes as they are and returns all that comes back until the end."""
        with socket.create_connection((self.host, self.port), seconds) as s:
            out = b""
            try:
                s.sendall(data)
                while piece := s.recv(65536):
                    out += piece
            except ConnectionError:
                pass
            return out

    def metrics(self):
        """{(name, frozenset of label pairs): value} of /metrics, each line checked."""
        status, text = self.get("/metrics")
        assert status == 200, (status, text)
        return parse(text)


def parse(text):
    out = {}
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        match = LINE.match(line)
        assert match, f"no line of Prometheus' format: {line}"
        key = match[1], frozenset(LABEL.findall(match[2] or ""))
        assert key not in out, f"twice: {line}"
        out[key] = float(match[3])
    return out


def total(metrics, family, /, **labels):
    """The sum of all series of that name that carry the labels; 0 when there are none."""
    return sum(value for (name, have), value in metrics.items() if name == family and set(labels.items()) <= have)


def promtool(*arguments, text=None):
    """Runs the real promtool; returns (exit code, what it said)."""
    done = subprocess.run(["promtool", *arguments], input=text, text=True, capture_output=True, timeout=60)
    return done.returncode, done.stdout + done.stderr
