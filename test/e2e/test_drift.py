"""What differs from Git: healed, ignored on request, or reported as an extra."""

import time

from harness.controller import cli
from harness.manifests import config_map, deployment, text
from harness.tenant import WORKLOAD_RULES, obj
from harness.wait import stays, until


def web(site):
    return site.kube.get("apps/v1", "Deployment", site.namespace, "web")


def patch_web(site, patch, manager="kubectl-patch"):
    site.kube.patch("apps/v1", "Deployment", site.namespace, "web", patch, manager=manager)


def deployed(site, **application):
    image = site.image("web")
    return site.deploy({"app/web.yaml": text(deployment("web", image.ref, replicas=1))}, **application)


def test_ignored_field_keeps_its_live_value_when_comparing_and_when_applying(site):
    ignore = [{"group": "apps", "kind": "Deployment", "jsonPointers": ["/spec/replicas"]}]
    repo = deployed(site, ignoreDifferences=ignore)
    patch_web(site, {"spec": {"replicas": 5}})
    stays("5 replicas", lambda: web(site)["spec"]["replicas"], lambda n: n == 5, seconds=1.5)
    site.settled("app")
    commit = repo.push("a label", repo.replace("app/web.yaml", '"replicas": 1', '"minReadySeconds": 1, "replicas": 1'))
    site.synced_at(commit, "app")
    assert web(site)["spec"]["replicas"] == 5 and web(site)["spec"]["minReadySeconds"] == 1


def test_field_ignored_later_keeps_its_live_value(site):
    deployed(site)
    app = site.app("app")
    ignore = [{"group": "apps", "kind": "Deployment", "jsonPointers": ["/spec/replicas"]}]
    site.kube.patch_application(site.system, "app", {"spec": {"ignoreDifferences": ignore}})
    until("the Application to be taken up again", lambda: site.condition("Synced", "app"),
          lambda c: c.get("observedGeneration", 0) > app["metadata"]["generation"])
    patch_web(site, {"spec": {"replicas": 4}})
    stays("4 replicas", lambda: web(site)["spec"]["replicas"], lambda n: n == 4, seconds=2)


def service(port, **more):
    return obj("v1", "Service", "web", spec={"type": "NodePort", "ports": [{"name": "http", "port": 80, "targetPort": 8080, "nodePort": port}], **more})


def test_ignored_port_of_a_service_keeps_its_live_value(site):
    """Its ports are told apart by port and protocol, not by name."""
    port = 30000 + int(time.time()) % 2000
    ports = lambda: site.find("v1", "Service", "web")["spec"]["ports"][0]
    repo = site.deploy({"app/a.yaml": text(service(port))}, ignoreDifferences=[{"kind": "Service", "jsonPointers": ["/spec/ports/0/nodePort", "/spec/ports/0/targetPort"]}])
    assert ports()["nodePort"] == port
    site.kube.patch("v1", "Service", site.namespace, "web", [{"op": "replace", "path": "/spec/ports/0/nodePort", "value": port + 1}])
    site.synced_at(repo.push("affinity", {"app/a.yaml": text(service(port, sessionAffinity="ClientIP"))}), "app")
    assert (ports()["nodePort"], ports()["targetPort"]) == (port + 1, 8080)


def test_field_of_another_manager_keeps_its_live_value_though_git_leaves_defaults_out(site):
    """Ports are told apart by port and protocol, and nobody writes the protocol."""
    port = 30000 + int(time.time()) % 2000
    target = lambda: site.find("v1", "Service", "web")["spec"]["ports"][0]["targetPort"]
    repo = site.deploy({"app/a.yaml": text(service(port))}, ignoreDifferences=[{"kind": "Service", "managedFieldsManagers": ["mesh"]}])
    site.kube.patch("v1", "Service", site.namespace, "web", [{"op": "replace", "path": "/spec/ports/0/targetPort", "value": 9090}], manager="mesh")
    stays("the manager's port", target, lambda seen: seen == 9090, seconds=3)
    site.synced_at(repo.push("affinity", {"app/a.yaml": text(service(port, sessionAffinity="ClientIP"))}), "app")
    assert target() == 9090


INGRESS_RULES = WORKLOAD_RULES + [{"apiGroups": ["networking.k8s.io"], "resources": ["ingresses"], "verbs": ["*"]}]


