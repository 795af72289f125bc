"""Bad weather between a controller and the API server: of all requests a share meets a fault, drawn anew for each. It is a plan of the proxy."""

import collections
import contextlib
import random
import threading

from . import plans


def reset(exchange):
    exchange.reset()


def sever(exchange):
    """All that goes over the connection ends."""
    exchange.sever()


# answers that the API server never gave
INVENTED = {"500": plans.status(500, "InternalError"), "503": plans.away("503"), "429": plans.away(), "401": plans.status(401, "Unauthorized"),
            "504": plans.status(504, "Timeout"), "not served": plans.not_served}
ALL = {**INVENTED, "reset": reset, "severed": sever, "slow": plans.slow, "cut after 57 bytes": plans.cut_after(57)}
READS = {**ALL, "half": plans.half, "broken JSON": plans.broken_json}
WRITES = {**READS, "answer lost": plans.lost_answer, "answer lost again": plans.lost_answer}
LISTS = {**READS, "410": plans.status(410, "Expired")}
WATCHES = {**ALL, "410": plans.status(410, "Expired"), "410 inside": plans.expired_in_stream, "cut after 1 KB": plans.cut_after(1024),
           "dropped, then 410": plans.rewritten(plans.dropped, window=0.4), "doubled": plans.rewritten(plans.doubled)}


def faults_of(request):
    if request.watch:
        return WATCHES
    return LISTS if request.list else WRITES if request.method != "GET" else READS


class Weather:
    """`share` of the requests are hit. `seen`: how often there was which fault; `invented`: how many of them invented an answer to a governed write."""

    invented = 0

    def __init__(self, seed):
        self.chance, self.share, self.seen, self.lock = random.Random(seed), 0.0, collections.Counter(), threading.Lock()

    @contextlib.contextmanager
    def fine(self):
        """Inside, nothing is hit."""
        share, self.share = self.share, 0.0
        yield
        self.share = share

    def __call__(self, request):
        with self.lock:
            if self.chance.random() >= self.share:
                return None
            faults = faults_of(request)
            name = self.chance.choice(list(faults))
            self.seen[name] += 1
            self.invented += request.governed and name in INVENTED
            return faults[name]
