"""One test's own installation: namespace, controller, team, repository, policy. Tests do not meet each other on the shared cluster."""

import itertools
import re
import time

from .apps import Apps
from .auditlog import ApiServerLog
from .controller import Controller, Installation
from .gitrepo import Repo
from .images import names_digest
from .kube import images
from .tenant import Tenant, image_policy, obj
from .wait import until

# Also different from run to run: a stack that is kept has the namespaces and images of earlier runs.
_numbers = itertools.count(int(time.time()) % 100000)


class Site(Apps):
    """`system` is the installation's namespace, `namespace` the team's; both begin with the test's name."""

    def __init__(self, stack, kube, registry, keys, folder, test, **controller):
        short = re.sub(r"[^a-z0-9]+", "-", test.lower().removeprefix("test_"))[:34].strip("-")
        self.name = f"{short}-{next(_numbers)}"
        self.stack, self.kube, self.registry, self.keys, self.folder = stack, kube, registry, keys, folder
        self.system, self.namespace = f"cs-{self.name}", f"app-{self.name}"
        self.key = keys("release")
        self.installation = Installation(kube, self.system)
        self.controller = Controller(self.installation, folder / "controller", plain_http=[stack.registry], **controller)
        self.log = self.controller.log
        self.requests = ApiServerLog(stack)
        self.teams = []
        self._repos = itertools.count(1)

    def install(self, policy=True, **team):
        """Namespace, CRDs, accounts; one team "red" that may use the test's repositories and namespace; one policy for its images."""
        self.kube.apply(obj("v1", "Namespace", self.system), obj("v1", "Namespace", self.namespace))
        self.installation.install()
        self.team = self.new_team("red", [self.namespace], **team)
        if policy:
            self.kube.apply(image_policy(self.system, "release", [f"{self.registry.address}/{self.name}/**"], [self.key]))
        return self

    def new_team(self, name, namespaces, **more):
        repos = more.pop("repos", [f"{self.stack.git_url}/open/{self.name}/*"])
        team = Tenant(self.kube, self.system, name, namespaces, repos, **more).create()
        self.teams.append(team)
        return team

    def repo(self, files=None, folder="open", tls=False):
        """A new repository of the test, with a first commit of the files below app/ if there are any."""
        number = next(self._repos)
        repo = Repo(self.stack, self.folder / f"repo{number}", f"{self.name}/r{number}", folder, tls)
        if files is not None:
            repo.push("first", files)
        return repo

    def image(self, name, tag="1", signed=True, form="bundle", registry=None):
        image = (registry or self.registry).image(f"{self.name}/{name}", tag)
        return image.sign(self.key, form) if signed else image

    def deploy(self, files, name="app", path="app", wait=True, **application):
        """A repository with the files, an Application "app" of it, and, with `wait`, its success; returns the repository."""
        repo = self.repo(files)
        self.kube.apply(self.team.application(name, repo, path, **application))
        if wait:
            self.settled(name)
        return repo

    def governed(self):
        """Governed writes of this installation's controller, in the API server's audit log, since the last mark."""
        return self.requests.governed(user=f":{self.system}:countersign-controller")

    def find(self, api_version, kind, name, namespace=None):
        return self.kube.find(api_version, kind, namespace or self.namespace, name)

    def running(self, deployment="web"):
        """Images of a Deployment in the team's namespace."""
        return images(self.kube.get("apps/v1", "Deployment", self.namespace, deployment))

    def wait_running(self, image, deployment="web", seconds=15):
        until(f"Deployment {deployment} to run {image.digest}", lambda: self.running(deployment),
              lambda seen: any(names_digest(i, image.digest) for i in seen), seconds)

    def close(self):
        """Stops the controller and removes what is not in the test's namespaces; the namespaces go by themselves, in the background."""
        try:
            self.controller.stop()
        finally:
            for application in self.kube.list("countersign.dev/v1alpha1", "Application", self.system):
                if application["metadata"].get("finalizers"):
                    self.kube.patch_application(self.system, application["metadata"]["name"], {"metadata": {"finalizers": None}})
            for team in self.teams:
                team.destroy()
            for namespace in (self.system, self.namespace):
                self.kube.delete("v1", "Namespace", None, namespace, missing_ok=True)
