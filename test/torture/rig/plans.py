"""The faults. A plan is asked about every request and answers None, or a function of the exchange that does the damage (see proxy.py).

To add a fault: write the function (`damage`), name what it falls on (`which`, a function of the request) and how often, and put a line into
FAULTS. The oracle does the rest.
"""

import json
import random
import re
import threading
import time

from harness.wait import until

from .streams import doubled, dropped, reordered, rewritten, small_pages, trickle


NEVER = "the fault never took place"
OBJECT = re.compile(r"/namespaces/app-[^/]+/[a-z]+/[^/]+$")


class Plan:
    """The base: no fault. `again`: how many requests more than usual are accepted per object and phase; `h2`: the API server speaks HTTP/2."""

    again, h2 = 0, False

    def begin(self, run):
        self.run, self.fired = run, []

    def end(self):
        pass

    def phase(self, name):
        pass

    def settle(self):
        pass

    def __call__(self, request):
        return None

    def repeats(self, name):
        return self.again

    def invented(self):
        """How many answers to governed writes were not the API server's own."""
        return 0

    def judge(self, reference, seen):
        """What this plan demands beyond the comparison: the text of what is wrong, or ""."""
        return "" if self.fired else NEVER


class Crash(Plan):
    """SIGKILL at the n-th mutating request of every phase: before it reaches the server, or when its answer is about to come back.

    who: "core", which the supervisor starts again; "all": every process at once, started again by us; "dead": all, not started again.
    """

    again = 1

    def __init__(self, n, when, who, which=lambda request: request.mutating):
        self.n, self.when, self.who, self.name = n, when, who, f"crash {when} request {n} of each phase, {who}"
        self.which, self.current = which, None
        self.seen, self.busy, self.lock = 0, None, threading.Lock()

    def phase(self, name):
        with self.lock:
            self.seen, self.current = 0, name

    def __call__(self, request):
        if self.current is None or not self.which(request):
            return None
        with self.lock:
            self.seen += 1
            if self.seen != self.n:
                return None
            self.fired.append(f"{self.current}: {request}")
            self.busy = threading.Event()
            return self.crash

    def crash(self, exchange):
        controller = self.run.site.controller
        try:
            if self.when == "after":
                exchange.forward().read()
            if self.who == "core":
                controller.kill_role("core")
            else:
                controller.kill()
                if self.who == "all":
                    controller.start(wait=False)
        finally:
            exchange.leave()
            self.busy.set()

    def settle(self):
        busy = self.busy
        if busy:
            assert busy.wait(60), "the crash did not end"
        until("the controller to run", self.run.site.controller.running, seconds=20)


class Fault(Plan):
    """`damage` to every request of `which`, from the `first` such on, every `every`-th, at most `times` times in the run. More than `more` times
    the usual number of requests and `each` for every damage is a storm. `within`: only in these phases."""

    def __init__(self, name, which, damage, first=1, every=1, times=None, again=0, more=2.0, each=10, within=None):
        self.name, self.which, self.damage, self.first, self.every, self.times, self.again = name, which, damage, first, every, times, again
        self.within, self.more, self.each, self.seen, self.to_writes, self.lock = within, more, each, 0, 0, threading.Lock()

    def __call__(self, request):
        if not self.which(request) or (self.within and self.run.phase not in self.within):
            return None
        with self.lock:
            self.seen += 1
            if self.seen < self.first or (self.seen - self.first) % self.every or (self.times is not None and len(self.fired) >= self.times):
                return None
            self.fired.append(str(request))
            self.to_writes += request.governed
        return self.damage

    def repeats(self, name):
        """With `again`: as often as the answer about this object (resource/name) was taken away."""
        return self.again * sum(request.endswith("/" + name) for request in self.fired)

    def invented(self):
        return self.to_writes

    def judge(self, reference, seen):
        if not self.fired:
            return NEVER
        usual, asked = len(reference.proxy.ledger), len(seen.proxy.ledger)
        limit = usual * self.more + self.each * len(self.fired)
        return f"a storm: {asked} requests, without the fault {usual}, accepted {limit:g}" if asked > limit else ""


