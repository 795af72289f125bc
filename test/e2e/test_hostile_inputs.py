"""A table of hostile repositories, each its own Application beside good ones: refused within the limits, told with file and line, and let rest.

What the parsers do with each of many more is in unit/source/test_tree.c (over 60 trees and paths) and unit/render/test_yaml.c; here the whole
program is looked at: what it says, how long that takes, what its workers need, that the others go on and that nothing is tried without end.
"""

import pathlib
import threading
import time

import pytest

from harness.manifests import config_map, deployment, text
from harness.site import Site
from harness.tenant import obj
from harness.wait import SCALE, until
from harness.web import Web, free_port, total

SECONDS = 20          # for all of them together, told one by one
WORKER_MIB = 700      # of one worker with the sanitizer's shadow; what is shipped needs a third
REST_SECONDS, REST_JOBS = 6, 12
GOOD = [f"good{n}" for n in range(5)]


def bomb(levels, width=9):
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * width)}]" for n in range(1, levels)]
    return "\n".join(lines) + f"\nkind: *a{levels - 1}\n"


def pod(name, numbers):
    containers = ",".join(f"{{name: c, image: a{n:05}}}" for n in numbers)
    return f"apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec:\n  containers: [{containers}]\n"


def cm(body):
    return "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: c\n" + body


TWICE = [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]

# name → files below the folder, and what the condition must say (a file, with a line where one can be named)
YAML = {
    **{f"aliases of {n} levels": ({"c.yaml": bomb(n)}, "c.yaml:") for n in (4, 5, 6, 8, 10, 12, 16, 20)},
    "a chain of aliases to itself": ({"c.yaml": "a: &a [*a]\n"}, "c.yaml:1"),
    "merge keys of merge keys": ({"c.yaml": "x: &x {a: 1}\n" + "".join(f"x{n}: &x{n}\n  <<: [{', '.join(['*x' if not n else f'*x{n - 1}'] * 30)}]\n" for n in range(12))},
                                 "c.yaml:"),
    "ten thousand brackets": ({"c.yaml": "a: " + "[" * 10000 + "]" * 10000 + "\n"}, "c.yaml:1"),
    "mappings 500 deep": ({"c.yaml": "".join(" " * n + "a:\n" for n in range(500))}, "c.yaml:"),
    "a key twice": ({"c.yaml": cm("data:\n  a: '1'\n  a: '2'\n")}, "c.yaml:7"),
    "an odd tag": ({"c.yaml": cm("data:\n  a: !!python/object:os.system x\n")}, "c.yaml:6"),
    "a document without end": ({"c.yaml": cm("data:\n  a: |\n" + "    xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n" * 400000)}, "c.yaml"),
    "a quote without end": ({"c.yaml": cm("data:\n  a: \"\n")}, "c.yaml:"),
    "a tab for indentation": ({"c.yaml": cm("data:\n\ta: b\n")}, "c.yaml:6"),
    "bytes that are no text": ({"c.yaml": b"apiVersion: v1\nkind: \xff\xfe\x00\n"}, "c.yaml:"),
    "a NUL": ({"c.yaml": b"apiVersion: v1\nkind: Config\x00Map\n"}, "c.yaml:"),
    "a number that is no number": ({"c.json": '{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "x": 1e999}}'}, "c.json"),
    "one object of 2 MB": ({"c.yaml": text(config_map("c", key="x" * 2_000_000))}, "c.yaml:1"),
    "10,000 objects": ({"c.yaml": text(*(config_map(f"c{n}") for n in range(10000)))}, "c.yaml"),
    "100,000 empty documents": ({"c.yaml": "---\n" * 100000 + "kind: x\n"}, "c.yaml:"),
    "a namespace that is being deleted": ({"c.yaml": text(config_map("late"))}, "c.yaml:1"),
    "no kind": ({"c.yaml": "apiVersion: v1\nmetadata: {name: c}\n"}, "c.yaml:1"),
    **{f"the name {name}": ({"c.yaml": text(config_map(name))}, "BadName") for name in ("..", "../../etc", "c/status", "c%2Fstatus", "c/../../secrets/s")},
    "a namespace that leads elsewhere": ({"c.yaml": text(config_map("c", "kube-system/configmaps/x"))}, "BadName"),
    "an unknown kind": ({"c.yaml": "apiVersion: nobody.example/v1\nkind: Nothing\nmetadata: {name: c}\n"}, "c.yaml:1"),
    "a field that the API server refuses": ({"c.yaml": cm("data:\n  a: {b: c}\n").replace("name: c", "name: wrong")}, "c.yaml:1"),
    "an unknown field": ({"c.yaml": cm("dta: {}\n").replace("name: c", "name: other")}, "c.yaml:1"),
    "a variable of the environment twice": ({}, "c.yaml:1"),  # see fill
    "the same object in two files": ({"a.yaml": text(config_map("c")), "b.yaml": text(config_map("c"))}, "b.yaml:1"),
    "80,000 images": ({"c.yaml": pod("c", range(40000)), "d.yaml": pod("d", range(40000, 80000))}, "c.yaml:5: container c of Pod"),
    "generateName": ({"c.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {generateName: c-}\n"}, "c.yaml:1"),
}
# name → commands in the folder, and what must be said
TREES = {
    "a link to a file": ("ln -s ../ok/c.yaml c.yaml", "c.yaml"),
    "a link out of the repository": ("ln -s ../../../../etc/passwd c.yaml", "c.yaml"),
    "an absolute link": ("ln -s /etc/passwd c.yaml", "c.yaml"),
    "a chain of links": ("ln -s b.yaml c.yaml; ln -s d.yaml b.yaml; echo a > d.yaml", "b.yaml"),
    "a loop of links": ("ln -s b.yaml c.yaml; ln -s c.yaml b.yaml", "b.yaml"),
    "a dangling link": ("ln -s nothing c.yaml", "c.yaml"),
    "a name with a newline": ("printf a > \"$(printf 'c\\n.yaml')\"", "name"),
    "a submodule": ("git update-index --add --cacheinfo 160000,0123456789012345678901234567890123456789,$HERE/c.yaml", "c.yaml"),
}


