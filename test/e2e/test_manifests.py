"""What manifests/ installs: the kinds keep what they must keep, say what is wrong, and the account may do what its README says."""

import json

import pytest

from harness.controller import ACCOUNT, documents
from harness.kube import ApiError
from harness.stack import ROOT
from harness.tenant import API, SERVER, obj
from harness.wait import until

DIRECTORY = {"recurse": True, "include": "*.yaml", "exclude": "{a,b}",
             "jsonnet": {"extVars": [{"name": "a", "value": "b", "code": True}], "tlas": [{"name": "a", "value": "b"}], "libs": ["l"]}}
KUSTOMIZE = {
    "version": "v5", "namePrefix": "a", "nameSuffix": "b", "namespace": "c", "images": ["a=b"],
    "replicas": [{"name": "x", "count": 3}, {"name": "z", "count": "3"}],
    "patches": [{"path": "p", "patch": "q", "options": {"allowNameChange": True},
                 "target": {"group": "g", "version": "v1", "kind": "K", "name": "web", "namespace": "s", "labelSelector": "l",
                            "annotationSelector": "m"}}],
    "components": ["c"], "ignoreMissingComponents": True, "commonLabels": {"a": "b"}, "commonAnnotations": {"a": "b"},
    "commonAnnotationsEnvsubst": True, "forceCommonLabels": True, "forceCommonAnnotations": True, "labelWithoutSelector": True,
    "labelIncludeTemplates": True, "kubeVersion": "1.30", "apiVersions": ["v1"],
}
HELM = {
    "releaseName": "r", "valueFiles": ["f"], "values": "a: b", "valuesObject": {"a": {"b": [1, {"c": 2}]}},
    "parameters": [{"name": "a", "value": "b", "forceString": True}], "fileParameters": [{"name": "a", "path": "b"}], "version": "v3",
    "passCredentials": True, "ignoreMissingValueFiles": True, "skipCrds": True, "skipTests": True, "skipSchemaValidation": True,
    "namespace": "s", "kubeVersion": "1.30", "apiVersions": ["v1"],
}
PLUGIN = {"name": "p", "env": [{"name": "a", "value": "b"}],
          "parameters": [{"name": "a", "string": "s"}, {"name": "b", "array": ["x"]}, {"name": "c", "map": {"k": "v"}}]}
SOURCE = {"repoURL": "https://git.example/x.git", "targetRevision": "main", "path": "a", "chart": "c", "ref": "values", "name": "web",
          "tagPrefix": "v", "directory": DIRECTORY, "kustomize": KUSTOMIZE, "helm": HELM, "plugin": PLUGIN}
RETRY = {"limit": 5, "refresh": True, "backoff": {"duration": "5s", "factor": 2, "maxDuration": "3m"}}
EVERY_FIELD = {
    "spec": {
        "project": "p", "destination": {"name": "in-cluster", "namespace": "shop"}, "source": SOURCE, "sources": [SOURCE],
        "sourceHydrator": {"drySource": {"repoURL": "u", "path": "p", "targetRevision": "r"}, "syncSource": {"targetBranch": "b", "path": "p"},
                           "hydrateTo": {"targetBranch": "c"}},
        "syncPolicy": {"automated": {"enabled": True, "prune": True, "selfHeal": True, "allowEmpty": True}, "syncOptions": ["A=b"],
                       "retry": RETRY, "managedNamespaceMetadata": {"labels": {"a": "b"}, "annotations": {"c": "d"}}},
        "ignoreDifferences": [{"group": "apps", "kind": "Deployment", "name": "web", "namespace": "s", "jsonPointers": ["/spec/replicas"],
                               "jqPathExpressions": [".x"], "managedFieldsManagers": ["m"]}],
        "info": [{"name": "a", "value": "b"}], "revisionHistoryLimit": 3,
    },
    "operation": {
        "sync": {"revision": "r", "revisions": ["a"], "prune": True, "dryRun": True,
                 "resources": [{"group": "g", "kind": "K", "name": "web", "namespace": "s"}], "source": SOURCE, "sources": [SOURCE],
                 "manifests": ["m"], "syncOptions": ["A=b"], "syncStrategy": {"apply": {"force": True}, "hook": {"force": True}},
                 "autoHealAttemptsCount": 2},
        "initiatedBy": {"username": "u", "automated": True}, "info": [{"name": "a", "value": "b"}], "retry": RETRY,
    },
}


