import pytest

from harness.site import Site
from harness.wait import until
from harness.web import Web, free_port


@pytest.fixture
def new_site(request, stack, kube, registry, keys, tmp_path):
    """Makes installations of the test's own, and takes them down after it: new_site(admin_project="ops"), …"""
    made = []

    def make(**controller):
        made.append(Site(stack, kube, registry, keys, tmp_path / f"site{len(made)}", request.node.name, **controller))
        (tmp_path / f"site{len(made) - 1}").mkdir(exist_ok=True)
        return made[-1]

    yield make
    for site in made:
        if getattr(request.node, "failed", False):
            print(f"--- controller of {site.name} ---\n{site.controller.tail(60)}")
        site.close()


@pytest.fixture
def ready_site(new_site):
    """A site whose controller listens, ready."""
    web = Web(free_port())
    site = new_site(listen=web.address).install()
    site.web = web
    site.controller.start()
    until("the controller to be ready", lambda: web.get("/readyz"), lambda got: got[0] == 200)
    return site


@pytest.fixture
def site(new_site):
    """An installation with one team and one policy, its controller running."""
    made = new_site().install()
    made.controller.start()
    return made


@pytest.fixture(scope="module")
def shared_site(request, stack, kube, registry, keys, tmp_path_factory):
    """One running installation for a whole file: for tests that only add an Application of a name of their own."""
    made = Site(stack, kube, registry, keys, tmp_path_factory.mktemp("shared"), request.module.__name__).install()
    made.controller.start()
    yield made
    made.close()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    outcome = yield
    if outcome.get_result().failed:
        item.failed = True
