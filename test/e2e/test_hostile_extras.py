"""What others add to a managed object, and how they hide it: the decision rests on content, never on who says to hold a field."""

import pytest

from harness.manifests import config_map, deployment, text
from harness.tenant import WORKLOAD_RULES, obj
from harness.wait import stays, until

MALLORY = "mallory"
RBAC = "rbac.authorization.k8s.io"
RBAC_RULE = {"apiGroups": [RBAC], "resources": ["roles", "rolebindings"], "verbs": ["*"]}


def web(site):
    return site.kube.get("apps/v1", "Deployment", site.namespace, "web")


def pod(site):
    return web(site)["spec"]["template"]["spec"]


def strategic(site, patch, manager=MALLORY):
    path = site.kube.path("apps/v1", "Deployment", site.namespace, "web")
    return site.kube.request("PATCH", f"{path}?fieldManager={manager}", patch, "application/strategic-merge-patch+json")


def pod_patch(**spec):
    return {"spec": {"template": {"spec": spec}}}


def deployed(site, **application):
    image = site.image("web")
    return site.deploy({"app/web.yaml": text(deployment("web", image.ref))}, **application)


def main_with(**fields):
    return {"containers": [{"name": "main", **fields}]}


def wipe(site, value=({},)):
    site.kube.patch("apps/v1", "Deployment", site.namespace, "web",
                    [{"op": "replace", "path": "/metadata/managedFields", "value": list(value)}], manager=MALLORY)


def pushed(site, name="evil"):
    return site.image(name, signed=False).pinned


# What a foreign manager adds to the pod template; each weakens it or brings an image.
ADDITIONS = {
    "container": lambda site: {"containers": [{"name": "evil", "image": pushed(site)}]},
    "init_container": lambda site: {"initContainers": [{"name": "evil", "image": pushed(site)}]},
    "image_volume_with_a_mount": lambda site: {"volumes": [{"name": "evil", "image": {"reference": pushed(site)}}],
                                              **main_with(volumeMounts=[{"name": "evil", "mountPath": "/evil"}])},
    "host_path_with_a_mount": lambda site: {"volumes": [{"name": "evil", "hostPath": {"path": "/"}}],
                                           **main_with(volumeMounts=[{"name": "evil", "mountPath": "/evil"}])},
    "host_network": lambda site: {"hostNetwork": True},
    "host_pid": lambda site: {"hostPID": True},
    "capability": lambda site: main_with(securityContext={"capabilities": {"add": ["SYS_ADMIN"]}}),
    "privileged": lambda site: main_with(securityContext={"privileged": True}),
    "service_account": lambda site: {"serviceAccountName": "admin"},
    "unconfined_seccomp": lambda site: {"securityContext": {"seccompProfile": {"type": "Unconfined"}}},
    "all_at_once": lambda site: {"hostNetwork": True, "initContainers": [{"name": "evil-init", "image": pushed(site)}], "serviceAccountName": "admin",
                                 "volumes": [{"name": "a", "hostPath": {"path": "/"}}, {"name": "b", "image": {"reference": pushed(site, "other")}}],
                                 "containers": [{"name": "main", "securityContext": {"privileged": True},
                                                 "volumeMounts": [{"name": "a", "mountPath": "/a"}, {"name": "b", "mountPath": "/b"}]},
                                                {"name": "evil", "image": pushed(site)}]},
}


def clean(before):
    """Nothing is left that was not there: an empty securityContext says nothing."""
    return lambda spec: {k: v for k, v in spec.items() if v not in ({}, [])} == {k: v for k, v in before.items() if v not in ({}, [])}


