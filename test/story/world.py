"""The world of the story: an installed controller, the shop's team and repository, and its images.

Rows build on each other, but each can be played alone: it asks for the state it needs (`deployed`) and leaves the shop as it found it:
synced, healthy and verified at the head of its branch.
"""

import pathlib

from harness.apps import Apps
from harness.auditlog import ApiServerLog
from harness.controller import ACCOUNT, NAMESPACE, Controller, Installation, binary
from harness.gitrepo import Repo
from harness.tenant import APP_RULES, CRD_RULES, WORKLOAD_RULES, Tenant, image_policy, obj, reads

HERE = pathlib.Path(__file__).resolve().parent

# name → (signing key, format): P-256 and RSA, both formats, so that the real cosign can check every one.
IMAGES = {
    "web": ("release", "legacy"), "migrate": ("partner", "bundle"), "database": ("release", "bundle"),
    "report": ("partner", "legacy"), "ledger": ("release", "bundle"),
}
# What the repository declares in the namespace shop, as (apiVersion, kind, name).
SHOP = [
    ("v1", "ServiceAccount", "shop"), ("v1", "ConfigMap", "web"), ("v1", "Secret", "database"),
    ("apps/v1", "StatefulSet", "database"), ("shop.example/v1", "Coupon", "spring"), ("v1", "Service", "web"),
    ("apps/v1", "Deployment", "web"), ("batch/v1", "CronJob", "report"),
]
WORKLOADS = [("apps/v1", "StatefulSet", "database"), ("apps/v1", "Deployment", "web"), ("batch/v1", "CronJob", "report")]


class World(Apps):
    system = NAMESPACE

    def __init__(self, stack, kube, registry, keys, folder):
        self.stack, self.kube, self.registry = stack, kube, registry
        self.folder = pathlib.Path(folder)
        self.keys = {"release": keys("release"), "partner": keys("partner", "rsa3072")}
        self.installation = Installation(kube)
        self.controller = Controller(self.installation, self.folder / "controller", plain_http=[stack.registry], poll="300ms")
        self.log = self.controller.log
        self.requests = ApiServerLog(stack)
        self.repo = Repo(stack, self.folder / "shop", "ops/shop")
        self.team = Tenant(kube, NAMESPACE, "shop", ["shop", "ledger", NAMESPACE], [f"{stack.git_url}/open/ops/*"],
                           rules=WORKLOAD_RULES + APP_RULES + CRD_RULES
                           + [{"apiGroups": ["shop.example"], "resources": ["coupons"], "verbs": ["*"]}])
        self.team.project_fields = {"clusterResourceWhitelist": [
            {"group": "", "kind": "Namespace"}, {"group": "apiextensions.k8s.io", "kind": "CustomResourceDefinition"}]}
        self.images = {}
        self.ready = False
        self.denied = None  # (commit, image) that row 2 leaves for row 3

    def install(self):
        """What the platform engineer does once: install, connect the team, say whose signatures count."""
        binary()
        self.installation.install()
        self.team.create()
        reads(self.kube, NAMESPACE, "shop.example", ["coupons"])
        self.kube.apply(image_policy(NAMESPACE, "shop", [f"{self.stack.registry}/shop/**"], self.keys.values()))
        self.kube.apply(self.root_application())
        self.controller.start()

    def root_application(self):
        app = self.team.application("apps", self.repo, "apps", NAMESPACE)
        app["metadata"]["finalizers"] = ["resources-finalizer.argocd.argoproj.io"]
        return app

    def image(self, name, tag, key=None, form="bundle"):
        """Pushes shop/NAME:TAG, signed or not, and remembers it under (name, tag)."""
        image = self.registry.image(f"shop/{name}", tag)
        if key:
            image.sign(self.keys[key], form)
        self.images[name, tag] = image
        return image

    def template(self):
        """The files of test/story/repo, with the addresses of this stack."""
        out = {}
        for file in sorted((HERE / "repo").rglob("*")):
            if file.is_file():
                text = file.read_text().replace("@REGISTRY@", self.stack.registry).replace("@REPOSITORY@", self.repo.url)
                out[str(file.relative_to(HERE / "repo"))] = text
        return out

    def deployed(self):
        """Plays what row 1 does, unless it has been played: the state in which every other row begins."""
        if self.ready:
            return
        self.install()
        for name, (key, form) in IMAGES.items():
            self.image(name, "1", key, form)
        self.repo.push("shop: first revision", self.template())
        self.settled("shop", "ledger")
        self.ready = True

    # --- looking at the cluster ---

    def get(self, api_version, kind, name, namespace="shop"):
        return self.kube.get(api_version, kind, namespace, name)

    def find(self, api_version, kind, name, namespace="shop"):
        return self.kube.find(api_version, kind, namespace, name)

    def web(self):
        return self.get("apps/v1", "Deployment", "web")

    def missing(self):
        """What the repository declares and the cluster lacks."""
        absent = [f"{kind} {name}" for version, kind, name in SHOP if not self.find(version, kind, name)]
        if not self.find("v1", "Namespace", "shop", None):
            absent.append("Namespace shop")
        return absent

    def sent(self, namespace=None):
        """Writes by the controller since the last mark that are not its own bookkeeping, which stays in its namespace and name.

        An access review is a question that happens to be asked by a POST.
        """
        return [e for e in self.requests.writes(user=f":{NAMESPACE}:{ACCOUNT}", namespace=namespace)
                if ("impersonatedUser" in e or e["objectRef"].get("namespace") != NAMESPACE)
                and e["objectRef"].get("apiGroup") != "authorization.k8s.io"]

    def configmap(self, name, namespace, **data):
        return obj("v1", "ConfigMap", name, namespace, data=data)
