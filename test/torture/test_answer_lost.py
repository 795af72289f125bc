"""An object that was made, though nobody told us."""

from harness.kube import Kube
from harness.manifests import config_map, text
from harness.site import Site
from harness.wait import until
from rig.proxy import Proxy


def test_object_whose_answer_was_lost_goes_with_its_application(stack, kube, registry, keys, tmp_path):
    """The Application is deleted before the write is tried again: nobody has the uid yet, but its mark says whose it is."""
    site = Site(stack, kube, registry, keys, tmp_path / "site", "answer-lost").install()
    lost = []
    with Proxy(stack) as proxy:
        try:
            def lose(exchange):
                if not lost:
                    lost.append(exchange.forward().read())
                    Kube.admin(stack).delete("countersign.dev/v1alpha1", "Application", site.system, "app")
                exchange.reset()

            site.controller.kubeconfig = proxy.kubeconfig(site.installation, tmp_path / "kubeconfig")
            site.controller.start()
            proxy.plan = lambda request: lose if request.method == "PATCH" and request.path.split("?")[0].endswith("/configmaps/one") else None
            application = site.team.application("app", site.repo({"app/c.yaml": text(config_map("one"))}), "app")
            application["metadata"]["finalizers"] = ["resources-finalizer.countersign.dev"]
            kube.apply(application)
            until("the answer to be lost", lambda: lost)
            until("the Application to go", lambda: kube.find_application(site.system, "app"), lambda found: found is None, seconds=30)
            assert site.find("v1", "ConfigMap", "one") is None
            site.controller.stop()
            done, counts = site.log.join(stack.audit_log)
            assert site.log.verify().returncode == 0 and counts["writes"] == counts["matched"] and not counts["unrecorded"], done.stdout[-400:]
        finally:
            site.close()
