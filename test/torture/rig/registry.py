"""The faults of a registry, at a door before the real one (harness/hostile.py): each tells lies, or nothing, or not now."""

import json
import socket
import struct
import threading

from harness.hostile import Hostile

from .plans import Plan

# --- which requests ---

INDEX = "application/vnd.oci.image.index.v1+json"
TAG, REFERRERS, MANIFEST = r"GET /v2/.*/manifests/1$", r"GET /v2/.*/referrers/", r"GET /v2/.*/manifests/sha256:"
BLOB, LEGACY, ANY = r"GET /v2/.*/blobs/", r"GET /v2/.*/manifests/sha256-[0-9a-f]{64}\.sig$", "GET /v2/"


# --- what is done to them: functions of the door that make an answer ---

def status(code, **headers):
    return lambda bad: bad.status(code, **headers)


def reset(bad):
    def answer(handler):
        handler.close_connection = True
        handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        handler.connection.close()
    return answer


def raw(head):
    """These bytes, and the end."""
    def answer(handler):
        handler.close_connection = True
        handler.wfile.write(head)
    return lambda bad: answer


def slow_headers(bad):
    """The real answer, whose head comes a byte at a time: twenty a second."""
    def answer(handler):
        code, headers, body = bad.forward(handler)
        head = f"HTTP/1.1 {code} OK\r\n" + "".join(f"{k}: {v}\r\n" for k, v in headers) + "\r\n"
        handler.close_connection = True
        for at in range(len(head)):
            handler.wfile.write(head[at:at + 1].encode())
            handler.wfile.flush()
            if handler.server.stopping.wait(0.05):
                return
        handler.wfile.write(body)
    return answer


def slowly(seconds):
    """The real answer, late: not so late that it would be none."""
    def made(bad):
        def answer(handler):
            if not handler.server.stopping.wait(seconds):
                handler.answer(*bad.forward(handler))
        return answer
    return made


def other_bytes(bad):
    return bad.changed(lambda body: body.replace(b"a", b"b"))


def another_digest(bad):
    def answer(handler):
        code, headers, body = bad.forward(handler)
        headers = [(k, v) for k, v in headers if k.lower() != "docker-content-digest"]
        handler.answer(code, [*headers, ("Docker-Content-Digest", "sha256:" + "0" * 64)], body)
    return answer


def many(bad):
    listed = [{"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": f"sha256:{i:064x}", "size": 7,
               "artifactType": "application/vnd.dev.sigstore.bundle.v0.3+json"} for i in range(10000)]
    return bad.body(json.dumps({"schemaVersion": 2, "manifests": listed}).encode(), INDEX)


def redirect(to):
    return lambda bad: lambda handler: handler.answer(307, [("Location", to(handler))], b"")


def challenge(text):
    return lambda bad: bad.status(401, WWW_Authenticate=text.replace("DOOR", bad.address))


def token_of(answer):
    """A token is asked for, and the token server answers so."""
    def made(bad):
        bad.rule("GET /token", answer(bad))
        return challenge('Bearer realm="http://DOOR/token",service="s"')(bad)
    return made


def mixed(bad):
    """A run of failures, each another: what is behind a dying load balancer."""
    answers = [bad.status(502), reset(bad), bad.status(504), bad.status(500), bad.truncated()]
    asked = iter(range(10 ** 6))
    return lambda handler: answers[next(asked) % len(answers)](handler)


# --- the plans ---

class RegistryFault(Plan):
    """`make(door)` answers requests that match, every `every`-th, at most `times` times. More than twice the usual number of requests and `each` for
    every fault is a storm."""

    def __init__(self, name, pattern, make, every=1, times=None, each=8):
        self.name, self.pattern, self.make, self.every, self.times, self.each = f"registry: {name}", pattern, make, every, times, each
        self.seen, self.lock = 0, threading.Lock()

    def begin(self, run):
        super().begin(run)
        self.damage = self.make(run.door)
        run.door.rule(self.pattern, self.answer)

    def answer(self, handler):
        with self.lock:
            self.seen += 1
            hit = not (self.seen - 1) % self.every and (self.times is None or len(self.fired) < self.times)
            if hit:
                self.fired.append(f"{handler.command} {handler.path}")
        if hit:
            self.damage(handler)
        else:
            handler.answer(*self.run.door.forward(handler))

    def judge(self, reference, seen):
        usual, asked = len(reference.door.requests), len(seen.door.requests)
        limit = 2 * usual + self.each * len(self.fired)
        return super().judge(reference, seen) or (f"a storm: {asked} requests, without the fault {usual}, accepted {limit}" if asked > limit else "")


def registry_faults():
    """A new set: a plan is used once."""
    return [
        RegistryFault("a run of 503", ANY, status(503), times=3),
        RegistryFault("429 with Retry-After 1", ANY, status(429, Retry_After="1"), every=3, times=9),
        RegistryFault("reset, each second request", ANY, reset, every=2, times=4),
        RegistryFault("answers cut", ANY, lambda bad: bad.truncated(), every=4, times=4),
        RegistryFault("blobs of other bytes", BLOB, other_bytes, times=2),
        RegistryFault("another digest promised", TAG, another_digest, every=2, times=2),
        RegistryFault("401 with garbage", ANY, challenge('Bearer realm="\\,,= \x01\xff'), times=2),
        RegistryFault("the signature gone", f"{REFERRERS}|{LEGACY}", status(404), times=2),
        RegistryFault("a request hangs", ANY, lambda bad: bad.hang, times=1),
        RegistryFault("headers one byte at a time", MANIFEST, slow_headers, times=1),
        RegistryFault("late answers", ANY, slowly(1.5), every=2, times=6),
    ]