@pytest.fixture(scope="module")
def installed(request, stack, kube, registry, keys, tmp_path_factory):
    """An installation whose controller does not run."""
    from harness.site import Site
    made = Site(stack, kube, registry, keys, tmp_path_factory.mktemp("manifests"), request.module.__name__)
    made.install(policy=False)
    yield made
    made.close()


def printed(kube, text=None):
    """The objects of YAML documents, those of install.yaml if there are none, as the real kubectl reads them."""
    text = text or (ROOT / "manifests/install.yaml").read_text()
    return documents(kube.kubectl("create", "--dry-run=client", "-o", "json", "-f", "-", text=text).stdout)


def application(site, name, **spec):
    return obj(API, "Application", name, site.system, spec={
        "project": "p", "source": {"repoURL": "https://git.example/x.git"}, "destination": {"server": SERVER}, **spec})


def test_install_yaml_is_what_kustomize_builds(kube):
    def objects(items):
        return sorted(json.dumps(o, sort_keys=True) for o in items)

    built = kube.kubectl("kustomize", str(ROOT / "manifests/default")).stdout
    assert objects(printed(kube, built)) == objects(printed(kube))


def test_every_field_of_argo_cd_is_kept(installed):
    kept = installed.kube.apply(obj(API, "Application", "every-field", installed.system, **EVERY_FIELD))
    assert kept["spec"] == EVERY_FIELD["spec"] and kept["operation"] == EVERY_FIELD["operation"]


@pytest.mark.parametrize("spec,said", [
    ({"destination": {"server": SERVER, "name": "in-cluster"}}, "has both server and name"),
    ({"destination": {"namespace": "x"}}, "spec.destination.server is missing"),
    ({"source": None}, "spec.source is missing"),
    ({"source": {"repoURL": ""}}, "spec.source.repoURL"),
    ({"syncPolicy": {"automated": {"prune": "yes"}}}, "prune"),
    ({"syncPolicy": {"automatic": {}}}, "automatic"),
], ids=["server_and_name", "no_server", "no_source", "empty_url", "wrong_type", "unknown_field"])
def test_a_wrong_application_is_refused_with_the_field(installed, spec, said):
    wrong = application(installed, "wrong", **spec)
    wrong["spec"] = {k: v for k, v in wrong["spec"].items() if v is not None}
    with pytest.raises(ApiError, match=said):
        installed.kube.apply(wrong)


@pytest.mark.parametrize("kind,spec", [
    ("Project", {"sourceRepos": ["a"], "extra": 1, "destinations": [{"server": "a", "extra": {"deep": [1]}}],
                 "destinationServiceAccounts": [{"server": "a", "extra": 1}], "clusterResourceWhitelist": [{"kind": "K", "extra": 1}]}),
    ("ImagePolicy", {"images": [{"glob": "a", "extra": 1}], "match": [], "mode": "other", "exemptions": [{"glob": "a", "extra": 1}],
                     "authorities": [{"name": "k", "keyless": {"a": "b"}, "key": {"data": "x", "kms": "k", "secretRef": {"extra": 1}}}],
                     "customResources": [{"kind": "K", "extra": 1}]}),
])
def test_unknown_fields_of_policies_are_kept_on_every_level(installed, kind, spec):
    kept = installed.kube.create(obj(API, kind, "unknown-fields", installed.system, spec=spec))
    assert kept["spec"] == spec


