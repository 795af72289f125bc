"""What a crash left open stays open until it is remembered: a second crash, in the middle of recovery, loses nothing."""

import pytest

from harness.wait import until
from rig.plans import Crash
from rig.workload import Run

from test_crash_before_books import inventories


class Twice(Crash):
    """Dies as the first inventory is written, and again as recovery writes what it found; then the Application is deleted."""

    def __init__(self, when):
        super().__init__(1, when, "dead", inventories)
        self.crashes = 0

    def phase(self, name):
        if name == "deletion":
            super().phase(name)

    def settle(self):
        pass

    def crash(self, exchange):
        self.crashes += 1
        super().crash(exchange)

    def die(self, what):
        until(what, lambda: self.fired and not self.run.site.controller.running())
        assert self.busy.wait(60)


class DeletedMeanwhile(Run):
    def deletion(self):
        plan, controller = self.plan, self.site.controller
        self.kube.delete("v1", "ConfigMap", self.site.namespace, "zero-1")
        plan.die("the first crash")
        assert self.value("zero-1") is not None, "it was not made anew before the crash"
        plan.fired, plan.seen = [], 0
        controller.start(wait=False)
        plan.die("the second crash")
        plan.current = None
        controller.start()
        super().deletion()


@pytest.mark.parametrize("when", ["before", "after"])
def test_object_made_before_two_crashes_goes_with_its_application(stack, kube, registry, keys, when):
    plan = Twice(when)
    outcome = DeletedMeanwhile(stack, kube, registry, keys, plan=plan, phases=("sync", "deletion")).run()
    assert plan.crashes == 2
    left = [key for key in outcome.facts if key.startswith("deletion: ") and "/" in key and not key.endswith("s")]
    assert left == [], f"left behind: {left}"
    assert outcome.wrong == []
