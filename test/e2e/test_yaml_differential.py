"""base/yaml.h against sigs.k8s.io/yaml itself, on random documents of a seed that the run prints."""

import os
import random
import re

from harness.stack import ROOT, run


def test_yaml_reads_as_kubectl_does():
    seed = os.environ.get("COUNTERSIGN_SEED", str(random.randrange(1, 10**6)))
    print(f"seed {seed}")
    done = run(ROOT / "test/yamldiff/run", seed, "5000", env={"PATH": os.environ["PATH"] + ":/usr/local/go/bin"})
    counts = re.search(r"(\d+) compared, (\d+) differ", done.stdout)
    assert counts and int(counts[1]) > 5000 and int(counts[2]) == 0, done.stdout[-2000:]