def ingress(path):
    backend = {"service": {"name": "web", "port": {"number": 80}}}
    return obj("networking.k8s.io/v1", "Ingress", "web", spec={"rules": [{"host": "git.example", "http": {"paths": [{"path": path, "pathType": "Prefix", "backend": backend}]}}]})


def test_ignored_field_of_a_list_that_is_replaced_as_a_whole_keeps_its_live_value(new_site):
    site = new_site().install(rules=INGRESS_RULES)
    site.controller.start()
    rules = lambda: [(r.get("host"), r.get("http", {}).get("paths", [{}])[0].get("path")) for r in site.find("networking.k8s.io/v1", "Ingress", "web")["spec"]["rules"]]
    patch = lambda *patch: site.kube.patch("networking.k8s.io/v1", "Ingress", site.namespace, "web", list(patch), manager="somebody")
    repo = site.deploy({"app/a.yaml": text(ingress("/"))}, ignoreDifferences=[{"group": "networking.k8s.io", "kind": "Ingress", "jsonPointers": ["/spec/rules/0/host"]}])
    assert rules() == [("git.example", "/")]
    site.requests.mark()
    patch({"op": "replace", "path": "/spec/rules/0/host", "value": "live.example"})
    site.nothing_sent(site.requests, seconds=2)
    site.settled("app")
    site.synced_at(repo.push("another path", {"app/a.yaml": text(ingress("/new"))}), "app")
    assert rules() == [("live.example", "/new")]
    patch({"op": "add", "path": "/spec/rules/-", "value": {"host": "more.example"}})
    until("the rule to be taken out", rules, lambda seen: seen == [("live.example", "/new")], seconds=10)
    site.requests.mark()
    site.kube.patch_application(site.system, "app", {"metadata": {"annotations": {"countersign.dev/refresh": "hard"}}})
    site.nothing_sent(site.requests, seconds=2)


def test_foreign_addition_is_an_extra_and_no_difference(site):
    deployed(site)
    patch_web(site, {"metadata": {"labels": {"added": "by-hand"}}}, manager="somebody")
    extras = until("the extra to be reported", lambda: site.app("app")["status"].get("extras"))
    assert [(e["kind"], e["name"], e["path"], e["manager"]) for e in extras] == [("Deployment", "web", "/metadata/labels/added", "somebody")]
    assert extras[0]["time"] and extras[0]["namespace"] == site.namespace
    assert site.app("app")["status"]["sync"]["status"] == "Synced"
    assert web(site)["metadata"]["labels"]["added"] == "by-hand"


def test_exact_removes_extras(site):
    deployed(site, options=["Exact=true"])
    patch_web(site, {"metadata": {"labels": {"added": "by-hand"}}}, manager="somebody")
    until("the extra to be removed", lambda: web(site)["metadata"].get("labels", {}), lambda labels: "added" not in labels, seconds=5)
    site.settled("app")


def test_exact_leaves_what_is_ignored_to_others(site):
    """Whether Git names the field or not."""
    ignore = [{"group": "apps", "kind": "Deployment", "jsonPointers": ["/spec/replicas", "/metadata/annotations/theirs"], "managedFieldsManagers": ["mesh"]}]
    deployed(site, options=["Exact=true"], ignoreDifferences=ignore)
    patch_web(site, {"spec": {"replicas": 5}, "metadata": {"annotations": {"theirs": "x"}}}, manager="somebody")
    patch_web(site, {"metadata": {"labels": {"mesh": "x"}}}, manager="mesh")
    patch_web(site, {"metadata": {"labels": {"added": "by-hand"}}}, manager="somebody")
    until("the extra to be removed", lambda: web(site)["metadata"]["labels"], lambda labels: "added" not in labels, seconds=5)
    left = lambda: (web(site)["spec"]["replicas"], web(site)["metadata"]["annotations"].get("theirs"), web(site)["metadata"]["labels"].get("mesh"))
    stays("what is left to others", left, lambda seen: seen == (5, "x", "x"), seconds=2)
    site.settled("app")


def test_ignored_field_of_an_object_that_moves_here_keeps_its_live_value(site):
    """The Application that had it declared the field, and so it is held in our name."""
    image = site.image("web")
    web_yaml = text(deployment("web", image.ref, replicas=3))
    repo = site.repo({"a/web.yaml": web_yaml, "a/keep.yaml": text(config_map("keep-a")), "b/keep.yaml": text(config_map("keep-b"))})
    site.kube.apply(site.team.application("a", repo, "a"))
    site.kube.apply(site.team.application("b", repo, "b", ignoreDifferences=[{"group": "apps", "kind": "Deployment", "jsonPointers": ["/spec/replicas"]}]))
    site.settled("a", "b")
    commit = repo.push("move", {"a/web.yaml": None, "b/web.yaml": web_yaml})
    site.synced_at(commit, "b", seconds=30)
    site.synced_at(commit, "a", seconds=30)
    assert web(site)["spec"]["replicas"] == 3
    patch_web(site, {"spec": {"replicas": 5}})
    stays("5 replicas", lambda: web(site)["spec"]["replicas"], lambda n: n == 5, seconds=2)


