import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from say import Say  # noqa: E402
from world import World  # noqa: E402


@pytest.fixture(scope="session")
def world(stack, kube, registry, keys, tmp_path_factory):
    """One world for all rows, as in the demo; a row that needs the shop deployed asks for it."""
    told = World(stack, kube, registry, keys, tmp_path_factory.mktemp("story"))
    yield told
    told.controller.stop()


@pytest.fixture
def say():
    return Say()
