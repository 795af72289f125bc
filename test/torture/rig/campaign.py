"""Runs plans one after the other and says of each whether its outcome is that of the run without a fault."""

import collections
import concurrent.futures
import pathlib
import time
import traceback

from .oracle import difference
from .plans import NEVER, Plan
from .workload import Run


TRIES = 4


class Counting(Plan):
    """The run without a fault; it counts the mutating requests of each phase."""

    name = "no fault"

    def begin(self, run):
        super().begin(run)
        self.current, self.points = None, collections.Counter()

    def phase(self, name):
        self.current = name

    def __call__(self, request):
        if request.mutating and self.current:
            self.points[self.current] += 1

    def judge(self, reference, seen):
        return ""


class Campaign:
    """Holds the reference; `check(plan)` returns "" or the first difference."""

    def __init__(self, stack, kube, registry, keys):
        self.parts = (stack, kube, registry, keys)
        counting = Counting()
        self.reference = Run(*self.parts, plan=counting).run()
        self.points = counting.points

    def check(self, plan):
        """Timing decides whether a phase has its last request or two (statuses that are joined): a fault that was to fall on it is tried again."""
        for _ in range(TRIES):
            try:
                seen = Run(*self.parts, plan=plan).run()
            except Exception as error:
                where = traceback.extract_tb(error.__traceback__)[-4:]
                return f"{type(error).__name__}: {error} (" + ", ".join(f"{pathlib.Path(f.filename).name}:{f.lineno}" for f in where) + ")"
            wrong = difference(self.reference, seen, plan.repeats, plan.invented()) or plan.judge(self.reference, seen)
            if wrong != NEVER:
                return wrong
        return wrong

    def all(self, plans, jobs=1, out=print):
        """Checks each, so many at a time, prints a line of each, and returns how many were identical."""
        began, total = time.monotonic(), len(plans)

        def one(numbered):
            number, plan = numbered
            start = time.monotonic()
            wrong = self.check(plan)
            out(f"[{number}/{total}] {plan.name} ({len(plan.fired)} times, {time.monotonic() - start:.0f} s): {wrong or 'identical'}", flush=True)
            return not wrong

        with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
            good = sum(pool.map(one, enumerate(plans, 1)))
        out(f"{good}/{total} identical in {time.monotonic() - began:.0f} s", flush=True)
        return good
