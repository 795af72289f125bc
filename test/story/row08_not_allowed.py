"""Row 8: what a Project does not allow is refused before anything is sent; and what it allows, RBAC still judges."""

from harness.auditlog import told
from harness.gitrepo import Repo
from harness.tenant import Tenant
from harness.wait import stays, until
from world import NAMESPACE

BINDING = """\
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: mallory-is-admin}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}
subjects: [{kind: ServiceAccount, name: mallory-applier, namespace: countersign-system}]
"""
# what the repository holds → (manifest, what the condition must name)
CASES = {
    "a ClusterRoleBinding": (BINDING, "ClusterRoleBinding"),
    "an object in a foreign namespace": ("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: planted, namespace: kube-system}\n", "kube-system"),
    "an ImagePolicy": ("apiVersion: countersign.dev/v1alpha1\nkind: ImagePolicy\nmetadata: {name: shop, namespace: countersign-system}\n"
                       "spec: {images: [{glob: '**'}], mode: warn}\n", "ImagePolicy"),
    "a Project": ("apiVersion: countersign.dev/v1alpha1\nkind: Project\nmetadata: {name: mallory, namespace: countersign-system}\n"
                  "spec: {sourceRepos: ['*'], destinations: [{server: '*', namespace: '*'}]}\n", "Project"),
}


def row08_what_a_project_does_not_allow_is_refused(world, say):
    say.row(8, "A repository that reaches for what its Project does not allow")
    world.deployed()
    repo = Repo(world.stack, world.folder / "mallory", "mallory/app")
    team = Tenant(world.kube, NAMESPACE, "mallory", ["mallory", NAMESPACE], [repo.url]).create()
    app = team.application("mallory", repo, "app", "mallory", options=["CreateNamespace=true"])
    policies = [world.kube.get("countersign.dev/v1alpha1", kind, NAMESPACE, name)["metadata"]["resourceVersion"]
                for kind, name in (("ImagePolicy", "shop"), ("Project", "mallory"))]
    try:
        for number, (name, (manifest, named)) in enumerate(CASES.items()):
            with say(f"the repository holds {name}") as step:
                world.requests.mark()
                commit = repo.push(name, {"app/a.yaml": manifest})
                if number == 0:
                    world.kube.apply(app)
                until("the condition to speak of this commit", lambda: world.app("mallory")["status"]["sync"],
                      lambda s, commit=commit: s.get("revision") == commit)
                bad = world.wait_condition("Synced", "False", "mallory", said=named)
                stays("nothing is sent", lambda: [told(e) for e in world.sent()], lambda sent: sent == [], seconds=0.7)
                step.answer = f"refused: {bad['reason']}, 0 writes"
            say.note(bad["message"])
        now = [world.kube.get("countersign.dev/v1alpha1", kind, NAMESPACE, name)["metadata"]["resourceVersion"]
               for kind, name in (("ImagePolicy", "shop"), ("Project", "mallory"))]
        assert now == policies, "an ImagePolicy or a Project was changed"
        _by_rbac(world, say, repo, team)
    finally:
        world.kube.delete("countersign.dev/v1alpha1", "Application", NAMESPACE, "mallory", missing_ok=True)
        team.destroy()


def _by_rbac(world, say, repo, team):
    with say("the Project allows it, the team's account may not: RBAC refuses") as step:
        team.project_fields = {"clusterResourceWhitelist": [{"group": "*", "kind": "*"}]}
        world.kube.apply(team.project)
        world.requests.mark()
        repo.push("the binding again", {"app/a.yaml": BINDING})
        bad = world.wait_condition("Synced", "False", "mallory", said="forbidden", seconds=20)
        for want in ("ClusterRoleBinding", "mallory-applier"):
            assert want in bad["message"], f"expected {want} in the message, saw: {bad['message']}"
        refused = [e for e in world.sent() if e["objectRef"]["resource"] == "clusterrolebindings"]
        assert refused and all(e["responseStatus"]["code"] == 403 for e in refused), [told(e) for e in refused]
        assert all(e["impersonatedUser"]["username"].endswith(":mallory-applier") for e in refused)
        assert not world.kube.find("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", None, "mallory-is-admin")
        step.answer = f"{bad['reason']}: 403 as mallory-applier"
    say.note(bad["message"])
