"""Every rule of a Project × every thing that is done to an object × every way in: one table, and the API server's audit log as witness.

Each Application of the table is set up under a Project that allows everything, with one thing left to do (its verb). Then the Project
gets the rule. From there on no way in may bring a single write for it to the API server; and when the rule goes, the thing is done,
which shows that only the rule stood in between.
"""

import itertools

import pytest

from harness.manifests import config_map, deployment, text
from harness.site import Site
from harness.tenant import APP_RULES, SERVER, WORKLOAD_RULES, Tenant, obj
from harness.wait import stays, until

API, FINALIZER = "countersign.dev/v1alpha1", "resources-finalizer.countersign.dev"
ANY = [{"group": "*", "kind": "*"}]
RBAC = "rbac.authorization.k8s.io"

# rule → (what the Project says then, the reason of the condition, what its message names); {ns} is the team's namespace
RULES = {
    "sourceRepos": ({"sourceRepos": ["https://git.example/**"]}, "RepositoryNotPermitted", "spec.sourceRepos"),
    "sourceRepos !": ({"sourceRepos": ["*", "!http://**"]}, "RepositoryNotPermitted", "spec.sourceRepos[1]"),
    "destinations namespace": ({"destinations": [{"server": SERVER, "namespace": "elsewhere"}]}, "NotPermitted", "spec.destinations"),
    "destinations namespace !": ({"destinations": [{"server": "*", "namespace": "*"}, {"server": "*", "namespace": "!{ns}"}]}, "NotPermitted",
                                 "spec.destinations[1]"),
    "destinations server": ({"destinations": [{"server": "https://other.example", "namespace": "*"}]}, "NotPermitted", "spec.destinations"),
    "destinations name": ({"destinations": [{"name": "other", "namespace": "*"}]}, "NotPermitted", "spec.destinations"),
    "destinations name !": ({"destinations": [{"server": "*", "namespace": "*"}, {"name": "!in-cluster", "namespace": "*"}]}, "NotPermitted",
                            "spec.destinations[1]"),
    "namespaceResourceBlacklist": ({"namespaceResourceBlacklist": ANY}, "KindNotPermitted", "spec.namespaceResourceBlacklist[0]"),
    "namespaceResourceWhitelist": ({"namespaceResourceWhitelist": [{"group": "batch", "kind": "*"}]}, "KindNotPermitted",
                                   "spec.namespaceResourceWhitelist"),
    "clusterResourceBlacklist": ({"clusterResourceBlacklist": [{"group": RBAC, "kind": "*"}]}, "KindNotPermitted",
                                 "spec.clusterResourceBlacklist[0]"),
    "clusterResourceWhitelist": ({"clusterResourceWhitelist": [{"group": "", "kind": "Namespace"}]}, "KindNotPermitted",
                                 "spec.clusterResourceWhitelist"),
    "no Project": (None, "ProjectNotFound", "create it"),
}
VERBS = ("create", "update", "delete", "take an extra out", "delete with its Application")
WAYS = ("a commit", "a refresh", "a hard refresh", "self-heal", "countersign sync", "an Application that declares it", "a restart")
# What comes from a repository is governed by sourceRepos; what goes with its Application comes from none.
FREE = {(rule, "delete with its Application") for rule in ("sourceRepos", "sourceRepos !")}


