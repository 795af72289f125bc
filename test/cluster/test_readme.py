"""Five minutes in a cluster of one's own: the README's section, line by line, on an empty node."""

import os
import re
import subprocess
import time

import pytest

from cluster import World
from conftest import fetch_packages, network_of
from harness.gitrepo import Repo
from harness.kube import Kube
from harness.manifests import deployment, text
from harness.stack import ROOT, Stack
from harness.wait import until
from node import Node

SECTION = re.search(r"(?s)\n## A cluster of your own\n(.*?)\n## ", (ROOT / "README.md").read_text())[1]


@pytest.fixture
def empty(tmp_path):
    """A node on which nothing was ever installed."""
    with Node() as node:
        fetch_packages(tmp_path)
        with network_of(node.pid):
            yield Stack(node.folder, owned=False)


class Reader:
    """Somebody who has the README: types its lines in a checkout, with the names of his own registry and Git server."""

    def __init__(self, stack, folder):
        self.stack, self.folder, self.digest = stack, folder, {}
        for entry in ROOT.iterdir():
            (folder / entry.name).symlink_to(entry)
        self.env = {**os.environ, "PATH": f"{stack.folder}/bin:{os.environ['PATH']}", "KUBECONFIG": stack.kubeconfig, "COSIGN_PASSWORD": ""}

    def own(self, said):
        """The names are looked up inside the cluster; out here the registry has an address."""
        here = self.stack.registry if re.match(r"cosign|make image", said) else self.stack.registry_name
        said = re.sub(r"registry\.example(/[a-z/]+)@sha256:…", lambda m: f"{here}{m[1]}@{self.digest[m[1]]}", said)
        return said.replace("registry.example", here).replace("https://git.example/", "https://git.test/open/")

    def types(self, line):
        began = time.monotonic()
        done = subprocess.run(["bash", "-o", "pipefail", "-c", self.own(line)], cwd=self.folder, env=self.env, text=True, capture_output=True, timeout=900)
        print(f"    {line:<110} {time.monotonic() - began:6.2f} s", flush=True)
        assert done.returncode == 0, f"{line}\n{self.own(line)}\n{done.stdout}{done.stderr}"
        if line.startswith("make image"):
            self.digest["/countersign"] = re.search(r"pushed \S+@(sha256:[0-9a-f]{64})", done.stdout)[1]
        return done.stdout


def test_from_an_empty_cluster_to_the_first_signed_deployment(empty, tmp_path):
    (tmp_path / "checkout").mkdir()
    reader, kube = Reader(empty, tmp_path / "checkout"), Kube.admin(empty)
    world = World(empty, kube, lambda name: None, tmp_path)
    web = world.image("web", signed=False)
    reader.digest["/shop/web"] = web.digest
    repo = Repo(empty, tmp_path / "shop", "ops/shop", tls=True)
    (reader.folder / "team.yaml").write_text(reader.own(re.search(r"(?s)```yaml\n(.*?)```", SECTION)[1]))
    lines = [line.split("   #")[0].strip() for line in re.findall(r"(?m)^    (\S.*)$", SECTION)]
    assert len(lines) == 20 and lines[0] == "cosign generate-key-pair", lines
    said = {}
    for line in lines:
        if line == "git push":
            commit = repo.push("first", {"shop/web.yaml": text(deployment("web", web.ref))})
            continue
        said[line] = reader.types(line)
        if "rollout status" in line:
            # the authority of this registry and Git server is private
            reader.types(re.search(r"(?m)^    (kubectl .*countersign-tls-certs.*)$", (ROOT / "manifests/README.md").read_text())[1]
                         .replace("git.example", "git.test").replace("registry.example", "registry.test").replace("=ca.crt", f"={empty.git_ca}"))
    assert re.search(r"(?m)^shop +shop +Synced +Healthy", said["build/countersign get"]), said
    world.synced_at(commit, "shop")
    pods = until("the pod to run", lambda: [p for p in kube.list("v1", "Pod", "shop") if p["status"].get("phase") == "Running"], seconds=30)
    assert pods[0]["status"]["containerStatuses"][0]["imageID"].endswith(web.digest)
    assert "seccomp" in said["build/countersign status"]
