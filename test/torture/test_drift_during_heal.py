"""An object that somebody deletes while others are healed is healed, too: the later wave does not wait for it in vain."""

import time

import pytest

from harness.kube import Kube
from harness.manifests import config_map, text, wave
from harness.site import Site
from harness.wait import until
from rig.proxy import Proxy


@pytest.mark.parametrize("first", ["answered", "in flight"])
def test_object_made_and_deleted_within_one_run_is_made_again(stack, kube, registry, keys, tmp_path, first):
    """It is deleted while another of its wave is still being written, or even before its own answer has come."""
    site = Site(stack, kube, registry, keys, tmp_path / "site", "made-and-deleted").install()
    with Proxy(stack) as proxy:
        try:
            def delete_the_first(exchange):
                answer = exchange.forward()
                admin = Kube.admin(stack)
                until("the first to be made", lambda: admin.find("v1", "ConfigMap", site.namespace, "one"))
                time.sleep(0.5)  # its answer, if that is not this one, is there before it is deleted
                admin.delete("v1", "ConfigMap", site.namespace, "one")
                time.sleep(1)  # the event is there before the answer
                exchange.deliver(answer)

            def plan(request):
                if request.governed and request.path.split("?")[0].endswith("/configmaps/one" if first == "in flight" else "/configmaps/two"):
                    proxy.plan = None
                    return delete_the_first

            site.controller.kubeconfig = proxy.kubeconfig(site.installation, tmp_path / "kubeconfig")
            site.controller.start()
            proxy.plan = plan
            site.deploy({"app/c.yaml": text(wave(config_map("one"), 0), wave(config_map("two"), 0), wave(config_map("three"), 1))}, wait=False)
            until("all three to be there", lambda: [bool(site.find("v1", "ConfigMap", n)) for n in ("one", "two", "three")], all, seconds=15)
            assert proxy.plan is None, "the write never went through the proxy"
            site.settled("app")
        finally:
            site.close()


def test_object_deleted_while_an_earlier_wave_is_healed_comes_back(stack, kube, registry, keys, tmp_path):
    site = Site(stack, kube, registry, keys, tmp_path / "site", "drift-during-heal").install()
    with Proxy(stack) as proxy:
        try:
            site.controller.kubeconfig = proxy.kubeconfig(site.installation, tmp_path / "kubeconfig")
            site.controller.start()
            site.deploy({"app/c.yaml": text(wave(config_map("one"), 0), wave(config_map("two"), 0), wave(config_map("three"), 1))})

            def delete_another(exchange):
                Kube.admin(stack).delete("v1", "ConfigMap", site.namespace, "two", missing_ok=True)
                time.sleep(1)  # the event is there before the answer
                exchange.deliver(exchange.forward())

            def plan(request):
                if request.governed and request.path.split("?")[0].endswith("/configmaps/one"):
                    proxy.plan = None
                    return delete_another

            # both are in one plan: the controller sees them at once when it comes back
            site.controller.stop()
            for name in ("one", "three"):
                kube.patch("v1", "ConfigMap", site.namespace, name, {"data": {"key": "drifted"}})
            proxy.plan = plan
            site.controller.start()
            until("all three to be as Git says", lambda: [(site.find("v1", "ConfigMap", n) or {"data": {"key": None}})["data"]["key"]
                                                          for n in ("one", "two", "three")], lambda seen: seen == ["value"] * 3, seconds=15)
            assert proxy.plan is None, "the heal never went through the proxy"
            site.settled("app")
        finally:
            site.close()
