"""An object that was made, though the controller died before it could remember that, is not left behind."""

import pytest

from harness.wait import until
from rig.plans import Crash, Fault, status
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


class Refused(Once):
    """An inventory is reset on its way, again and again; with the second try the controller dies."""

    def __call__(self, request):
        crash = super().__call__(request)
        if crash is None and self.current and not self.fired and self.which(request):
            return lambda exchange: exchange.reset()
        return crash


class DeletedUnknown(Run):
    """All is made, and no inventory says so. While the controller is away the Application is deleted."""

    def deletion(self):
        self.kube.apply(self.app)
        self.plan.settle()
        self.kube.delete("countersign.dev/v1alpha1", "Application", self.site.system, "app")
        self.site.controller.start()
        super().deletion()


def test_object_whose_inventory_was_refused_goes_with_its_application_after_a_restart(stack, kube, registry, keys):
    plan = Refused(2, "before", "dead", inventories)
    outcome = DeletedUnknown(stack, kube, registry, keys, plan=plan, phases=("deletion",)).run()
    left = [key for key in outcome.facts if key.startswith("deletion: ") and "/" in key and not key.endswith("s")]
    assert left == [], f"left behind: {left}"
    assert outcome.wrong == []


def test_inventory_that_is_refused_for_good_keeps_no_sync_waiting_for_ever(stack, kube, registry, keys):
    plan = Fault("inventories refused", inventories, status(403, "Forbidden"))
    run = Run(stack, kube, registry, keys, plan=plan, phases=("sync", "update"))
    outcome = run.run()
    assert plan.fired
    assert outcome.wrong == []
