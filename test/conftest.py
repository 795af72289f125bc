"""Fixtures of the end-to-end tests and of the story: one stack for the whole run, or for each of the processes that share it (test/run)."""

import os
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "e2e"))

from harness.images import Key, open_registry  # noqa: E402
from harness.kube import Kube  # noqa: E402
from harness.stack import Stack  # noqa: E402


# What runs at the same time takes its ports from ranges of its own: a port whose owner is down for a test must not go to a neighbour.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ["PORT_BASE"] = str(int(os.environ.get("PORT_BASE", "21000")) + 1000 * (1 + int(os.environ["PYTEST_XDIST_WORKER"].removeprefix("gw"))))


@pytest.fixture(scope="session")
def stack():
    running = Stack.start()
    yield running
    running.stop()


@pytest.fixture(scope="session")
def kube(stack):
    return Kube.admin(stack)


@pytest.fixture(scope="session")
def registry(stack, tmp_path_factory):
    return open_registry(stack, tmp_path_factory.mktemp("registry"))


@pytest.fixture(scope="session")
def keys(stack, tmp_path_factory):
    """Signing keys by name, made when first asked for: keys("release"), keys("partner", "rsa2048")."""
    folder, made = tmp_path_factory.mktemp("keys"), {}

    def key(name, kind="p256"):
        if name not in made:
            made[name] = Key(stack.cosign, folder, name, kind)
        assert made[name].kind == kind, f"key {name} is of type {made[name].kind} already"
        return made[name]

    return key


def pytest_runtest_logreport(report):
    """Names of what failed, for the second try of test/run."""
    if report.failed and "COUNTERSIGN_FAILED" in os.environ:
        with open(os.environ["COUNTERSIGN_FAILED"], "a") as names:
            names.write(report.nodeid + "\n")