def slug(name):
    return "".join(c if c.isalnum() else "-" for c in name.lower()).strip("-")


class Peak:
    """The most memory that any one worker process had."""

    def __init__(self, controller):
        self.controller, self.most, self.over = controller, {}, threading.Event()
        self.thread = threading.Thread(target=self.look, daemon=True)

    def look(self):
        while not self.over.wait(0.05):
            for pid, role in self.controller.roles().items():
                try:
                    status = pathlib.Path(f"/proc/{pid}/status").read_text()
                except OSError:
                    continue
                peak = next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")), 0)
                self.most[role] = max(self.most.get(role, 0), peak // 1024)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join(5)


def fill(site, repo):
    image = site.image("web").ref
    repo.write({f"{slug('a variable of the environment twice')}/c.yaml":
                text(deployment("web", image, containers=[{"name": "main", "image": image, "env": TWICE}]))})
    for name, (files, _) in YAML.items():
        for file, content in files.items():
            path = repo.work / slug(name) / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
    repo.write({f"{name}/c.yaml": text(config_map(name, turn="0")) for name in GOOD})
    for name, (commands, _) in TREES.items():
        if "update-index" not in commands:
            repo.write({f"{slug(name)}/ok.yaml": text(config_map("ok"))})
            shell(repo, f"cd {slug(name)}; {commands}")
    repo.git("add", "-A")
    for name, (commands, _) in TREES.items():
        if "update-index" in commands:
            shell(repo, commands.replace("$HERE", slug(name)))
    repo.git("commit", "-q", "-m", "hostile")
    repo.git("push", "-q", str(repo.bare), "main")


def shell(repo, commands):
    from harness.stack import run
    run("sh", "-c", commands, cwd=repo.work)


def told(site, names):
    """Application → message, of those that say Synced=False."""
    out = {}
    for app in site.kube.list("countersign.dev/v1alpha1", "Application", site.system):
        for c in app.get("status", {}).get("conditions", []):
            if c["type"] == "Synced" and c["status"] == "False" and app["metadata"]["name"] in names:
                out[app["metadata"]["name"]] = f"{c['reason']}: {c['message']}"
    return out


@pytest.fixture(scope="module")
def site(stack, kube, registry, keys, tmp_path_factory):
    web = Web(free_port())
    made = Site(stack, kube, registry, keys, tmp_path_factory.mktemp("inputs"), "hostile-inputs", listen=web.address).install()
    made.web = web
    made.dying = f"{made.namespace}-dying"
    made.team.namespaces.append(made.dying)
    kube.apply(made.team.project, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": made.dying}},
               obj("v1", "ConfigMap", "held", made.dying, data={}))
    kube.patch("v1", "ConfigMap", made.dying, "held", {"metadata": {"finalizers": ["example.org/held"]}})
    kube.delete("v1", "Namespace", None, made.dying)
    made.controller.start()
    yield made
    kube.patch("v1", "ConfigMap", made.dying, "held", {"metadata": {"finalizers": None}})
    made.close()


def test_each_is_refused_with_its_file_within_the_limits_and_the_others_go_on(site):
    repo, cases = site.repo(), {slug(n): (n, said) for n, (_, said) in {**YAML, **TREES}.items()}
    fill(site, repo)
    site.kube.apply(*(site.team.application(name, repo, name) for name in GOOD))
    site.settled(*GOOD, seconds=30)
    site.requests.mark()
    began, took = time.monotonic(), {}
    with Peak(site.controller) as peak:
        site.kube.apply(*(site.team.application(name, repo, name, namespace=site.dying if name == slug("a namespace that is being deleted") else None)
                          for name in cases))
        while len(took) < len(cases):
            for name, message in told(site, cases).items():
                took.setdefault(name, (time.monotonic() - began, message))
            assert time.monotonic() - began < SECONDS * SCALE, f"nothing is told of {sorted(cases.keys() - took.keys())}"
            time.sleep(0.05)
    for name, (seconds, message) in sorted(took.items(), key=lambda item: item[1][0]):
        print(f"{seconds:6.2f} s  {cases[name][0]:40} {message[:150]}")
    print(f"peak of one process in MiB: {peak.most}")
    silent = {name: took[name][1] for name, (_, said) in cases.items() if said not in took[name][1]}
    assert silent == {}, "the file is not told"
    assert max(peak.most.get(role, 0) for role in ("source", "render")) < WORKER_MIB, peak.most
    commit = repo.push("good ones", {f"{name}/c.yaml": text(config_map(name, turn="1")) for name in GOOD})
    for name in GOOD:
        site.synced_at(commit, name, seconds=20)
    written = {e["objectRef"]["name"] for e in site.governed() if e["responseStatus"]["code"] < 300}
    assert written == set(GOOD), "something of a refused revision was written"


def wide_tree(repo):
    """The id of a folder of 1.5 million names: 72 MB in memory before a single one can be looked at, and some MB as it is sent."""
    blob = bytes.fromhex(repo.git("rev-parse", "HEAD:app/c.yaml"))
    raw = repo.work.parent / "wide"
    raw.write_bytes(b"".join(b"100644 %019d.\0" % n + blob for n in range(1_500_000)))
    return repo.git("hash-object", "-t", "tree", "-w", "--literally", str(raw))


LARGE = {
    "a commit of 200 MB": lambda repo: repo.git("commit-tree", "-p", "HEAD", "-F", str(repo.work.parent / "long"), "HEAD^{tree}"),
    "a root of a million files": lambda repo: repo.git("commit-tree", "-p", "HEAD", "-m", "wide", wide_tree(repo)),
}


@pytest.mark.parametrize("what", LARGE)
def test_object_that_is_small_as_it_is_sent_and_large_in_memory_is_refused_and_the_others_go_on(site, what):
    """Also those of the same repository: what takes memory is one commit of it."""
    repo = site.repo({"app/c.yaml": text(config_map(slug(what), key="1"))})
    (repo.work.parent / "long").write_bytes(b"a" * (200 << 20))
    good, bad = f"beside-{slug(what)}", slug(what)
    site.kube.apply(site.team.application(good, repo, "app"))
    site.settled(good)
    repo.git("push", "-q", str(repo.bare), f"{LARGE[what](repo)}:refs/heads/large")
    with Peak(site.controller) as peak:
        application = site.team.application(bad, repo, "app", automated=None)
        application["spec"]["source"]["targetRevision"] = "large"
        site.kube.apply(application)
        said = site.wait_condition("Synced", "False", bad, reason="TooLarge", seconds=40)["message"]
    assert "bytes, more than" in said, said
    assert peak.most.get("source", 0) < WORKER_MIB / 2, peak.most
    site.synced_at(repo.push("two", {"app/c.yaml": text(config_map(slug(what), key="2"))}), good)


def test_nothing_is_tried_without_end(site):
    """Refused is refused: while nothing changes, no worker has work but the polls."""
    def jobs():
        return {role: total(site.web.metrics(), "countersign_worker_jobs_total", role=role) for role in ("render", "verify", "fetch")}
    before = jobs()
    time.sleep(REST_SECONDS)
    after = jobs()
    assert all(after[role] - before[role] <= REST_JOBS for role in before), (before, after)
