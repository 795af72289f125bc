"""A sample of the torture rig that fits into CI; `make torture` runs all of it.

TORTURE_SEED=N takes another sample: the seed is printed with every failure. Without it the sample is the same each time, so that
a failure can be looked at again.
"""

import os

import pytest

from rig.campaign import Campaign
from rig.disks import Filled, Traced, disks
from rig.h2 import stream_faults
from rig.plans import crashes, faults, sample
from rig.roles import roles, supervisors, terminations

SEED = int(os.environ.get("TORTURE_SEED", "11"))
# What takes longer than a sample may: it waits for a timeout, for a backoff, or for Retry-After again and again.
SLOW = ("hangs", "trickles", "byte by byte", "500 where", "504 to reads", "409 to writes", "broken JSON", "cut in half", "10 minutes")
QUICK_FAULTS = [f for f in faults() if f.name != "429 with Retry-After 1" and not any(word in f.name for word in SLOW)]
CALLS = [p for p in disks() if isinstance(p, Traced) and p.what == "signal=KILL" and p.n < 3]
PLANS = sample(crashes(20), 3, SEED) + sample(QUICK_FAULTS, 3, SEED) + sample(roles()[-4:] + supervisors(20), 1, SEED) + \
    sample(terminations(10), 1, SEED) + sample(CALLS, 1, SEED) + [Filled()] + stream_faults()[:1]


@pytest.fixture(scope="module")
def campaign(stack, kube, registry, keys):
    made = Campaign(stack, kube, registry, keys)
    assert made.reference.wrong == [], made.reference.wrong
    return made


@pytest.mark.parametrize("plan", PLANS, ids=[p.name for p in PLANS])
def test_outcome_is_that_of_a_run_without_the_fault(campaign, plan):
    print(f"TORTURE_SEED={SEED}")
    wrong = campaign.check(plan)
    assert not wrong, f"TORTURE_SEED={SEED} {plan.name} ({', '.join(plan.fired[:6])}): {wrong}"
