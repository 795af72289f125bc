"""Every fuzz target runs briefly on its corpus: no crash, no leak, no input that takes seconds or memory."""

import os
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
TARGETS = sorted(path.stem.removeprefix("fuzz_") for path in (ROOT / "test/fuzz").glob("fuzz_*.c"))
SECONDS = int(os.environ.get("FUZZ_SECONDS", "4"))


@pytest.mark.parametrize("target", TARGETS)
def test_fuzz_target_finds_nothing(target):
    done = subprocess.run(["hack/fuzz", f"build/fuzz/fuzz_{target}", str(SECONDS)], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, errors="replace", timeout=SECONDS + 60)
    assert done.returncode == 0, done.stdout[-4000:]
