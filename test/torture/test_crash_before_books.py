"""An object that was made, though the controller died before it could remember that, is not left behind."""

import pytest

from harness.wait import until
from rig.plans import Crash
from rig.workload import Run


def inventories(request):
    return request.method == "PATCH" and "/applicationinventories/" in request.path


class DeletedMeanwhile(Run):
    """Somebody deletes an object; the controller dies as it remembers the new one; the Application is deleted before it is back."""

    def deletion(self):
        self.kube.delete("v1", "ConfigMap", self.site.namespace, "zero-1")
        self.plan.settle()
        self.site.controller.start()
        super().deletion()


class Once(Crash):
    def phase(self, name):
        super().phase(name if name == "deletion" else None)

    def settle(self):
        if self.current and not self.fired:
            until("the crash", lambda: self.fired and not self.run.site.controller.running())
        if self.busy:
            assert self.busy.wait(60)


@pytest.mark.parametrize("when", ["before", "after"])
def test_object_made_anew_before_a_crash_goes_with_its_application(stack, kube, registry, keys, when):
    plan = Once(1, when, "dead", inventories)
    outcome = DeletedMeanwhile(stack, kube, registry, keys, plan=plan, phases=("sync", "deletion")).run()
    assert plan.fired
    left = [key for key in outcome.facts if key.startswith("deletion: ") and "/" in key and not key.endswith("s")]
    assert left == [], f"left behind: {left}"
    assert outcome.wrong == []
