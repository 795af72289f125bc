"""What is in the cluster after random commits, edits, deletions and restarts is what a model says that knows nothing of how a controller works."""

import os
import random

from harness.site import Site

from rig.model import Model

SEED = int(os.environ.get("TORTURE_SEED", "3"))
TURNS, STEPS = (40, 12) if "TORTURE_ROUNDS" in os.environ else (6, 8)


def test_random_changes_end_as_the_model_says(stack, kube, registry, keys, tmp_path):
    site = Site(stack, kube, registry, keys, tmp_path / "site", "model").install()
    model = Model(site, SEED, site.image("good"), site.image("bad", signed=False))
    try:
        model.start()
        for turn in range(TURNS):
            model.turn(random.Random(SEED + turn).randint(1, STEPS))
        site.controller.stop()
        assert site.log.verify().returncode == 0
        done, counts = site.log.join(stack.audit_log)
        assert not counts["unrecorded"] and not counts["foreign"] and counts["writes"] == counts["matched"], done.stdout[-400:]
    except BaseException:
        print(f"TORTURE_SEED={SEED}", *model.told[-40:], sep="\n")
        raise
    finally:
        site.close()
