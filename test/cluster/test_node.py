"""The node itself: it ends with whoever started it, and a machine that cannot give one is a failure."""

import os
import pathlib
import shutil
import signal
import subprocess
import sys
import types

from harness.stack import ROOT
from harness.wait import until
from node import left_of

HERE = pathlib.Path(__file__).resolve().parent
HOLDS = """
import sys, time
sys.path[:0] = [{here!r}, {e2e!r}]
from node import Node
with Node() as node:
    print(node.folder, node.pid, node.data, *node.cgroups, flush=True)
    time.sleep(600)
"""


def test_node_ends_with_the_process_that_started_it_however_that_ends():
    code = HOLDS.format(here=str(HERE), e2e=str(HERE.parent / "e2e"))
    holder = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    try:
        folder, pid, data, *cgroups = holder.stdout.readline().split()
        gone = types.SimpleNamespace(folder=pathlib.Path(folder), data=data, cgroups=cgroups)
        assert os.path.exists(f"/proc/{pid}/ns/net") and any("process" in what for what in left_of(gone))
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    until("all but the folder and its logs to be gone", lambda: [what for what in left_of(gone) if what != folder], lambda left: left == [], seconds=30)
    shutil.rmtree(folder)


def test_without_root_the_rows_fail_and_say_why():
    # may read this folder wherever it lies, and nothing else that root may
    words = ["setpriv", "--reuid=65534", "--clear-groups", "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search",
             "/usr/bin/python3", "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "test/cluster/test_cluster.py"]
    env = {k: v for k, v in os.environ.items() if not k.startswith("COUNTERSIGN_")}
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=60, env={**env, "PYTHONDONTWRITEBYTECODE": "1"})
    assert done.returncode == 1 and "no real node on this machine" in done.stdout and "needs root" in done.stdout, done.stdout
    assert "1 error" in done.stdout and "skipped" not in done.stdout
