"""The real node (hack/stack/node): one for the run, in whose network this process then is."""

import contextlib
import ctypes
import os
import pathlib
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "story"), str(HERE.parent / "e2e")]

from harness.kube import Kube  # noqa: E402
from harness.stack import ROOT, Stack, run  # noqa: E402
from harness.wait import until  # noqa: E402
from cluster import World  # noqa: E402
from node import Node, left_of  # noqa: E402
from say import Say  # noqa: E402

CLONE_NEWNET = 0x40000000

# In the pod runs the image's own build, as it is shipped; what is run beside it is the same, whichever build the other suites test.
os.environ["COUNTERSIGN"] = str(ROOT / "build/countersign")


@contextlib.contextmanager
def network_of(pid):
    """Inside the block this thread is in that process's network."""
    setns = ctypes.CDLL(None, use_errno=True).setns
    with open(f"/proc/{pid}/ns/net") as there, open("/proc/self/ns/net") as home:
        if setns(there.fileno(), CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns to the node's network")
        try:
            yield
        finally:
            setns(home.fileno(), CLONE_NEWNET)


def fetch_packages(folder):
    """What the image is made of lies in the cache afterwards: there is no way out of the node's network."""
    run(ROOT / "hack/image", folder / "oci", seconds=1800)


@pytest.fixture(scope="session")
def stack(tmp_path_factory):
    """A node of our own, which leaves nothing behind, or the running one that COUNTERSIGN_NODE names."""
    given = os.environ.get("COUNTERSIGN_NODE")
    if given:
        folder = pathlib.Path(given)
        with network_of((folder / "node.pid").read_text().strip()):
            yield Stack(folder, owned=False)
        return
    with Node() as node:
        fetch_packages(tmp_path_factory.mktemp("image"))
        with network_of(node.pid):
            yield Stack(node.folder, owned=False)
    until("nothing to be left of the node", lambda: left_of(node), lambda left: left == [])


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
