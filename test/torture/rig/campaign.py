"""Runs plans one after the other and says of each whether its outcome is that of the run without a fault."""

import collections
import time

from .oracle import difference
from .plans import Plan
from .workload import Run


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
        try:
            seen = Run(*self.parts, plan=plan).run()
        except Exception as error:
            return f"{type(error).__name__}: {error}"
        return difference(self.reference, seen, plan.again, plan.invented()) or plan.judge(self.reference, seen)

    def all(self, plans, out=print):
        """Checks each, prints a line of each, and returns how many were identical."""
        good, began = 0, time.monotonic()
        for number, plan in enumerate(plans, 1):
            start = time.monotonic()
            wrong = self.check(plan)
            good += not wrong
            out(f"[{number}/{len(plans)}] {plan.name} ({len(plan.fired)} times, {time.monotonic() - start:.0f} s): {wrong or 'identical'}", flush=True)
        out(f"{good}/{len(plans)} identical in {time.monotonic() - began:.0f} s", flush=True)
        return good
