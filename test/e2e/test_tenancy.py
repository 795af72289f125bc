"""What a team may do ends at its Project and at its service account's rights; who may speak for others is named at the start."""

import json

from harness.manifests import config_map, deployment, text
from harness.tenant import Tenant, image_policy, obj
from harness.wait import stays, until

ONE = {"app/config.yaml": text(config_map("config"))}


def test_right_that_the_account_lacks_is_named_with_the_rule_to_add(new_site):
    site = new_site().install(rules=[{"apiGroups": [""], "resources": ["secrets"], "verbs": ["*"]}])
    site.controller.start()
    site.deploy(ONE, wait=False)
    seen = site.wait_condition("Synced", "False", "app", said="configmaps")
    for word in ("red-applier", "patch"):
        assert word in seen["message"], seen["message"]
    site.team.rules = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["*"]}]
    site.kube.apply(*site.team.rights())
    until("the sync to go through by itself", lambda: site.find("v1", "ConfigMap", "config"), seconds=70)


def test_impersonation_that_was_not_granted_is_named_with_the_rule_to_add(site):
    site.kube.delete("rbac.authorization.k8s.io/v1", "RoleBinding", site.system, "impersonate-red-applier")
    site.deploy(ONE, wait=False)
    seen = site.wait_condition("Synced", "False", "app", said="impersonate")
    assert "red-applier" in seen["message"], seen["message"]
    assert site.find("v1", "ConfigMap", "config") is None


def test_account_that_does_not_exist_writes_nothing(site):
    site.kube.delete("v1", "ServiceAccount", site.system, "red-applier")
    site.kube.delete("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", None, f"{site.system}-red-applier")
    site.deploy(ONE, wait=False)
    site.wait_condition("Synced", "False", "app", said="red-applier")
    assert site.find("v1", "ConfigMap", "config") is None


def test_project_that_does_not_exist_is_named(site):
    app = site.team.application("app", site.repo(ONE), "app")
    app["spec"]["project"] = "unheard-of"
    site.kube.apply(app)
    assert "unheard-of" in site.wait_condition("Synced", "False", "app", said="unheard-of")["message"]


def test_unknown_field_makes_a_project_invalid_and_what_it_governs_denied(site):
    site.deploy(ONE)
    site.team.project_fields = {"permitEverything": True}
    site.kube.apply(site.team.project)
    seen = site.wait_condition("Synced", "False", "app", said="permitEverything", seconds=30)
    assert "red" in seen["message"], seen["message"]


def test_destination_outside_the_project_is_refused(site):
    site.kube.apply(site.team.application("app", site.repo(ONE), "app", namespace="default"))
    seen = site.wait_condition("Synced", "False", "app", said="default")
    assert "red" in seen["message"] and site.find("v1", "ConfigMap", "config", "default") is None


def test_kind_that_the_controller_cannot_read_is_refused_before_any_write(site):
    group = f"{site.name}.example"
    crd = obj("apiextensions.k8s.io/v1", "CustomResourceDefinition", f"hidden.{group}", spec={
        "group": group, "scope": "Namespaced", "names": {"kind": "Hidden", "plural": "hidden", "singular": "hidden", "listKind": "HiddenList"},
        "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {
            "type": "object", "x-kubernetes-preserve-unknown-fields": True}}}]})
    site.kube.apply(crd)
    try:
        until("the custom kind", lambda: site.kube.resource(f"{group}/v1", "Hidden"))
        site.deploy({**ONE, "app/hidden.yaml": text(obj(f"{group}/v1", "Hidden", "h", spec={"a": 1}))}, wait=False)
        seen = site.wait_condition("Synced", "False", "app", said="aggregate-to-reader")
        assert group in seen["message"] and site.find("v1", "ConfigMap", "config") is None, seen["message"]
    finally:
        site.kube.delete(crd["apiVersion"], crd["kind"], None, crd["metadata"]["name"])


def declaring(site, team, manifest, name="root"):
    """An Application of the team whose repository declares the manifest in the installation's namespace."""
    repo = site.repo({"apps/a.yaml": text(manifest)})
    site.kube.apply(team.application(name, repo, "apps", namespace=site.system))
    return repo


def test_app_of_apps_may_declare_its_own_project_only(new_site):
    site = new_site().install(rules=[{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}])
    site.team.namespaces.append(site.system)
    site.kube.apply(site.team.project)
    other = site.new_team("blue", [site.namespace])
    site.controller.start()
    code = site.repo(ONE)
    declaring(site, site.team, other.application("stolen", code, "app"))
    seen = site.wait_condition("Synced", "False", "root", said="blue")
    assert "stolen" in seen["message"] and site.kube.find_application(site.system, "stolen") is None
    declaring(site, site.team, site.team.application("own", code, "app"), name="second")
    until("its own Application", lambda: site.kube.find_application(site.system, "own"))
    site.settled("own")


def test_admin_project_alone_declares_policies_projects_and_applications_of_others(new_site):
    site = new_site(admin_project="platform").install(policy=False)
    everything = [{"apiGroups": ["countersign.dev"], "resources": ["*"], "verbs": ["*"]}]
    platform = site.new_team("platform", [site.system], rules=everything)
    site.controller.start()
    image = site.image("web")
    code = site.repo({"app/web.yaml": text(deployment("web", image.ref))})
    blue = Tenant(site.kube, site.system, "blue", [site.namespace], [f"{site.stack.git_url}/open/{site.name}/*"])
    site.teams.append(blue)
    site.kube.apply(*blue.rights())
    policy = image_policy(site.system, "release", [f"{site.registry.address}/{site.name}/**"], [site.key])
    repo = site.repo({"apps/a.yaml": text(policy, blue.project, blue.application("web", code, "app"))})
    site.kube.apply(platform.application("root", repo, "apps", namespace=site.system))
    site.settled("root", "web", seconds=30)
    site.wait_running(image)


def test_tenant_cannot_rewrite_its_own_gate(new_site):
    site = new_site(admin_project="platform").install(rules=[{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}])
    site.team.namespaces.append(site.system)
    site.kube.apply(site.team.project)
    site.controller.start()
    site.requests.mark()
    declaring(site, site.team, image_policy(site.system, "release", ["**"], [], mode="warn"))
    seen = site.wait_condition("Synced", "False", "root", said="ImagePolicy")
    assert "platform" in seen["message"], seen["message"]
    site.nothing_sent(site.requests)


def test_controller_has_no_right_of_its_own_to_write_in_the_teams_namespace(site):
    site.deploy(ONE)
    controller = site.kube.account(site.system, "countersign-controller")
    for verb, resource in (("create", "configmaps"), ("patch", "deployments.apps"), ("delete", "configmaps"), ("get", "secrets")):
        group = resource.partition(".")[2]
        answer = controller.request("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", {
            "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": {"verb": verb, "group": group, "resource": resource.partition(".")[0], "namespace": site.namespace}}})
        assert not answer["status"]["allowed"], f"{verb} {resource}: {json.dumps(answer['status'])}"


def test_applications_beside_each_other_do_not_wait_for_each_other(site):
    broken = site.repo({"app/a.yaml": "{"})
    site.kube.apply(site.team.application("broken", broken, "app"))
    site.deploy(ONE, name="good")
    site.wait_condition("Synced", "False", "broken", said="a.yaml")
    stays("the good one is good", lambda: site.condition("Ready", "good")["status"], lambda s: s == "True", seconds=1)
