"""What is in the cluster after random commits, edits, deletions and restarts is what a model says that knows nothing of how a controller works."""

import contextlib
import os
import random

import pytest

from harness.site import Site

from rig.model import Model
from rig.proxy import Proxy
from rig.weather import Weather

SEED = int(os.environ.get("TORTURE_SEED", "3"))
LONG = "TORTURE_ROUNDS" in os.environ
SHARES = (0.02, 0.1, 0.3)     # of the requests that a fault hits while people change things


@contextlib.contextmanager
def model(stack, kube, registry, keys, tmp_path, weather=None):
    """A model with its site, not started yet; at the end the log must verify and join. It has answers that `weather` invented, and no other, that the
    API server does not know of."""
    site = Site(stack, kube, registry, keys, tmp_path / "site", "model").install()
    made = Model(site, SEED, site.image("good"), site.image("bad", signed=False))
    try:
        yield made
        site.controller.stop()
        assert site.log.verify().returncode == 0
        done, counts = site.log.join(stack.audit_log)
        assert not counts["foreign"] and counts["writes"] == counts["matched"], done.stdout[-400:]
        assert counts["unrecorded"] <= (weather.invented if weather else 0), done.stdout[-400:]
    except BaseException:
        print(f"TORTURE_SEED={SEED}", *made.told[-40:], sep="\n")
        raise
    finally:
        site.close()


def test_random_changes_end_as_the_model_says(stack, kube, registry, keys, tmp_path):
    turns, steps = (40, 12) if LONG else (6, 8)
    with model(stack, kube, registry, keys, tmp_path) as made:
        made.start()
        for turn in range(turns):
            made.turn(random.Random(SEED + turn).randint(1, steps))
            made.compare()


@pytest.mark.parametrize("h2", [False, True] if LONG else [True])
def test_random_changes_in_bad_weather_end_as_the_model_says(stack, kube, registry, keys, tmp_path, h2):
    """While people change things a share of the requests to the API server meets a fault; then all must be as without."""
    weather, turns = Weather(SEED), 30 if LONG else 3
    with Proxy(stack, h2=h2) as proxy, model(stack, kube, registry, keys, tmp_path, weather) as made:
        proxy.plan, made.fine = weather, weather.fine
        made.site.controller.kubeconfig = proxy.kubeconfig(made.site.installation, tmp_path / "kubeconfig")
        made.start()
        for turn in range(turns):
            weather.share = SHARES[turn % len(SHARES)]
            made.turn(random.Random(SEED + turn).randint(2, 8))
            with weather.fine():
                made.compare()
    assert len(weather.seen) > 5, weather.seen
