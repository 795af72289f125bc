"""Faults over HTTP/2, where requests share connections: those of plans.py again, and those that only streams have."""

from h2.errors import ErrorCodes

from .h2door import WINDOW
from .plans import Fault, faults, governed, lists, own_books, reads, slow_head


class SharedFault(Fault):
    """What is done to one request falls on the others of its connection, too: any object's answer may be lost. `streams`: so many must have been open."""

    def __init__(self, name, which, damage, streams=1, **more):
        super().__init__(name, which, self.note, again=1, **more)
        self.act, self.streams, self.most = damage, streams, 0

    def note(self, exchange):
        self.most = max(self.most, exchange.request.beside)
        self.act(exchange)

    def repeats(self, name):
        return self.again * len(self.fired)

    def judge(self, reference, seen):
        few = f"{self.most} streams were open, {self.streams} were to be" if self.most < self.streams else ""
        return super().judge(reference, seen) or few


# --- what is done ---

def stream_reset(code):
    """RST_STREAM instead of an answer: nothing was done."""
    return lambda exchange: exchange.way.reset(code)


def reset_in_mid_answer(exchange):
    """It was done; RST_STREAM comes behind half of the answer."""
    answer = exchange.forward()
    body = answer.read()
    exchange.begin(answer.status, len(body))
    exchange.send(body[:len(body) // 2])
    exchange.cut()


def goaway_in_mid_answer(exchange):
    """GOAWAY behind half of the answer; the streams that are open are served to their end, a new connection takes the rest."""
    answer = exchange.forward()
    body = answer.read()
    exchange.begin(answer.status, len(body))
    exchange.send(body[:len(body) // 2])
    exchange.way.connection.goaway(exchange.way.number)
    exchange.send(body[len(body) // 2:])
    exchange.end()


def goaway_and_gone(exchange):
    """GOAWAY that says that this one was not looked at (it was), and the end of the connection."""
    exchange.forward().read()
    exchange.way.connection.goaway(max(0, exchange.way.number - 2))
    exchange.sever()


def stall(exchange):
    """No room for the bodies of requests for three seconds, then as before."""
    exchange.way.connection.set_window(0)
    exchange.pause(3)
    exchange.way.connection.set_window(WINDOW)
    exchange.deliver(exchange.forward())


def severed(exchange):
    """Done, and then the whole connection is cut."""
    exchange.forward().read()
    exchange.sever()


class OneEach(SharedFault):
    """A fault of each sort in one run, one sort a phase: what CI has the time for."""

    SORTS = {"sync": reset_in_mid_answer, "update": goaway_in_mid_answer, "prune": stall, "drift": severed}

    def __init__(self):
        super().__init__("a fault of each sort", lambda request: request.mutating, None, streams=2, first=2, every=3, within=tuple(self.SORTS), each=40)
        self.had = set()

    def note(self, exchange):
        self.act = self.SORTS[self.run.phase]
        self.had.add(self.run.phase)
        super().note(exchange)

    def judge(self, reference, seen):
        missing = [sort.__name__ for phase, sort in self.SORTS.items() if phase not in self.had]
        return super().judge(reference, seen) or (f"never took place: {missing}" if missing else "")


def over_h2(plan):
    plan.h2, plan.name = True, f"h2: {plan.name}"
    return plan


def stream_faults():
    """What only HTTP/2 has. A new set: a plan is used once."""
    return [over_h2(plan) for plan in (
        OneEach(),
        Fault("RST_STREAM instead of answers to reads", reads, stream_reset(ErrorCodes.INTERNAL_ERROR), first=10, every=6, times=12),
        Fault("RST_STREAM REFUSED_STREAM to reads", reads, stream_reset(ErrorCodes.REFUSED_STREAM), first=10, every=6, times=12),
        Fault("RST_STREAM REFUSED_STREAM to writes", governed, stream_reset(ErrorCodes.REFUSED_STREAM), first=3, every=5, times=6, again=1),
        Fault("RST_STREAM ENHANCE_YOUR_CALM to our books", own_books, stream_reset(ErrorCodes.ENHANCE_YOUR_CALM), first=2, every=4, times=6),
        Fault("RST_STREAM in mid-answer to reads", reads, reset_in_mid_answer, first=10, every=6, times=12),
        Fault("RST_STREAM in mid-answer to lists", lists, reset_in_mid_answer, every=2, times=12),
        Fault("RST_STREAM in mid-answer to writes", governed, reset_in_mid_answer, first=3, every=5, times=6, again=1),
        SharedFault("GOAWAY in mid-answer", reads, goaway_in_mid_answer, first=20, every=15, times=6),
        SharedFault("GOAWAY in mid-answer to a write", governed, goaway_in_mid_answer, first=4, every=8, times=3),
        SharedFault("GOAWAY, then the connection is gone", reads, goaway_and_gone, first=30, every=40, times=4, each=40),
        SharedFault("GOAWAY to a write that was done, then the connection is gone", governed, goaway_and_gone, first=6, every=9, times=3, each=40),
        SharedFault("no room for bodies for three seconds", own_books, stall, first=3, every=25, times=3, more=3),
        SharedFault("connection cut at a write with other streams open", governed, severed, streams=2, first=7, every=10, times=3, each=40),
        SharedFault("connection cut at a watch with many streams open", lambda request: request.watch and request.beside >= 5,
                    lambda exchange: exchange.sever(), streams=5, every=4, times=3, each=40),
        # behind such a head nothing else comes on its connection: if the lease is there, core begins anew
        SharedFault("the head of an answer to a read comes byte by byte", reads, slow_head, first=60, times=1, each=300),
        SharedFault("the head of an answer to a write comes byte by byte", governed, slow_head, first=6, times=1, each=300),
    )]


def h2_faults():
    """All of them, and the plans of HTTP/1.1 over HTTP/2, but for those that are another thing there."""
    return stream_faults() + [over_h2(plan) for plan in faults() if getattr(plan, "damage", None) is not slow_head]