def test_status_as_the_controller_writes_it_is_kept_and_shown(installed):
    installed.kube.apply(application(installed, "shown"))
    status = {
        "observedGeneration": 1,
        "conditions": [{"type": t, "status": s, "reason": "R", "message": "m", "lastTransitionTime": "2026-01-01T00:00:00Z",
                        "observedGeneration": 1} for t, s in (("Verified", "True"), ("Synced", "False"), ("Ready", "Unknown"))],
        "sync": {"status": "OutOfSync", "revision": "abc"}, "health": {"status": "Healthy"}, "appliedRevision": "def",
        "operationState": {"phase": "Failed", "message": "m", "startedAt": "2026-01-01T00:00:00Z", "finishedAt": "2026-01-01T00:00:01Z",
                           "retryCount": 2, "operation": EVERY_FIELD["operation"],
                           "syncResult": {"revision": "abc", "resources": [{"group": "", "version": "v1", "kind": "ConfigMap", "namespace": "s",
                                                                             "name": "c", "status": "SyncFailed", "message": "m"}]}},
        "extras": [{"group": "", "kind": "ConfigMap", "namespace": "s", "name": "c", "path": "/data/x", "manager": "kubectl",
                    "time": "2026-01-01T00:00:00Z"}],
        "resources": [{"group": "", "version": "v1", "kind": "ConfigMap", "namespace": "s", "name": "c", "status": "OutOfSync", "message": "m",
                       "requiresPruning": True}],
        "summary": {"objects": 3, "images": ["a@sha256:b"]},
    }
    kept = installed.kube.patch(API, "Application", installed.system, "shown", {"status": status}, subresource="status")
    assert kept["status"] == status
    head, row = installed.kube.kubectl("get", "csapp", "shown", "-n", installed.system).stdout.splitlines()
    assert head.split() == ["NAME", "SYNC", "HEALTH", "VERIFIED", "REVISION", "AGE"]
    assert row.split()[:5] == ["shown", "OutOfSync", "Healthy", "True", "abc"]


def test_an_inventory_stays_with_its_application(installed):
    inventory = obj(API, "ApplicationInventory", "one", installed.system, app="ns/a", revision="abc", count=1, data="x")
    assert installed.kube.apply(inventory)["app"] == "ns/a"
    with pytest.raises(ApiError, match="stays with its Application"):
        installed.kube.apply({**inventory, "app": "ns/b"})


def test_an_inventory_holds_over_a_megabyte_and_no_more(installed):
    installed.kube.apply(obj(API, "ApplicationInventory", "large", installed.system, app="ns/l", data="x" * 1_300_000))
    with pytest.raises(ApiError, match="data"):
        installed.kube.apply(obj(API, "ApplicationInventory", "large", installed.system, app="ns/l", data="x" * 1_400_001))


# --- rights --------------------------------------------------------------------------------------------------------------------

OWN = [("list", "countersign.dev", "applications"), ("patch", "countersign.dev", "applications"), ("patch", "countersign.dev", "applications/status"),
       ("watch", "countersign.dev", "projects"), ("list", "countersign.dev", "imagepolicies"),
       ("create", "countersign.dev", "applicationinventories"), ("delete", "countersign.dev", "applicationinventories"), ("list", "", "secrets"),
       ("watch", "", "configmaps"), ("create", "coordination.k8s.io", "leases"), ("update", "coordination.k8s.io", "leases"),
       ("create", "events.k8s.io", "events")]
EVERYWHERE = [("watch", "", "pods"), ("list", "apps", "deployments"), ("watch", "batch", "jobs"), ("get", "networking.k8s.io", "ingresses"),
              ("list", "rbac.authorization.k8s.io", "clusterroles"), ("watch", "apiextensions.k8s.io", "customresourcedefinitions"),
              ("get", "admissionregistration.k8s.io", "validatingwebhookconfigurations"), ("list", "storage.k8s.io", "storageclasses")]
NEVER = [("get", "", "secrets"), ("list", "", "secrets"), ("create", "", "pods"), ("patch", "apps", "deployments"), ("delete", "", "namespaces"),
         ("create", "", "namespaces"), ("impersonate", "", "serviceaccounts"), ("impersonate", "", "users"), ("impersonate", "", "groups"),
         ("patch", "countersign.dev", "imagepolicies"), ("update", "countersign.dev", "projects"), ("patch", "countersign.dev", "applications"),
         ("bind", "rbac.authorization.k8s.io", "clusterroles"), ("escalate", "rbac.authorization.k8s.io", "clusterroles"), ("*", "*", "*")]
