"""A tenant's repository that reaches too far: refused by the Project before anything is sent, and by RBAC where the Project were wrong."""

import re
import socket
import urllib.parse

import pytest

from harness.auditlog import told
from harness.controller import cli
from harness.manifests import config_map, deployment, text, wave
from harness.site import Site
from harness.tenant import APP_RULES, WORKLOAD_RULES, Tenant, obj
from harness.wait import stays, until

RBAC, API = "rbac.authorization.k8s.io/v1", "countersign.dev/v1alpha1"
EVERYTHING = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]


@pytest.fixture(scope="module")
def place(stack, kube, registry, keys, tmp_path_factory):
    """One installation for the file. The account of "red" may do anything: what stops it is its Project. "wide" is the other way round."""
    site = Site(stack, kube, registry, keys, tmp_path_factory.mktemp("refusals"), "refusals").install(rules=EVERYTHING, project={"clusterResourceWhitelist": []})
    site.team.namespaces.append(site.system)
    kube.apply(site.team.project)
    site.wide = site.new_team("wide", [site.namespace], rules=[
        {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["*"]},
        {"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["roles", "rolebindings"], "verbs": ["get", "create", "patch", "delete"]}],
        project={"clusterResourceWhitelist": [{"group": "*", "kind": "*"}]})
    site.blue = site.new_team("blue", [site.namespace])
    site.controller.start()
    yield site
    site.close()


def names(request):
    return "r" + re.sub(r"[^a-z0-9]+", "-", request.node.callspec.params["what"].lower()).strip("-")[:40]


def binding(kind, name, role, namespace=None):
    return obj(RBAC, f"{kind}Binding", name, namespace, roleRef={"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
               subjects=[{"kind": "ServiceAccount", "name": "red-applier", "namespace": "x"}])


def crd(name):
    return obj("apiextensions.k8s.io/v1", "CustomResourceDefinition", f"{name}s.evil.example", spec={
        "group": "evil.example", "scope": "Namespaced", "names": {"kind": "Evil", "plural": f"{name}s", "singular": name},
        "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}]})


def webhook(kind, name):
    return obj("admissionregistration.k8s.io/v1", f"{kind}WebhookConfiguration", name, webhooks=[{
        "name": "a.evil.example", "admissionReviewVersions": ["v1"], "sideEffects": "None", "clientConfig": {"url": "https://evil.example/"},
        "rules": [{"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["*"], "resources": ["*"]}]}])


def token(name, account, namespace=None):
    made = obj("v1", "Secret", name, namespace, type="kubernetes.io/service-account-token")
    made["metadata"]["annotations"] = {"kubernetes.io/service-account.name": account}
    return made


def labelled(made, **labels):
    made["metadata"]["labels"] = labels
    return made


KIND, WHERE, INSIDE = "KindNotPermitted", "NamespaceNotPermitted", "InstallationNotPermitted"
# what → (the object, given the site and a name; the reason; what else the message names)
CONTENTS = {
    "ClusterRole": (lambda s, n: obj(RBAC, "ClusterRole", n, rules=[]), KIND, "spec.clusterResourceWhitelist"),
    "ClusterRoleBinding": (lambda s, n: binding("Cluster" + "Role", n, "cluster-admin"), KIND, "spec.clusterResourceWhitelist"),
    "CustomResourceDefinition": (lambda s, n: crd("evil"), KIND, "spec.clusterResourceWhitelist"),
    "Namespace": (lambda s, n: obj("v1", "Namespace", n), KIND, "spec.clusterResourceWhitelist"),
    "ValidatingWebhookConfiguration": (lambda s, n: webhook("Validating", n), KIND, "spec.clusterResourceWhitelist"),
    "MutatingWebhookConfiguration": (lambda s, n: webhook("Mutating", n), KIND, "spec.clusterResourceWhitelist"),
    "object in kube-system": (lambda s, n: config_map(n, "kube-system"), WHERE, "spec.destinations"),
    "RoleBinding in kube-system": (lambda s, n: binding("Role", n, "cluster-admin", "kube-system"), WHERE, "spec.destinations"),
    "ImagePolicy": (lambda s, n: obj(API, "ImagePolicy", n, s.system, spec={"images": [{"glob": "**"}], "mode": "warn"}), "PolicyNotPermitted", "admin project"),
    "Project": (lambda s, n: obj(API, "Project", n, s.system, spec={"sourceRepos": ["*"]}), "PolicyNotPermitted", "admin project"),
    "ApplicationInventory": (lambda s, n: obj(API, "ApplicationInventory", n, s.system, data=""), "PolicyNotPermitted", "admin project"),
    "Application of another project": (lambda s, n: s.blue.application(n, s.repo(), "x"), "ApplicationNotPermitted", "blue"),
    "token of the own account": (lambda s, n: token(n, "default"), "TokenNotPermitted", "default"),
    "token of the controller": (lambda s, n: token(n, "countersign-controller", s.system), INSIDE, "countersign's own"),
    "credential of a repository": (lambda s, n: labelled(obj("v1", "Secret", n, s.system, stringData={"url": "https://x"}),
                                                         **{"countersign.dev/secret-type": "repository"}), INSIDE, "countersign's own"),
    "certificates to be believed": (lambda s, n: obj("v1", "ConfigMap", "countersign-tls-certs", s.system, data={"x": "y"}), INSIDE, "countersign's own"),
    "Pod as the controller": (lambda s, n: obj("v1", "Pod", n, s.system, spec={"serviceAccountName": "countersign-controller", "containers": [
        {"name": "a", "image": "evil.example/x:1"}]}), INSIDE, "countersign's own"),
    "Namespace of the installation": (lambda s, n: obj("v1", "Namespace", s.system), INSIDE, "countersign itself"),
    "definition of policies": (lambda s, n: obj("apiextensions.k8s.io/v1", "CustomResourceDefinition", "imagepolicies.countersign.dev"), INSIDE, "countersign itself"),
    "Role for the controller": (lambda s, n: obj(RBAC, "Role", n, s.system, rules=[]), INSIDE, "countersign's own"),
}


@pytest.mark.parametrize("what", CONTENTS)
def test_project_refuses_before_anything_is_sent(place, request, what):
    make, reason, named = CONTENTS[what]
    name = names(request)
    evil = make(place, f"{name}-x")
    exists = place.kube.find(evil["apiVersion"], evil["kind"], evil["metadata"].get("namespace", place.namespace), evil["metadata"]["name"])
    since = place.log.next_seq()
    place.requests.mark()
    place.deploy({"app/a.yaml": text(config_map(name)), "app/evil.yaml": text(evil)}, name=name, wait=False)
    seen = place.wait_condition("Synced", "False", name, reason=reason)
    for word in (evil["kind"], evil["metadata"]["name"], "(app/evil.yaml:1)", named, "red", "Git"):
        assert word in seen["message"], f"no {word!r} in: {seen['message']}"
    denied = until("its record", lambda: place.records("sync.denied", since, name))[0]
    assert denied["reason"] == reason and denied["project"] == "red" and "evil.yaml" in denied["message"]
    place.nothing_sent(place.requests, seconds=0.5)
    assert place.find("v1", "ConfigMap", name) is None, "a part of the revision was applied"
    assert place.kube.find(evil["apiVersion"], evil["kind"], evil["metadata"].get("namespace", place.namespace), evil["metadata"]["name"]) == exists


def test_namespace_of_the_sync_option_is_not_made_where_the_project_denies_namespaces(place):
    team = place.new_team("denied", ["refusals-made"], project={"clusterResourceBlacklist": [{"group": "", "kind": "Namespace"}]})
    place.requests.mark()
    repo = place.repo({"app/a.yaml": text(config_map("made"))})
    place.kube.apply(team.application("made", repo, "app", options=["CreateNamespace=true"]))
    seen = place.wait_condition("Synced", "False", "made", reason=KIND)
    assert "Namespace refusals-made" in seen["message"] and "spec.clusterResourceBlacklist[0]" in seen["message"], seen["message"]
    place.nothing_sent(place.requests, seconds=0.5)


def test_application_of_another_project_is_not_taken_over_by_its_name(place):
    place.kube.apply(place.blue.application("theirs", place.repo({"app/a.yaml": text(config_map("theirs"))}), "app"))
    place.settled("theirs")
    place.requests.mark()
    place.deploy({"apps/a.yaml": text(place.team.application("theirs", place.repo(), "x"))}, name="taker", path="apps", wait=False, namespace=place.system)
    seen = place.wait_condition("Synced", "False", "taker", reason="ApplicationNotPermitted")
    assert "project blue" in seen["message"] and "(apps/a.yaml:1)" in seen["message"], seen["message"]
    place.nothing_sent(place.requests, seconds=0.5)
    assert place.app("theirs")["spec"]["project"] == "blue"


# --- where the Project were wrong ---------------------------------------------------------------------------------------

GRANT = [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]
RIGHTS = {
    "ClusterRole": (lambda s, n: obj(RBAC, "ClusterRole", n, rules=GRANT), "Forbidden", "the rule to add"),
    "ClusterRoleBinding": (lambda s, n: binding("Cluster" + "Role", n, "cluster-admin"), "Forbidden", "the rule to add"),
    "CustomResourceDefinition": (lambda s, n: crd("evil"), "Forbidden", "the rule to add"),
    "Namespace": (lambda s, n: obj("v1", "Namespace", n), "Forbidden", "the rule to add"),
    "Role that grants what the account has not": (lambda s, n: obj(RBAC, "Role", n, rules=GRANT), "EscalationForbidden", "let an administrator"),
    "RoleBinding to what the account has not": (lambda s, n: binding("Role", n, "cluster-admin"), "EscalationForbidden", "let an administrator"),
}


@pytest.mark.parametrize("what", RIGHTS)
def test_rbac_refuses_what_a_wrong_project_allows(place, request, what):
    make, reason, named = RIGHTS[what]
    name = "w" + names(request)
    evil = make(place, f"{name}-x")
    place.requests.mark()
    files = {"app/a.yaml": text(wave(config_map(f"{name}-first"), -1)), "app/evil.yaml": text(evil), "app/z.yaml": text(wave(config_map(f"{name}-last"), 1))}
    place.kube.apply(place.wide.application(name, place.repo(files), "app"))
    seen = place.wait_condition("Synced", "False", name, reason=reason, seconds=20)
    for word in (evil["kind"], evil["metadata"]["name"], "(app/evil.yaml:1)", "wide-applier", named):
        assert word in seen["message"], f"no {word!r} in: {seen['message']}"
    assert place.kube.find(evil["apiVersion"], evil["kind"], place.namespace, evil["metadata"]["name"]) is None
    # what its order puts before it is there, what comes after it is not
    assert place.find("v1", "ConfigMap", f"{name}-first") and place.find("v1", "ConfigMap", f"{name}-last") is None
    tried = [e for e in place.governed() if e["objectRef"].get("name") == evil["metadata"]["name"]]
    assert tried and all(e["responseStatus"]["code"] == 403 and e["impersonatedUser"]["username"].endswith(":wide-applier") for e in tried), \
        [told(e) for e in tried]
    # it would be tried again, among the writes that later tests look at
    place.kube.delete(API, "Application", place.system, name)


def test_project_that_is_narrowed_during_a_sync_stops_it_there(place):
    """The first wave waits for its health; what was allowed when the sync began is asked anew before the second."""
    first = wave(deployment("waits", place.image("waits").ref, nodeSelector={"refusals": "yes"}), 0)
    team = place.new_team("narrowed", [place.namespace], rules=WORKLOAD_RULES)
    place.kube.apply(team.application("narrowed", place.repo({"app/a.yaml": text(first), "app/b.yaml": text(wave(config_map("second-wave"), 1))}), "app"))
    until("the first wave", lambda: place.find("apps/v1", "Deployment", "waits"))
    place.wait_condition("Synced", "Unknown", "narrowed", reason="WaitingForHealth")
    team.project_fields = {"namespaceResourceBlacklist": [{"group": "", "kind": "ConfigMap"}]}
    place.kube.apply(team.project)
    place.requests.mark()
    node = place.kube.list("v1", "Node")[0]["metadata"]["name"]
    place.kube.patch("v1", "Node", None, node, {"metadata": {"labels": {"refusals": "yes"}}})
    try:
        seen = place.wait_condition("Synced", "False", "narrowed", reason=KIND, seconds=30)
        assert "spec.namespaceResourceBlacklist[0]" in seen["message"] and "(app/b.yaml:" in seen["message"], seen["message"]
        stays("nothing of it is sent", lambda: [told(e) for e in place.governed() if e["objectRef"].get("name") == "second-wave"], lambda s: s == [], seconds=1)
    finally:
        place.kube.patch("v1", "Node", None, node, {"metadata": {"labels": {"refusals": None}}})
        place.kube.delete(API, "Application", place.system, "narrowed")


# --- repositories -----------------------------------------------------------------------------------------------------------

def changed(url, **parts):
    split = urllib.parse.urlsplit(url)
    return split._replace(**{name: change(getattr(split, name)) for name, change in parts.items()}).geturl()


# what → the URL in another spelling
SPELLINGS = {
    "other letters in the path": lambda u: changed(u, path=str.upper),
    "another port": lambda u: changed(u, netloc=lambda n: n.partition(":")[0] + ":1"),
    "no port": lambda u: changed(u, netloc=lambda n: n.partition(":")[0]),
    "another scheme": lambda u: changed(u, scheme=lambda s: "https"),
    "a user name": lambda u: changed(u, netloc=lambda n: f"git@{n}"),
    "a password": lambda u: changed(u, netloc=lambda n: f"git:hunter2@{n}"),
    "the allowed host as user name": lambda u: changed(u, netloc=lambda n: f"{n}@127.0.0.1:1"),
    "an escaped letter": lambda u: changed(u, path=lambda p: p.replace("open", "%6Fpen")),
    "an escaped slash": lambda u: changed(u, path=lambda p: p.replace("/open/", "/open%2F")),
    "an escaped dot": lambda u: changed(u, path=lambda p: p.replace(".git", "%2Egit")),
    "dot segments": lambda u: changed(u, path=lambda p: "/open/.." + p),
    "an empty segment": lambda u: changed(u, path=lambda p: "/" + p),
    "twice .git": lambda u: u + ".git",
    "the folder .git": lambda u: u + "/.git",
    "a query": lambda u: u + "?a",
    "a fragment": lambda u: u + "#a",
    "a dot behind the host": lambda u: changed(u, netloc=lambda n: n.replace(":", ".:")),
}


class Spelled:
    branch = "main"

    def __init__(self, url):
        self.url = url


@pytest.mark.parametrize("rules", ["allowed by its name alone", "all allowed, this one denied"])
def test_no_spelling_of_a_url_is_another_answer(place, rules):
    """All spellings at once, each in an Application of its own: refused, not contacted, and no password shown."""
    number = len(rules)
    repo = place.repo({"app/a.yaml": text(config_map("spelled"))})
    alone = rules.startswith("allowed")
    # upper case in the path is another repository where it is allowed, and the same where it is denied
    team = Tenant(place.kube, place.system, f"speller{number}", [place.namespace], [repo.url] if alone else ["*", f"!{repo.url}"]).create()
    place.teams.append(team)
    place.requests.mark()
    spelled = {what: change(repo.url) for what, change in SPELLINGS.items()}
    if not alone:
        # ports and schemes are other servers; a denial of one says nothing of those
        spelled = {k: v for k, v in spelled.items() if k not in ("another port", "no port", "another scheme")} | {"as it is": repo.url}
    before = len(place.stack.git_requests(""))
    for at, url in enumerate(spelled.values()):
        place.kube.apply(team.application(f"spelled{number}-{at}", Spelled(url), "app"))
    for at, (what, url) in enumerate(spelled.items()):
        seen = place.wait_condition("Synced", "False", f"spelled{number}-{at}")
        assert seen["reason"] in ("RepositoryNotPermitted", "InvalidSpec"), f"{what}: {url}: {seen}"
        assert "hunter2" not in seen["message"] and ("spec.source" in seen["message"] or "sourceRepos" in seen["message"]), seen["message"]
    stays("nothing is sent", lambda: [told(e) for e in place.governed() if e["impersonatedUser"]["username"].endswith(team.applier)], lambda s: s == [], seconds=0.7)
    asked = [r for r in place.stack.git_requests("")[before:] if repo.path_on_server.strip("/").lower() in r.lower() and "receive-pack" not in r]
    assert asked == [], asked


def test_spellings_that_are_the_same_repository_are_allowed(place):
    repo = place.repo({"app/a.yaml": text(config_map("same"))})
    team = Tenant(place.kube, place.system, "same", [place.namespace], [repo.url.removesuffix(".git")]).create()
    place.teams.append(team)
    place.kube.apply(team.application("same", repo, "app"))
    place.settled("same")


# Of the listener's port. Loopback is a pod's own, and so refused in a cluster alone: unit/api/test_repo_url.c, unit/source/test_source.c.
INSIDE = ["0", "0.0.0.0", "[::]", "169.254.169.254", "0xa9fea9fe", "[::ffff:169.254.169.254]", "[fd00:ec2::254]", "224.0.0.1",
          "255.255.255.255"]


def test_addresses_inside_are_refused_with_one_reason_and_nothing_is_sent_there(place):
    """Whatever the answer of the other side would be, an Application may not have it told."""
    team = Tenant(place.kube, place.system, "inside", [place.namespace], ["*", "http://**"]).create()
    place.teams.append(team)
    with socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as listener:
        listener.settimeout(0)
        port = listener.getsockname()[1]
        place.kube.apply(*(team.application(f"inside{at}", Spelled(f"http://{host}:{port}/a/b.git"), "app") for at, host in enumerate(INSIDE)))
        for at, host in enumerate(INSIDE):
            seen = place.wait_condition("Synced", "False", f"inside{at}")
            assert seen["reason"] == "RepositoryNotPermitted", f"{host}: {seen}"
        with pytest.raises(BlockingIOError):
            listener.accept()


# --- what a person sees at night ----------------------------------------------------------------------------------------------

def test_describe_tells_what_was_refused_by_which_rule_where_in_git_and_how_to_mend_it(place):
    place.deploy({"app/a.yaml": text(config_map("night")) + "---\n" + text(obj(RBAC, "ClusterRole", "night", rules=[]))}, name="night", wait=False)
    place.wait_condition("Synced", "False", "night", reason=KIND)
    shown = " ".join(cli("describe", "night", "-n", place.system, kubeconfig=place.stack.kubeconfig).stdout.split())
    line = next(n for n, part in enumerate(text(config_map("night")).splitlines() + ["---", "{"], 1) if part == "{" and n > 2)
    for word in ("KindNotPermitted", "ClusterRole night", f"(app/a.yaml:{line})", "Project red", "no entry of spec.clusterResourceWhitelist",
                 'add {group: "rbac.authorization.k8s.io", kind: ClusterRole} there', "take the object out of Git", "Ask whoever keeps Project red"):
        assert word in shown, f"no {word!r} in: {shown}"