@pytest.mark.parametrize("addition", ADDITIONS)
def test_addition_that_weakens_goes_within_a_second_and_a_label_stays(site, addition):
    deployed(site)
    before, fields = pod(site), ADDITIONS[addition](site)
    site.kube.patch("apps/v1", "Deployment", site.namespace, "web", {"metadata": {"labels": {"theirs": "stays"}}}, manager=MALLORY)
    strategic(site, pod_patch(**fields))
    until(f"{addition} to be taken out", lambda: pod(site), clean(before), seconds=1.5)
    assert web(site)["metadata"]["labels"]["theirs"] == "stays"
    site.settled("app")


@pytest.mark.parametrize("addition", ["container", "host_network", "capability", "service_account"])
@pytest.mark.parametrize("hiding", ["wiped", "forged_as_ours", "named_like_ours"])
def test_addition_goes_though_managed_fields_lie_about_it(site, addition, hiding):
    deployed(site)
    before, entries, fields = pod(site), web(site)["metadata"]["managedFields"], ADDITIONS[addition](site)
    ours = [e for e in entries if e["manager"] == "countersign" and e["operation"] == "Apply"]
    site.controller.stop()  # both writes are there before it can look: as fast as an attacker could be
    strategic(site, pod_patch(**fields), manager="countersign" if hiding == "named_like_ours" else MALLORY)
    if hiding != "named_like_ours":
        wipe(site, [{}] if hiding == "wiped" else ours)
    site.controller.start()
    until(f"{addition} to be taken out", lambda: pod(site), clean(before), seconds=10)
    site.settled("app")


@pytest.mark.parametrize("manager", ["countersign", "countersign-takeover", "countersign-released", "countersign-x"])
def test_addition_under_a_name_like_ours_goes_while_running(site, manager):
    deployed(site)
    before = pod(site)
    strategic(site, pod_patch(hostNetwork=True), manager=manager)
    until("hostNetwork to be taken out", lambda: pod(site), clean(before), seconds=1.5)


def test_environment_added_is_reported_with_manager_time_and_path_and_stays(site):
    deployed(site)
    strategic(site, pod_patch(**main_with(env=[{"name": "THEIRS", "value": "x"}])))
    extra = until("the extra to be reported", lambda: site.app("app")["status"].get("extras"))[0]
    assert extra["manager"] == MALLORY and extra["time"] and extra["path"].startswith("/spec/template/spec/containers/0/env"), extra
    site.requests.mark()
    site.nothing_sent(site.requests)
    assert pod(site)["containers"][0]["env"] == [{"name": "THEIRS", "value": "x"}]