NEVER_AT_HOME = [("patch", "countersign.dev", "imagepolicies"), ("create", "countersign.dev", "projects"), ("create", "countersign.dev", "applications"),
                 ("delete", "countersign.dev", "applications"), ("patch", "", "secrets"), ("create", "", "pods"), ("create", "", "pods/exec"),
                 ("create", "", "serviceaccounts/token"), ("delete", "coordination.k8s.io", "leases"), ("update", "countersign.dev", "applications"), ("get", "", "secrets"),
                 ("delete", "countersign.dev", "projects"), ("get", "countersign.dev", "applicationinventories")]


def allowed(site, right, namespace):
    verb, group, resource = right
    resource, _, subresource = resource.partition("/")
    attributes = {"verb": verb, "group": group, "resource": resource, "subresource": subresource, "namespace": namespace}
    review = obj("authorization.k8s.io/v1", "SubjectAccessReview", "review", spec={
        "user": f"system:serviceaccount:{site.system}:{ACCOUNT}",
        "groups": ["system:serviceaccounts", f"system:serviceaccounts:{site.system}", "system:authenticated"], "resourceAttributes": attributes})
    del review["metadata"]
    return site.kube.request("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", review)["status"]["allowed"]


@pytest.mark.parametrize("right", OWN, ids=lambda r: "_".join(r).replace("/", "_"))
def test_the_controller_may_do_what_it_needs_at_home(installed, right):
    assert allowed(installed, right, installed.system)


@pytest.mark.parametrize("right", EVERYWHERE, ids=lambda r: "_".join(r).replace("/", "_"))
def test_the_controller_may_read_what_people_deploy(installed, right):
    until(f"{right} to be aggregated", lambda: allowed(installed, right, ""))


@pytest.mark.parametrize("right", NEVER, ids=lambda r: "_".join(r).replace("/", "_"))
def test_the_controller_may_not_write_elsewhere_nor_read_secrets_nor_act_as_others(installed, right):
    assert not allowed(installed, right, installed.namespace)
    assert not allowed(installed, right, "kube-system")


@pytest.mark.parametrize("right", NEVER_AT_HOME, ids=lambda r: "_".join(r).replace("/", "_"))
def test_the_controller_may_not_change_its_own_gate(installed, right):
    assert not allowed(installed, right, installed.system)


def test_no_rule_that_is_shipped_has_a_wildcard(kube):
    items = printed(kube)
    rules = [(o["metadata"]["name"], rule) for o in items if o["kind"] in ("Role", "ClusterRole") for rule in o.get("rules") or []]
    assert rules
    for name, rule in rules:
        assert not any("*" in values for values in rule.values()), (name, rule)
        assert "impersonate" not in rule["verbs"], (name, rule)
        if name == "countersign-reader-builtin":
            assert set(rule["verbs"]) == {"get", "list", "watch"} and "secrets" not in rule["resources"], rule


def test_the_pod_passes_pod_security_restricted(installed, kube):
    items = printed(kube)
    labels = next(o for o in items if o["kind"] == "Namespace")["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    kube.patch("v1", "Namespace", None, installed.namespace, {"metadata": {"labels": labels}})
    kube.apply(obj("v1", "ServiceAccount", ACCOUNT, installed.namespace))
    template = next(o for o in items if o["kind"] == "StatefulSet")["spec"]["template"]
    template["spec"]["volumes"].append({"name": "data", "emptyDir": {}})
    del template["spec"]["priorityClassName"]
    pod = obj("v1", "Pod", "controller", installed.namespace, spec=template["spec"])
    kube.request("POST", f"/api/v1/namespaces/{installed.namespace}/pods?dryRun=All", pod)
    pod["spec"]["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = True
    with pytest.raises(ApiError, match="violates PodSecurity"):
        kube.request("POST", f"/api/v1/namespaces/{installed.namespace}/pods?dryRun=All", pod)
