"""The soak of the rig, two minutes of it; make torture ONLY=soak is twenty."""

import os

from rig.soak import Soak

SEED = int(os.environ.get("TORTURE_SEED", "11"))


def test_two_minutes_of_changes_and_faults_leave_everything_as_it_should_be(stack, kube, registry, keys):
    wrong = Soak(stack, kube, registry, keys, 200, 120, SEED).run()
    assert wrong == "", f"TORTURE_SEED={SEED}: {wrong}"