def test_object_that_is_deleted_as_often_as_it_is_made_is_made_ever_anew_but_not_without_end_at_once(site):
    site.deploy({"app/a.yaml": text(config_map("a"))})
    deadline, deleted = time.monotonic() + 12, 0
    while time.monotonic() < deadline:
        if site.find("v1", "ConfigMap", "a"):
            site.kube.delete("v1", "ConfigMap", site.namespace, "a", missing_ok=True)
            deleted += 1
        time.sleep(0.01)
    assert 10 <= deleted <= 15, deleted
    site.wait_condition("Synced", "False", "app", reason="Contested", said="deleted again")
    until("it to be made anew", lambda: site.find("v1", "ConfigMap", "a"), seconds=15)
    site.settled("app")


def test_objects_that_vanish_by_what_git_declares_are_made_ever_more_seldom_and_fill_no_log(site):
    """The garbage collector deletes at once what names an owner that does not exist."""
    count, owner = 20, [{"apiVersion": "v1", "kind": "ConfigMap", "name": "ghost", "uid": "12345678-1234-1234-1234-123456789012"}]
    maps = [config_map(f"g{n}") for n in range(count)]
    for one in maps:
        one["metadata"]["ownerReferences"] = owner
    repo = site.deploy({"app/ghosts.yaml": text(*maps), "app/keep.yaml": text(config_map("keep"))}, wait=False)
    site.wait_condition("Synced", "False", "app", reason="Contested", said="ownerReferences", seconds=60)
    until("all of them to be contested", lambda: site.condition("Synced", "app")["message"], lambda said: "19 other objects" in said, seconds=60)
    since = site.log.next_seq()
    site.requests.mark()
    began = time.monotonic()
    for _ in range(4): # a rehearsal begins nothing anew
        done = cli("sync", "app", "--dry-run", "-n", site.system, kubeconfig=site.stack.kubeconfig)
        assert done.returncode == 1 and "ownerReferences" in done.stderr, done.stderr
        time.sleep(9)
    seconds = time.monotonic() - began
    made = [e for e in site.governed() if e["objectRef"]["name"].startswith("g")]
    told = site.requests.writes(user=f":{site.system}:countersign-controller", resource="events")
    assert len(made) <= seconds + count, f"{len(made)} writes in {seconds:.0f} s"
    assert len(told) <= 3, f"{len(told)} events in {seconds:.0f} s"
    assert site.records("drift", since, "app") == []
    assert len(site.records("drift", 0, "app")) <= 11 * count
    site.kube.delete("v1", "ConfigMap", site.namespace, "keep")
    until("another object that is deleted to be made at once", lambda: site.find("v1", "ConfigMap", "keep"), seconds=3)
    commit = repo.push("no owner", {"app/ghosts.yaml": text(*(config_map(f"g{n}") for n in range(count)))})
    site.synced_at(commit, "app", seconds=20)
    assert site.find("v1", "ConfigMap", "g7")


def test_rollout_restart_is_left_alone(site):
    deployed(site)
    site.kube.kubectl("-n", site.namespace, "rollout", "restart", "deployment/web")
    restarted = "kubectl.kubernetes.io/restartedAt"
    stays("the restart's mark", lambda: web(site)["spec"]["template"]["metadata"].get("annotations", {}), lambda a: restarted in a, seconds=2)
    site.settled("app")


def test_privileged_container_added_by_hand_is_reverted(site):
    deployed(site)
    name = {"containers": [{"name": "main", "securityContext": {"privileged": True}}]}
    site.kube.request("PATCH", site.kube.path("apps/v1", "Deployment", site.namespace, "web") + "?fieldManager=somebody",
                      {"spec": {"template": {"spec": name}}}, "application/strategic-merge-patch+json")
    until("privileged to be reverted", lambda: web(site)["spec"]["template"]["spec"]["containers"][0],
          lambda c: not c.get("securityContext", {}).get("privileged"), seconds=5)