def test_hardening_added_by_another_stays(site):
    deployed(site)
    hard = {"seccompProfile": {"type": "RuntimeDefault"}}
    strategic(site, pod_patch(securityContext=hard, **main_with(securityContext={"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}})))
    site.requests.mark()
    site.nothing_sent(site.requests)
    assert pod(site)["securityContext"] == hard


def test_managed_fields_wiped_alone_leave_spec_and_pods_as_they_are(site):
    deployed(site)
    before, generation = pod(site), web(site)["metadata"]["generation"]
    wipe(site)
    until("our fields to be ours again", lambda: web(site)["metadata"]["managedFields"],
          lambda entries: any(e["manager"] == "countersign" and e["operation"] == "Apply" for e in entries), seconds=5)
    site.settled("app")
    site.requests.mark()
    site.nothing_sent(site.requests)
    assert pod(site) == before and web(site)["metadata"]["generation"] == generation


def test_stolen_label_is_put_back(site):
    deployed(site)
    label = web(site)["metadata"]["labels"]["countersign.dev/app"]
    site.kube.patch("apps/v1", "Deployment", site.namespace, "web", {"metadata": {"labels": {"countersign.dev/app": None}}}, manager=MALLORY)
    until("our label", lambda: web(site)["metadata"].get("labels", {}), lambda labels: labels.get("countersign.dev/app") == label, seconds=5)
    strategic(site, pod_patch(hostPID=True))
    until("hostPID to be taken out", lambda: pod(site), lambda spec: "hostPID" not in spec, seconds=1.5)


@pytest.mark.parametrize("forged", [False, True])
def test_object_that_bears_our_marks_is_neither_taken_nor_deleted(site, forged):
    deployed(site)
    meta = web(site)["metadata"]
    copy = config_map("copied", site.namespace, key="theirs")
    tracking = meta["annotations"]["countersign.dev/tracking-id"]
    if forged:
        tracking = f"{tracking.split(':')[0]}:/ConfigMap:{site.namespace}/copied"
    copy["metadata"] |= {"labels": {"countersign.dev/app": meta["labels"]["countersign.dev/app"]}, "annotations": {"countersign.dev/tracking-id": tracking}}
    site.requests.mark()
    site.kube.create(copy)
    site.nothing_sent(site.requests, seconds=2)
    assert site.find("v1", "ConfigMap", "copied")["data"] == {"key": "theirs"}
    site.settled("app")


def test_rule_added_to_a_role_goes(new_site):
    site = new_site().install(rules=[*WORKLOAD_RULES, RBAC_RULE, {"apiGroups": [""], "resources": ["configmaps", "secrets"], "verbs": ["get"]}])
    site.controller.start()
    role = obj(f"{RBAC}/v1", "Role", "reader", rules=[{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}])
    site.deploy({"app/role.yaml": text(role)})
    live = site.find(f"{RBAC}/v1", "Role", "reader")
    site.kube.patch(f"{RBAC}/v1", "Role", site.namespace, "reader",
                    [{"op": "add", "path": "/rules/-", "value": {"apiGroups": [""], "resources": ["secrets"], "verbs": ["*"]}}], manager=MALLORY)
    until("the rule to go", lambda: site.find(f"{RBAC}/v1", "Role", "reader")["rules"], lambda rules: rules == live["rules"], seconds=1.5)
    drift = until("the drift record", lambda: site.records("drift", 0, "app"))
    assert MALLORY in str(drift), drift


def test_weakening_is_recorded_as_drift_naming_manager_and_path(site):
    deployed(site)
    strategic(site, pod_patch(hostNetwork=True))
    drift = until("the drift record", lambda: site.records("drift", 0, "app"))
    assert MALLORY in str(drift) and "/spec/template/spec/hostNetwork" in str(drift), drift


def test_without_self_heal_a_weakening_is_reported_and_stays(site):
    deployed(site, automated={"prune": True})
    strategic(site, pod_patch(hostNetwork=True))
    site.wait_condition("Synced", "False", "app", said=MALLORY)
    stays("hostNetwork", lambda: pod(site).get("hostNetwork"), lambda on: on is True)


@pytest.mark.parametrize("what", ["host_network", "container"])
def test_whoever_weakens_again_and_again_is_contested_by_name_and_does_not_win(site, what):
    deployed(site)
    before, fields = pod(site), ADDITIONS[what](site)
    for _ in range(8):
        strategic(site, pod_patch(**fields))
        until(f"{what} to be taken out", lambda: pod(site), clean(before), seconds=8)
    site.wait_condition("Synced", "False", "app", said=MALLORY, reason="Contested")
    assert len(site.records("drift", 0, "app")) >= 8
    site.kube.patch_application(site.system, "app", {"metadata": {"annotations": {"countersign.dev/refresh": "normal"}}})
    site.settled("app")


def test_container_that_may_not_be_taken_out_is_a_violation_until_it_is(site):
    deployed(site)
    rights = f"{site.system}-{site.team.applier}"
    site.kube.delete(f"{RBAC}/v1", "ClusterRoleBinding", None, rights)
    strategic(site, pod_patch(containers=[{"name": "evil", "image": pushed(site)}]))
    site.wait_condition("Verified", "False", "app", said="evil", seconds=5)
    site.kube.apply(*site.team.rights())
    until("it to go", lambda: pod(site)["containers"], lambda seen: len(seen) == 1, seconds=30)
    site.wait_condition("Verified", "True", "app")
