"""An application team as an administrator sets it up: project, service account, its rights, and the right to act as it.

Everything lies in the installation's namespace, but for what the team's account may do in the cluster.
"""

import copy

from .controller import ACCOUNT
from .kube import GROUP

API = f"{GROUP}/v1alpha1"
SERVER = "https://kubernetes.default.svc"

# What a team's account may write, where the test does not say otherwise.
WORKLOAD_RULES = [
    {"apiGroups": [""], "resources": ["configmaps", "secrets", "services", "serviceaccounts", "persistentvolumeclaims", "pods"], "verbs": ["*"]},
    {"apiGroups": ["apps"], "resources": ["deployments", "statefulsets", "daemonsets"], "verbs": ["*"]},
    {"apiGroups": ["batch"], "resources": ["jobs", "cronjobs"], "verbs": ["*"]},
    {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get", "create", "patch", "delete"]},
]
APP_RULES = [{"apiGroups": [GROUP], "resources": ["applications"], "verbs": ["*"]}]
CRD_RULES = [{"apiGroups": ["apiextensions.k8s.io"], "resources": ["customresourcedefinitions"], "verbs": ["*"]}]


def obj(api_version, kind, name, namespace=None, **fields):
    meta = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {"apiVersion": api_version, "kind": kind, "metadata": meta, **fields}


def role_pair(kind, name, namespace, rules, account, account_namespace):
    """A Role or ClusterRole and its binding to a service account."""
    rbac = "rbac.authorization.k8s.io"
    return [
        obj(f"{rbac}/v1", kind, name, namespace, rules=rules),
        obj(f"{rbac}/v1", f"{kind}Binding", name, namespace, roleRef={"apiGroup": rbac, "kind": kind, "name": name},
            subjects=[{"kind": "ServiceAccount", "name": account, "namespace": account_namespace}]),
    ]


class Tenant:
    """One team. `namespaces` are where it may deploy; `repos` are globs of repositories."""

    def __init__(self, kube, system, name, namespaces, repos, rules=None, project=None):
        self.kube, self.system, self.name = kube, system, name
        self.namespaces, self.repos = list(namespaces), list(repos)
        self.applier = f"{name}-applier"
        self.rules = WORKLOAD_RULES if rules is None else rules
        self.project_fields = project or {}

    @property
    def project(self):
        spec = {
            "sourceRepos": self.repos,
            "destinations": [{"server": SERVER, "namespace": n} for n in self.namespaces],
            "clusterResourceWhitelist": [{"group": "", "kind": "Namespace"}],
            "destinationServiceAccounts": [{"server": SERVER, "namespace": n, "defaultServiceAccount": f"{self.system}:{self.applier}"}
                                           for n in self.namespaces],
        }
        return obj(API, "Project", self.name, self.system, spec={**spec, **self.project_fields})

    def rights(self):
        """The account, what it may do, and the controller's right to act as it: a Role with resourceNames, nothing wider."""
        return [
            obj("v1", "ServiceAccount", self.applier, self.system),
            *role_pair("ClusterRole", f"{self.system}-{self.applier}", None, self.rules, self.applier, self.system),
            *role_pair("Role", f"impersonate-{self.applier}", self.system,
                       [{"apiGroups": [""], "resources": ["serviceaccounts"], "resourceNames": [self.applier], "verbs": ["impersonate"]}],
                       ACCOUNT, self.system),
        ]

    def create(self):
        self.kube.apply(*self.rights(), self.project)
        return self

    def destroy(self):
        rbac = "rbac.authorization.k8s.io/v1"
        for kind in ("ClusterRoleBinding", "ClusterRole"):
            self.kube.delete(rbac, kind, None, f"{self.system}-{self.applier}", missing_ok=True)

    def application(self, name, repo, path, namespace=None, automated=True, options=(), **spec):
        """An Application of this team; `automated` True means prune and self-heal, a dictionary its own words, None manual."""
        policy = {}
        if automated:
            policy["automated"] = {"prune": True, "selfHeal": True} if automated is True else automated
        if options:
            policy["syncOptions"] = list(options)
        body = {
            "project": self.name,
            "source": {"repoURL": repo.url, "targetRevision": repo.branch, "path": path},
            "destination": {"server": SERVER, "namespace": namespace or self.namespaces[0]},
            **({"syncPolicy": policy} if policy else {}),
        }
        return obj(API, "Application", name, self.system, spec={**body, **copy.deepcopy(spec)})


def reads(kube, system, group, resources):
    """Lets the controller read kinds beyond the built-in ones, as the contract says: a ClusterRole with the aggregation label."""
    role = obj("rbac.authorization.k8s.io/v1", "ClusterRole", f"{system}-reads-{group.replace('.', '-')}",
               rules=[{"apiGroups": [group], "resources": list(resources), "verbs": ["get", "list", "watch"]}])
    role["metadata"]["labels"] = {"countersign.dev/aggregate-to-reader": "true"}
    kube.apply(role)
    return role


def image_policy(system, name, globs, keys, **spec):
    """An ImagePolicy: images that match any glob need a signature by one of the keys."""
    return obj(API, "ImagePolicy", name, system, spec={
        "images": [{"glob": g} for g in globs],
        "authorities": [{"name": k.name, "key": {"data": k.pem}} for k in keys],
        **spec,
    })
