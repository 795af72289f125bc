"""Processes that end: workers in the middle of a job, the supervisor, and the whole by SIGTERM.

A worker's end costs one job and nothing else, so no request more than usual is accepted for it.
"""

import contextlib
import os
import signal
import threading
import time

from harness.wait import SCALE, until
from harness.web import Web, free_port

from .plans import Crash, Plan

STOP_SECONDS = 10
PAUSE = 0.005  # between two looks: a fetch worker lives for some hundred of these


class Steady:
    """Accepts a value that has been the same for so many seconds."""

    def __init__(self, seconds):
        self.seconds, self.value, self.since = seconds, None, time.monotonic()

    def __call__(self, value):
        if value != self.value:
            self.value, self.since = value, time.monotonic()
        return time.monotonic() - self.since >= self.seconds


class WorkerKilled(Plan):
    """Every process of a role is killed as it has taken its n-th job (fault point of the sanitized build, io/role.c)."""

    def __init__(self, role, n):
        self.role, self.n, self.name = role, n, f"worker: {role} killed in job {n} of each process"

    def begin(self, run):
        super().begin(run)
        run.site.controller.fault = f"{self.role}.job:kill:{self.n}"

    def end(self):
        said = self.run.site.controller.output.read_text(errors="replace").splitlines()
        self.fired = [line for line in said if "worker crashed" in line and f"the {self.role} worker" in line]


class WorkerHunted(Plan):
    """A role whose processes live for one job: the first `most` of each phase are sent the signal as they are seen, from outside."""

    def __init__(self, role, most, number=signal.SIGKILL):
        self.role, self.most, self.number = role, most, number
        self.name = f"worker: the first {most} {role} of each phase get {signal.Signals(number).name}"

    def begin(self, run):
        super().begin(run)
        self.left, self.known, self.over = 0, set(), threading.Event()
        self.thread = threading.Thread(target=self.hunt, daemon=True)
        self.thread.start()

    def phase(self, name):
        self.left = self.most if name else 0

    def hunt(self):
        while not self.over.wait(PAUSE):
            if not self.left or not self.run.site.controller.running():
                continue
            for pid in set(self.run.site.controller.pids(self.role)) - self.known:
                self.known.add(pid)
                if self.left:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, self.number)
                        self.left -= 1
                        self.fired.append(f"{self.run.phase}: {pid}")

    def end(self):
        self.over.set()
        self.thread.join(5)


class WebKilled(Plan):
    """The role that answers probes dies whenever it asks core for the n-th time, while somebody scrapes; readiness comes back."""

    name = "worker: web killed at every second question"

    def begin(self, run):
        super().begin(run)
        self.web, self.over, self.ended = Web(free_port()), threading.Event(), 0
        run.site.controller.fault, run.site.controller.listen = "web.ask:kill:2", self.web.address
        self.thread = threading.Thread(target=self.scrape, daemon=True)
        self.thread.start()

    def scrape(self):
        while not self.over.wait(0.3):
            with contextlib.suppress(OSError, AssertionError, ValueError):
                self.web.get("/metrics")

    def end(self):
        self.over.set()
        self.thread.join(10)
        said = self.run.site.controller.output.read_text(errors="replace").splitlines()
        self.fired = [line for line in said if "process ended, starting it again" in line]


class SupervisorKilled(Crash):
    """SIGKILL of the supervisor alone: what it started dies with it, and the next start goes on."""

    def __init__(self, n, when):
        super().__init__(n, when, "supervisor")

    def crash(self, exchange):
        controller = self.run.site.controller
        try:
            if self.when == "after":
                exchange.forward().read()
            controller.process.kill()
            controller.process.wait(10)
            until("the roles to die with their supervisor", lambda: not controller.pids(), seconds=2)
            controller.start(wait=False)
        finally:
            exchange.leave()
            self.busy.set()


class Terminated(Crash):
    """SIGTERM at the n-th mutating request of each phase, whose answer comes as usual: it ends within 10 s, at a step boundary."""

    def __init__(self, n):
        super().__init__(n, "before", "SIGTERM")
        self.wrong = ""

    def crash(self, exchange):
        """The answer goes out here, and what follows on this connection is answered too; a thread of its own waits for the end."""
        self.run.site.controller.process.terminate()
        threading.Thread(target=self.watch, args=(time.monotonic(),), daemon=True).start()
        exchange.deliver(exchange.forward())

    def watch(self, began):
        controller = self.run.site.controller
        try:
            code = controller.process.wait(60)
            took = time.monotonic() - began
            until("the roles to end with their supervisor", lambda: not controller.pids(), seconds=5)
            self.look(code, took)
            controller.start()
        except Exception as error:
            self.wrong = self.wrong or f"SIGTERM: {error}"
        finally:
            self.busy.set()

    def settle(self):
        """What the Application says may be of before the restart, so its first look at everything is waited for."""
        super().settle()
        if self.busy:
            ledger = self.run.proxy.ledger
            until("it to have looked at everything", lambda: sum(r.mutating for r in ledger), Steady(1), seconds=30)

    def look(self, code, took):
        """The log as it was left: closed in order, and nothing under way."""
        records = self.run.site.log.records()
        done = {r["intent"] for r in records if r["kind"] == "sync.result"}
        left = [r["seq"] for r in records if r["kind"] == "sync.intent" and r["seq"] not in done]
        last = [r["kind"] for r in records[-2:]]
        if code or took > STOP_SECONDS * SCALE or left or last != ["term.end", "log.stop"]:
            self.wrong = self.wrong or f"SIGTERM: exit {code} after {took:.1f} s, intents without a result {left}, last records {last}"

    def judge(self, reference, seen):
        return self.wrong or super().judge(reference, seen)


def roles():
    # a source that dies each time in one of its first jobs may never come to the tree: that is no fault to recover from
    jobs = {"source": (8, 13), "render": (2, 3), "verify": (2, 3)}
    return [WorkerKilled(role, n) for role, numbers in jobs.items() for n in numbers] + \
        [WorkerHunted("fetch", 1), WorkerHunted("fetch", 3), WorkerHunted("source", 1), WorkerHunted("source", 3), WorkerHunted("render", 2), WebKilled()]


def supervisors(most):
    """Every third request: the crashes of all processes at once are there for every one."""
    return [SupervisorKilled(n, when) for n in range(1, most + 1, 3) for when in ("before", "after")]


def terminations(most):
    return [Terminated(n) for n in range(1, most + 1)]
