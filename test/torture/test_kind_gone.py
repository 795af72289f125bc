"""A kind that went with its CRD and comes again with it, in one commit: what discovery and its watch told of it is of the time before."""

import pytest

from harness.manifests import config_map, text
from harness.site import Site
from harness.tenant import CRD_RULES, WORKLOAD_RULES, obj, reads
from harness.wait import until
from rig.proxy import Proxy

EXTENSIONS = "apiextensions.k8s.io/v1"


class Gears:
    """A site behind the proxy that may make a kind of its own, the controller's right to read it, and what an Application has of both."""

    def __init__(self, site, proxy, folder):
        self.site, self.group = site, f"{site.name}.example"
        self.crd = f"gears.{self.group}"
        site.install(rules=WORKLOAD_RULES + CRD_RULES + [{"apiGroups": [self.group], "resources": ["gears"], "verbs": ["*"]}],
                     project={"clusterResourceWhitelist": [{"group": "*", "kind": "CustomResourceDefinition"}]})
        reads(site.kube, site.system, self.group, ["gears"])
        site.controller.kubeconfig = proxy.kubeconfig(site.installation, folder / "kubeconfig")

    def manifest(self):
        schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
        return text(obj(EXTENSIONS, "CustomResourceDefinition", self.crd, spec={
            "group": self.group, "scope": "Namespaced", "names": {"plural": "gears", "singular": "gear", "kind": "Gear"},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}]}), obj(f"{self.group}/v1", "Gear", "g", spec={"teeth": 1}))

    def definition(self):
        return self.site.kube.find(EXTENSIONS, "CustomResourceDefinition", None, self.crd)

    def teeth(self):
        return (self.site.find(f"{self.group}/v1", "Gear", "g") or {}).get("spec", {}).get("teeth")


@pytest.fixture
def gears(stack, kube, registry, keys, tmp_path):
    site = Site(stack, kube, registry, keys, tmp_path / "site", "kind-gone")
    with Proxy(stack) as proxy:
        made = Gears(site, proxy, tmp_path)
        made.proxy = proxy
        yield made
        kube.delete(EXTENSIONS, "CustomResourceDefinition", None, made.crd, missing_ok=True)
        site.close()


# The API server ends the streams of a definition that went within a second, half a minute, or not at all.
@pytest.mark.parametrize("streams", ["that are lost", "that nobody ended"])
def test_kind_that_comes_again_with_its_crd_in_one_commit_is_made_anew(gears, streams):
    site = gears.site
    site.controller.start()
    repo = site.deploy({"app/gear.yaml": gears.manifest(), "app/more.yaml": text(config_map("more"))},
                       automated={"prune": True, "selfHeal": True, "allowEmpty": True})
    site.synced_at(repo.push("without", {"app/gear.yaml": None}), "app")
    until("the kind to go", gears.definition, lambda found: found is None, seconds=20)
    if streams == "that are lost":
        gears.proxy.cut()
        until("its watch to be lost", lambda: site.controller.tail(50), lambda log: "cannot watch a kind" in log, seconds=30)
    site.synced_at(repo.push("again", {"app/gear.yaml": gears.manifest()}), "app", seconds=30)
    assert gears.teeth() == 1
    # what is watched is the new one
    site.kube.patch(f"{gears.group}/v1", "Gear", site.namespace, "g", {"spec": {"teeth": 99}}, manager="somebody")
    until("the drift to be healed", gears.teeth, lambda seen: seen == 1, seconds=40)