class Case:
    """One Application of the table: `what` is its object, in folder `path` of the team's repository."""

    def __init__(self, rule, verb, number):
        self.rule, self.verb, self.name, self.path = rule, verb, f"c{number}", f"c{number}"
        self.cluster = rule.startswith("cluster")

    def manifest(self, value, image=None):
        if self.cluster:
            return obj(f"{RBAC}/v1", "ClusterRole", f"{self.site}-{self.name}", rules=[
                {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list"] if value == "after" else ["get"]}])
        if self.verb == "take an extra out":
            return deployment(self.name, image.pinned)
        return config_map(self.name, key=value)

    def files(self, value, image=None):
        return {f"{self.path}/x.yaml": text(self.manifest(value, image)), f"{self.path}/keep.yaml": text(config_map(f"{self.name}-keep", key=value))}


@pytest.fixture(scope="module")
def table(request, stack, kube, registry, keys, tmp_path_factory):
    """All cases, set up under open Projects and settled."""
    rights = WORKLOAD_RULES + APP_RULES + [{"apiGroups": [RBAC], "resources": ["clusterroles"], "verbs": ["*"]},
                                           {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list"]}]
    site = Site(stack, kube, registry, keys, tmp_path_factory.mktemp("rules"), "rules").install(rules=rights)
    image = site.image("web")
    cases = [Case(rule, verb, number) for number, (rule, verb) in enumerate(itertools.product(RULES, VERBS))]
    # a cluster role has no extras that are taken out; what can be done to it otherwise is
    cases = [c for c in cases if not (c.cluster and c.verb == "take an extra out")]
    site.by_rule, files, root = {}, {}, {}
    for number, rule in enumerate(RULES):
        team = Tenant(kube, site.system, f"team{number}", [site.namespace, site.system], ["*"], rules=rights,
                      project={"clusterResourceWhitelist": ANY}).create()
        site.teams.append(team)
        site.by_rule[rule] = team
    repo = site.repo()
    for case in cases:
        case.site = site.name
        case.app = site.by_rule[case.rule].application(case.name, repo, case.path)
        case.app["metadata"]["finalizers"] = [FINALIZER]
        if case.verb != "create":
            files.update(case.files("before", image))
        else:
            files.update({f"{case.path}/keep.yaml": text(config_map(f"{case.name}-keep"))})
    repo.push("before", files)
    site.controller.start()
    kube.apply(*(case.app for case in cases))
    site.settled(*(case.name for case in cases), seconds=60)
    yield site, repo, cases, image
    site.close()


def narrow(site):
    """Each team's Project gets its rule."""
    for rule, (fields, _, _) in RULES.items():
        team = site.by_rule[rule]
        if fields is None:
            site.kube.delete(API, "Project", site.system, team.name)
            continue
        said = {key: [{k: v.replace("{ns}", site.namespace) for k, v in e.items()} if isinstance(e, dict) else e for e in value]
                for key, value in fields.items()}
        team.project_fields = {"clusterResourceWhitelist": ANY, **said}
        site.kube.apply(team.project)


def leave_something_to_do(site, repo, cases, image):
    """The one thing of each verb, all of it at once; what a person does in the cluster is done as the administrator."""
    files = {}
    for case in cases:
        if case.verb in ("create", "update"):
            files.update(case.files("after", image))
        elif case.verb == "delete":
            files[f"{case.path}/x.yaml"] = None
        elif case.verb == "take an extra out":
            site.kube.patch("apps/v1", "Deployment", site.namespace, case.name, {"spec": {"template": {"spec": {"hostNetwork": True}}}})
        else:
            site.kube.delete(API, "Application", site.system, case.name)
    return repo.push("after", files)


def refused(site, case):
    """Waits until the case's condition says what refuses it, where, and for which object."""
    _, reason, named = RULES[case.rule]

    def good(condition):
        return condition["status"] == "False" and reason in condition["reason"] + condition["message"] and named in condition["message"]
    return until(f"{case.verb} to be refused by {case.rule} ({case.name})", lambda: site.condition("Synced", case.name), good, seconds=40)


def enter(site, repo, cases, way):
    """Goes in by that way, for all cases at once."""
    live = [c for c in cases if c.verb != "delete with its Application"]
    if way == "a commit":
        # where the rule speaks of ClusterRoles alone, another ConfigMap would be applied, and rightly
        repo.push("once more", {f"{c.path}/keep.yaml": repo.read(f"{c.path}/keep.yaml") + "# again\n" for c in live if c.cluster} |
                  {f"{c.path}/y.yaml": text(config_map(f"{c.name}-y")) for c in live if not c.cluster})
    elif way in ("a refresh", "a hard refresh"):
        for case in cases:
            site.kube.patch_application(site.system, case.name, {"metadata": {"annotations": {
                "countersign.dev/refresh": "hard" if way == "a hard refresh" else "normal"}}})
    elif way == "self-heal":
        for case in live:
            if not case.cluster:
                site.kube.patch("v1", "ConfigMap", site.namespace, f"{case.name}-keep", {"data": {"key": "by hand"}})
    elif way == "countersign sync":
        for case in live:  # what `countersign sync --prune` writes
            site.kube.patch_application(site.system, case.name, {"operation": {"initiatedBy": {"username": "kim"}, "sync": {"prune": True}}})
    elif way == "an Application that declares it":
        for case in live:  # the Application is changed as one above it would change it
            case.app["spec"]["syncPolicy"]["syncOptions"] = ["PruneLast=true"]
        site.kube.apply(*(case.app for case in live), manager="countersign")
    else:
        site.controller.restart()


def waiting(site):
    """Applications that ask for something that no run has taken up yet; one that is being deleted does nothing else."""
    apps = [a for a in site.kube.list(API, "Application", site.system) if "deletionTimestamp" not in a["metadata"]]
    return [a["metadata"]["name"] for a in apps if "operation" in a or "countersign.dev/refresh" in a["metadata"].get("annotations", {})]


def sent(site, teams):
    """Governed writes as those teams' accounts, since the mark."""
    ends = tuple(f":{site.system}:{team.applier}" for team in teams)
    return [f"{e['verb']} {e['objectRef'].get('resource')}/{e['objectRef'].get('name')} as {e['impersonatedUser']['username']}"
            for e in site.governed() if e["impersonatedUser"]["username"].endswith(ends)]


def done(site, case):
    """Whether the one thing of the case is done."""
    if case.verb == "delete with its Application":
        return site.kube.find_application(site.system, case.name) is None
    kind = (f"{RBAC}/v1", "ClusterRole", None, f"{site.name}-{case.name}") if case.cluster else \
        ("apps/v1", "Deployment", site.namespace, case.name) if case.verb == "take an extra out" else ("v1", "ConfigMap", site.namespace, case.name)
    found = site.kube.find(*kind)
    if case.verb == "delete":
        return found is None
    if case.verb == "take an extra out":
        return "hostNetwork" not in found["spec"]["template"]["spec"]
    if found is None:
        return False
    return "list" in found["rules"][0]["verbs"] if case.cluster else found["data"]["key"] == "after"


def test_each_rule_refuses_each_verb_by_each_way_in_and_nothing_else_does(table):
    site, repo, cases, image = table
    bound = [c for c in cases if (c.rule, c.verb) not in FREE]
    narrow(site)
    # the Projects' changes have been seen when what is refused already is told as such
    for case in bound:
        if case.verb != "delete with its Application" and not case.cluster:
            refused(site, case)
    site.requests.mark()
    leave_something_to_do(site, repo, cases, image)
    for case in bound:
        refused(site, case)
    free = {site.by_rule[rule] for rule, _ in FREE}
    for case in cases:
        if case not in bound:
            until(f"{case.verb} is free of {case.rule}", lambda case=case: done(site, case), seconds=30)
    watched = [team for team in site.by_rule.values() if team not in free]
    for way in WAYS:
        enter(site, repo, bound, way)
        until(f"{way} to be taken up", lambda: waiting(site), lambda left: left == [], seconds=30)
        for case in bound:
            refused(site, case)
        stays(f"nothing is sent after {way}", lambda: sent(site, watched), lambda seen: seen == [], seconds=0.7)
    assert not [c.name for c in bound if done(site, c)]
    # under the two rules that let an Application's objects go with it, nothing else was sent
    gone = {f"{c.name}{end}" for c in cases if c not in bound for end in ("", "-keep")}
    assert [s for s in sent(site, free) if s.split(" as ")[0].split("/")[-1] not in gone or not s.startswith("delete")] == []
    for team in site.by_rule.values():
        team.project_fields = {"clusterResourceWhitelist": ANY}
        site.kube.apply(team.project)
    for case in bound:
        until(f"{case.verb} without the rule {case.rule} ({case.name})", lambda case=case: done(site, case), seconds=60)
