#!/usr/bin/python3
"""test/torture/run.py [--only WORD] [--sample N --seed S] [--jobs N]: every fault of the rig, each compared with a run without; --only soak:
a long run of many Applications. See test/README.md."""

import argparse
import pathlib
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "e2e")]

from harness.images import Key, open_registry  # noqa: E402
from harness.kube import Kube  # noqa: E402
from harness.stack import Stack  # noqa: E402
from rig.campaign import Campaign  # noqa: E402
from rig.disks import disks  # noqa: E402
from rig.h2 import h2_faults  # noqa: E402
from rig.plans import crashes, faults, log_faults, sample  # noqa: E402
from rig.registry import registry_faults  # noqa: E402
from rig.roles import roles, supervisors, terminations  # noqa: E402
from rig.soak import Soak  # noqa: E402


def every(most):
    """All plans, for a workload whose phases have at most so many mutating requests."""
    return crashes(most) + faults() + h2_faults() + registry_faults() + log_faults() + roles() + supervisors(most) + terminations(most) + disks()


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--only", default="", help="plans whose name has this word in it")
    options.add_argument("--sample", type=int, help="so many of them, by --seed")
    options.add_argument("--seed", type=int, default=int(time.time()))
    options.add_argument("--jobs", type=int, default=3, help="so many runs at a time: most of a run is waiting")
    options.add_argument("--minutes", type=float, default=20, help="of --only soak")
    options.add_argument("--skip", type=int, default=0, help="leaves out so many from the start")
    options = options.parse_args()
    stack = Stack.start()
    try:
        with tempfile.TemporaryDirectory() as folder:
            folder, made = pathlib.Path(folder), {}
            (folder / "keys").mkdir()
            keys = lambda name: made.setdefault(name, Key(stack.cosign, folder / "keys", name)) if name not in made else made[name]  # noqa: E731
            parts = (stack, Kube.admin(stack), open_registry(stack, folder), keys)
            if options.only == "soak":
                return 1 if Soak(*parts, 200, options.minutes * 60, options.seed).run() else 0
            campaign = Campaign(*parts)
            print(f"without a fault: {len(campaign.reference.facts)} facts; mutating requests by phase: {dict(campaign.points)}", flush=True)
            if campaign.reference.wrong:
                sys.exit(f"the run without a fault is wrong itself: {campaign.reference.wrong}")
            plans = [p for p in every(max(campaign.points.values())) if options.only in p.name][options.skip:]
            if options.sample:
                plans = sample(plans, options.sample, options.seed)
                print(f"a sample by seed {options.seed}", flush=True)
            return 0 if campaign.all(plans, options.jobs) == len(plans) else 1
    finally:
        stack.stop()


if __name__ == "__main__":
    sys.exit(main())