def autoscaler(name, version, most=3):
    cpu = {"metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}}]} \
        if version == "v2" else {"targetCPUUtilizationPercentage": 70}
    return obj(f"autoscaling/{version}", "HorizontalPodAutoscaler", name, spec={
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}, "maxReplicas": most, **cpu})


def test_object_that_is_watched_in_another_version_than_it_was_applied_in_has_not_drifted(new_site):
    """A kind is watched in one version; the paths of what we applied are those of its own."""
    site = new_site().install(rules=WORKLOAD_RULES + [{"apiGroups": ["autoscaling"], "resources": ["*"], "verbs": ["*"]}])
    site.controller.start()
    most = lambda name: site.find("autoscaling/v2", "HorizontalPodAutoscaler", name)["spec"]["maxReplicas"]
    repo = site.deploy({"app/a.yaml": text(autoscaler("a", "v1"), autoscaler("b", "v1"))}, wait=False)
    site.wait_condition("Synced", "True", "app")
    repo.push("a moves on", {"app/a.yaml": text(autoscaler("a", "v2", 4), autoscaler("b", "v1"))})
    until("the change", lambda: most("a"), lambda n: n == 4)
    site.controller.stop()
    site.requests.mark()
    site.controller.start()
    site.nothing_sent(site.requests, seconds=4)
    for name in "ab":
        site.kube.patch("autoscaling/v2", "HorizontalPodAutoscaler", site.namespace, name, {"spec": {"maxReplicas": 9}}, manager="somebody")
    until("the drift to be healed", lambda: [most(name) for name in "ab"], lambda seen: seen == [4, 3], seconds=10)
    site.requests.mark()
    site.nothing_sent(site.requests, seconds=2)
    site.wait_condition("Synced", "True", "app")
    assert len(site.records("drift", 0, "app")) == 2


def test_drift_is_healed_after_a_restart_during_which_it_happened(site):
    deployed(site)
    site.controller.stop()
    patch_web(site, {"spec": {"replicas": 3}})
    site.controller.start()
    until("1 replica", lambda: web(site)["spec"]["replicas"], lambda n: n == 1, seconds=10)


def test_without_self_heal_drift_is_reported_with_its_manager(site):
    deployed(site, automated={"prune": True})
    patch_web(site, {"spec": {"replicas": 3}}, manager="somebody")
    seen = site.wait_condition("Synced", "False", "app", said="somebody")
    assert "replicas" in seen["message"], seen["message"]
    assert site.app("app")["status"]["sync"]["status"] == "OutOfSync"
    stays("3 replicas", lambda: web(site)["spec"]["replicas"], lambda n: n == 3, seconds=1.5)


def test_drift_that_somebody_sets_back_by_hand_is_told_no_more_without_self_heal(site):
    deployed(site, automated={"prune": True})
    for replicas in (3, 4):
        patch_web(site, {"spec": {"replicas": replicas}}, manager="somebody")
        site.wait_condition("Synced", "False", "app", said="somebody")
        patch_web(site, {"spec": {"replicas": 1}}, manager="somebody")
        site.settled("app")
    site.kube.patch_application(site.system, "app", {"spec": {"syncPolicy": {"automated": {"selfHeal": True}}}})
    patch_web(site, {"spec": {"replicas": 5}}, manager="somebody")
    until("the drift to be healed", lambda: web(site)["spec"]["replicas"], lambda n: n == 1)


def test_somebody_who_fights_back_is_contested_and_named(site):
    deployed(site)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and "Contested" not in str(site.app("app")["status"]["conditions"]):
        if web(site)["spec"]["replicas"] == 1:
            patch_web(site, {"spec": {"replicas": 3}}, manager="stubborn")
        time.sleep(0.05)
    seen = next(c for c in site.app("app")["status"]["conditions"] if c["reason"] == "Contested")
    assert "stubborn" in seen["message"] and "replicas" in seen["message"], seen["message"]
    site.requests.mark()
    site.nothing_sent(site.requests, seconds=2)


def test_idle_controller_sends_nothing(site):
    deployed(site)
    site.deploy({"app/more.yaml": text(config_map("more"))}, name="more")
    time.sleep(1)
    site.requests.mark()
    time.sleep(3)
    writes = [e["objectRef"]["resource"] for e in site.requests.writes(user=f":{site.system}:countersign-controller")]
    assert set(writes) <= {"leases"}, f"expected nothing but the lease, saw {writes}"
