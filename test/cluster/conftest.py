"""The real node (hack/stack/node): one for the run, in whose network this process then is."""

import ctypes
import os
import pathlib
import shutil
import sys
import tempfile

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "story"), str(HERE.parent / "e2e")]

from harness.kube import Kube  # noqa: E402
from harness.stack import ROOT, Stack, run  # noqa: E402
from cluster import World  # noqa: E402
from say import Say  # noqa: E402

CLONE_NEWNET = 0x40000000


@pytest.fixture(scope="session")
def stack():
    """A node of our own, or the running one that COUNTERSIGN_NODE names."""
    assert os.getuid() == 0, "a real node needs root: run the tests as root, or as CI does"
    given = os.environ.get("COUNTERSIGN_NODE")
    folder = pathlib.Path(given or tempfile.mkdtemp(prefix="csnode-"))
    if not given:
        run(ROOT / "hack/stack/node/up", folder, seconds=1800)
    with open(f"/proc/{(folder / 'node.pid').read_text().strip()}/ns/net") as ns, open("/proc/self/ns/net") as home:
        assert ctypes.CDLL(None, use_errno=True).setns(ns.fileno(), CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
        yield Stack(folder, owned=False)
        ctypes.CDLL(None).setns(home.fileno(), CLONE_NEWNET)
    if not given:
        run(ROOT / "hack/stack/node/down", folder)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def kube(stack):
    return Kube.admin(stack)


@pytest.fixture(scope="session")
def world(stack, kube, keys, tmp_path_factory):
    """One world for all rows, which build on each other."""
    return World(stack, kube, keys, tmp_path_factory.mktemp("cluster"))


@pytest.fixture
def say():
    return Say()