class Outage(Fault):
    """From the `first` request on nothing is answered for `seconds`: every connection is reset, watches too. The controller's own clock runs
    `pace` times as fast (base/clock.h, in the sanitized build)."""

    def __init__(self, name, first, seconds, pace=None):
        super().__init__(name, lambda request: True, lambda exchange: exchange.sever(), again=1)
        self.first, self.seconds, self.until, self.pace = first, seconds, None, pace

    def begin(self, run):
        super().begin(run)
        run.site.controller.pace = self.pace

    def repeats(self, name):
        return self.again

    def __call__(self, request):
        with self.lock:
            self.seen += 1
            if self.seen >= self.first and self.until is None:
                self.until = time.monotonic() + self.seconds
            if self.until is None or time.monotonic() > self.until:
                return None
            self.fired.append(str(request))
        return self.damage


class Pages(Fault):
    """Lists of managed objects come in pages of three, and each `every`-th continuation is refused: its token is too old. The
    controller is started again before the drift is made, so that there is something to list."""

    def __init__(self, name, every, times):
        super().__init__(name, lambda request: request.list and "/apis/countersign.dev/" not in request.path, small_pages, more=4)
        self.pages, self.refused, self.expired, self.times_refused = 0, 0, every, times

    def phase(self, name):
        if name == "drift":
            self.run.site.controller.restart()

    def __call__(self, request):
        damage = super().__call__(request)
        if damage is None or "continue=" not in request.path:
            return damage
        with self.lock:
            self.pages += 1
            if self.pages % self.expired or self.refused >= self.times_refused:
                return damage
            self.refused += 1
        return status(410, "Expired")

    def judge(self, reference, seen):
        return super().judge(reference, seen) or ("" if self.refused else "no continuation was refused")


class StaleLists(Plan):
    """The controller is killed and started again before the drift is made; then each kind's first list is that of an earlier time, the watch goes
    on from there, as a lagging API server answers. What it declares anew may be applied once more."""

    again, name = 1, "lists of an earlier time after a restart"

    def begin(self, run):
        super().begin(run)
        self.old, self.back, self.lock = {}, None, threading.Lock()

    def phase(self, name):
        if name == "update":
            self.remember()
        if name == "drift":
            self.run.site.controller.kill()
            self.back = set(self.old)
            self.run.site.controller.start()
            until("the earlier lists to be told", lambda: len(self.fired) >= len(self.old), seconds=30)

    def remember(self):
        """The lists of managed objects as they are now, by the paths that the controller asked for; not those of what nobody manages."""
        for request in list(self.run.proxy.ledger):
            kind = request.path.split("?")[0].rsplit("/", 1)[1]
            if request.list and "=%21" not in request.path and kind in ("configmaps", "services", "deployments") and request.path not in self.old:
                self.old[request.path] = self.run.kube.request("GET", request.path)

    def __call__(self, request):
        with self.lock:
            if not self.back or request.path not in self.back:
                return None
            self.back.discard(request.path)
        self.fired.append(str(request))
        return lambda exchange: exchange.say(200, self.old[request.path])


class LogFault(Plan):
    """The n-th call of a place in the log's writer fails (fault points of the sanitized build, controller/base/fault.h)."""

    again = 1

    SAYS = {"eio": "Input/output error", "enospc": "No space left on device", "kill": "signal 9"}

    def __init__(self, place, what, n):
        self.place, self.what, self.n, self.name = place, what, n, f"log: call {n} of {place} gives {what}"

    def begin(self, run):
        super().begin(run)
        run.site.controller.fault = f"{self.place}:{self.what}:{self.n}"

    def end(self):
        said = self.run.site.controller.output.read_text(errors="replace").splitlines()
        self.fired = [line for line in said if self.SAYS[self.what] in line]


# --- which requests ---

def governed(request):
    return request.governed


def own_books(request):
    return request.mutating and not request.governed


def reads(request):
    return request.method == "GET" and not request.watch


def object_reads(request):
    """Of one managed object: a look before a deletion, or after a watch told that it is gone."""
    return reads(request) and OBJECT.search(request.path.split("?")[0]) is not None


def lists(request):
    return request.list


