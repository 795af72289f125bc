"""What is done to watches and lists beyond cutting them: events doubled, reordered or dropped, lists in small pages, lists of an earlier time."""

import json
import queue
import random
import threading
import time

EXPIRED = {"type": "ERROR", "object": {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Expired", "code": 410,
                                       "message": "too old resource version, by the torture rig"}}


def _lines(answer):
    """A queue of the lines of an open answer; None at its end."""
    out = queue.Queue()

    def read():
        try:
            for line in answer:
                out.put(line)
        except (OSError, ValueError):
            pass
        out.put(None)

    threading.Thread(target=read, daemon=True).start()
    return out


def _batches(lines, stopping, window):
    """What came within `window` seconds after a first line, again and again."""
    while not stopping.is_set():
        try:
            batch = [lines.get(timeout=0.5)]
        except queue.Empty:
            continue
        until = time.monotonic() + window
        while batch[-1] is not None and time.monotonic() < until:
            try:
                batch.append(lines.get(timeout=max(0.01, until - time.monotonic())))
            except queue.Empty:
                break
        yield [line for line in batch if line is not None]
        if batch[-1] is None:
            return


def rewritten(rewrite, window=0.05):
    """A watch whose events pass through `rewrite`: a list of lines becomes a list of lines; an empty line ends the watch."""
    def damage(exchange):
        answer = exchange.forward()
        if answer.status != 200:
            exchange.deliver(answer)
            return
        exchange.begin(200)
        for batch in _batches(_lines(answer), exchange.proxy.server.stopping, window):
            for line in rewrite(batch):
                if not line:
                    exchange.end()
                    return
                exchange.send(line)
        exchange.end()
    return damage


def doubled(batch):
    return [line for one in batch for line in (one, one)]


def _name(line):
    return json.loads(line)["object"]["metadata"].get("name")


def reordered(batch):
    """Another order of objects; the events of one object stay in theirs."""
    names = [_name(line) for line in batch]
    rest = {name: [line for line in batch if _name(line) == name] for name in names}
    random.Random(len(batch)).shuffle(names)
    return [rest[name].pop(0) for name in names]


def dropped(batch):
    """The last change of an object in the batch is not told; then the watch expires, as the API server ends one that it cannot serve whole."""
    if not any(json.loads(line)["type"] in ("MODIFIED", "DELETED") for line in batch):
        return batch
    return [*batch[:-1], json.dumps(EXPIRED).encode() + b"\n", b""]


def small_pages(exchange):
    """Lists come in pages of three."""
    exchange.request.path = exchange.request.path.replace("limit=500", "limit=3")
    exchange.deliver(exchange.forward())


def trickle(exchange):
    """Headers at once, then a byte of the body each half second: less than nothing for whoever waits for the whole."""
    answer = exchange.forward()
    body = answer.read()
    exchange.begin(answer.status, len(body))
    for at in range(len(body)):
        exchange.send(body[at:at + 1])
        if exchange.pause(0.5):
            return
    exchange.leave()