def watches(request):
    return request.watch


def ordinary(request):
    return not request.watch and "/leases/" not in request.path


# --- what is done to them ---

def cut_after(size):
    """The connection ends in the middle: after so many bytes of the body."""
    return lambda exchange: exchange.deliver(exchange.forward(), limit=size)


def half(exchange):
    """The first half of the body, and the length of the whole."""
    answer = exchange.forward()
    body = answer.read()
    exchange.begin(answer.status, len(body))
    exchange.send(body[:len(body) // 2])
    exchange.cut()


def broken_json(exchange):
    """A body that ends early, with a length that says so is right."""
    exchange.deliver(exchange.forward(), edit=lambda body: body[:len(body) * 2 // 3])


def lost_answer(exchange):
    """It was done, and nobody says so."""
    exchange.forward().read()
    exchange.reset()


def status(code, reason, *headers):
    """Nothing was done; the server says so."""
    return lambda exchange: exchange.fail(code, reason, f"{reason}, by the torture rig", headers)


def away(code="429", after="1"):
    """The server sends it away unheard."""
    reasons = {"429": "TooManyRequests", "503": "ServiceUnavailable"}
    return status(int(code), reasons[code], *([("Retry-After", after)] if after else []))


def not_found_unsaid(exchange):
    """500 where the server says 404: that an object is gone is not told."""
    answer = exchange.forward()
    if answer.status == 404:
        exchange.fail(500, "InternalError", "no 404, by the torture rig")
    else:
        exchange.deliver(answer)


def not_served(exchange):
    """404 as of a path that a server does not know: it says nothing of the object."""
    page = b"404 page not found\n"
    exchange.begin(404, len(page))
    exchange.send(page)
    exchange.end()


def expired_in_stream(exchange):
    """410 inside a watch that began well, as the API server sends it: HTTP 200 and an event ERROR."""
    event = {"type": "ERROR", "object": {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Expired", "code": 410,
                                         "message": "too old resource version, by the torture rig"}}
    exchange.say(200, json.dumps(event).encode() + b"\n")


def slow_head(exchange):
    """Done, and the head of the answer comes a byte each half second."""
    exchange.dribble(exchange.forward(), 0.5)


def slow(exchange):
    """An answer after two seconds."""
    time.sleep(2)
    exchange.deliver(exchange.forward())


def faults():
    """A new set: a plan is used once."""
    return [
        Fault("watches cut after 1 KB (FIN), each second one", watches, cut_after(1024), every=2, times=40, more=4),
        Fault("watches reset at once", watches, lambda e: e.reset(), every=2, times=40, more=4),
        Fault("watch events doubled", watches, rewritten(doubled)),
        Fault("watch events in another order of objects", watches, rewritten(reordered, window=0.4)),
        Fault("watch events dropped, then 410", watches, rewritten(dropped, window=0.4), first=8, every=2, times=20, more=4),
        Fault("504 of a version that is yet to come, to watches", watches, status(504, "Timeout", ("Retry-After", "1")), every=2, times=15, more=1.3, each=3),
        Pages("410 to the continuation of lists", 2, 10),
        StaleLists(),
        Fault("410 to watches", watches, status(410, "Expired"), first=3, every=3, times=20, more=4),
        Fault("410 inside watches", watches, expired_in_stream, first=3, every=3, times=20, more=4),
        Fault("429 with Retry-After 1", ordinary, away(), first=20, every=8, times=25, more=1.3, each=3),
        Fault("429 with Retry-After 1 to writes", governed, away(), every=3, times=15, more=1.3, each=3),
        Fault("429 with Retry-After 1 to reads", reads, away(), first=10, every=5, times=25, more=1.3, each=3),
        Fault("429 with Retry-After 1 to lists", lists, away(), every=2, times=15, more=1.3, each=3),
        Fault("429 with Retry-After 1 to watches", watches, away(), every=2, times=15, more=1.3, each=3),
        Fault("429 with Retry-After 1 to our books", own_books, away(), every=2, times=25, more=1.3, each=3),
        Fault("429 that names no time", ordinary, away(after=""), first=20, every=8, times=25, more=1.3, each=3),
        Fault("429 with Retry-After 0, five in a row", reads, away(after="0"), first=30, times=5, more=1.3, each=3),
        Fault("429 with a date in the past", ordinary, away(after="Wed, 21 Oct 2015 07:28:00 GMT"), first=20, every=8, times=25, more=1.3, each=3),
        Fault("429 with a negative Retry-After", ordinary, away(after="-7"), first=20, every=8, times=25, more=1.3, each=3),
        Fault("503 with Retry-After 1", ordinary, away("503"), first=20, every=8, times=25, more=1.3, each=3),
        Fault("503 with Retry-After 1 to watches", watches, away("503"), every=2, times=15, more=1.3, each=3),
        Fault("a run of 503 to everything but watches", ordinary, status(503, "ServiceUnavailable"), first=40, times=12),
        Fault("a run of 500 to writes", governed, status(500, "InternalError"), first=5, times=4),
        Fault("504 to reads", reads, status(504, "Timeout"), first=20, every=10, times=12),
        Fault("409 to writes", governed, status(409, "Conflict"), first=4, every=6, times=6),
        Fault("writes done, answer lost", governed, lost_answer, first=2, every=4, times=12, again=1),
        Fault("our books written, answer lost", own_books, lost_answer, first=2, every=4, times=12),
        Fault("writes reset before they arrive", governed, lambda e: e.reset(), first=2, every=4, times=12),
        Fault("500 where an object is gone", object_reads, not_found_unsaid, every=2, within=("prune", "drift", "deletion")),
        Fault("404 of a path that is not served, to reads of objects", object_reads, not_served, every=2, times=5),
        Fault("404 of a path that is not served, to writes", governed, not_served, first=3, every=5, times=8),
        Fault("lists cut in half", lists, half, every=2, times=15),
        Fault("reads cut in half", reads, half, first=10, every=6, times=15),
        *(Fault(f"reads cut after {n} bytes", reads, cut_after(n), first=10, every=6, times=12) for n in (0, 1, 57, 400)),
        *(Fault(f"answers to writes cut after {n} bytes", governed, cut_after(n), first=3, every=5, times=8, again=1) for n in (0, 1, 57, 400)),
        Fault("an answer to a read trickles", reads, trickle, first=60, times=1),
        Fault("an answer to a write trickles", governed, trickle, first=6, times=1, again=1),
        Fault("reads with broken JSON", reads, broken_json, first=10, every=6, times=15),
        Fault("answers to writes with broken JSON", governed, broken_json, first=3, every=5, times=8, again=1),
        Fault("the head of an answer to a read comes byte by byte", reads, slow_head, first=60, times=1),
        Fault("the head of an answer to a write comes byte by byte", governed, slow_head, first=6, times=1, again=1),
        Fault("401 once", ordinary, status(401, "Unauthorized"), first=60, times=1),
        Fault("401 to a write once", governed, status(401, "Unauthorized"), first=8, times=1),
        Fault("slow answers to writes", governed, slow, every=6, times=6),
        Fault("a write hangs", governed, lambda e: e.hang(), first=6, times=1, again=1),
        Outage("away for 5 s in the middle of the first sync", 60, 5),
        Outage("away for 12 s, longer than the lease may go without renewal", 150, 12),
        Outage("away for 10 minutes of the controller's own clock", 150, 40, pace=15),
        Fault("a read hangs", reads, lambda e: e.hang(), first=60, times=1),
    ]


def crashes(most):
    """All n up to the most mutating requests that a phase has, before and after, of core and of the whole."""
    return [Crash(n, when, who) for n in range(1, most + 1) for when in ("before", "after") for who in ("core", "all")]


def log_faults():
    """Calls between the start of the log and the end of the workload. With an earlier one that fails the program refuses to start."""
    calls = {"log.fdatasync": (6, 9, 12, 16), "log.write": (10, 14, 20), "log.tile": (10, 16), "log.rename": (8, 14)}
    return [LogFault(place, what, n) for place, numbers in calls.items() for n in numbers for what in ("eio", "enospc")]


def sample(plans, count, seed):
    return random.Random(seed).sample(plans, min(count, len(plans)))
