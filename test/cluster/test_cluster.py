"""The story in a cluster: a real kubelet and containerd, the image as it is shipped, Pod Security restricted. The rows build on each other."""

import functools
import json
import pathlib
import re
import time
from datetime import datetime

from cluster import NAMESPACE, POD, open_in
from harness.auditlog import ApiServerLog
from harness.controller import ACCOUNT, cli
from harness.kube import ApiError, images
from harness.manifests import config_map, deployment, text
from harness.stack import ROOT
from harness.tenant import API, SERVER, image_policy, obj
from harness.wait import SCALE, until
from row10_tamper import SecondVerifier, changed_entries_are_found, flip_some, whole_by_both

ROLES = {"supervisor", "core", "web", "source", "fetch", "render", "verify"}
ROWS = []


def in_order(play):
    """A row that is asked for alone plays those before it first: they build on each other. After one that failed there is nothing to build on."""
    number = len(ROWS)
    ROWS.append(play)

    @functools.wraps(play)
    def played(world, say):
        for row in ROWS[len(world.played):number + 1]:
            assert world.failed is None, f"{world.failed} failed, on which this row builds"
            try:
                row(world, say)
            except BaseException:
                world.failed = row.__name__
                print(f"--- the controller's last lines ---\n{world.said()}")
                raise
            world.played.append(row)

    return played


@in_order
def test_row1_image_is_built_signed_installed_and_closed_in(world, say):
    say.row(1, "From sources to a pod in a namespace that enforces Pod Security restricted")
    with say("image made, pushed, signed; cosign and Countersign accept it") as step:
        world.first, said = world.build_own(1700000000)
        assert cli("verify", f"{world.stack.registry}/countersign@{world.first.digest}", "--plain-http-registry", world.stack.registry,
                   "--key", world.key.public).returncode == 0
        step.answer = re.search(r"[\d.]+ MB packed", said)[0]
    with say("kubectl apply --server-side -f install.yaml") as step:
        world.file = world.install(world.first)
        state = world.ready()
        assert state["image"].endswith(world.first.digest), state
        step.answer = "ready"
    with say("the namespace enforces restricted") as step:
        labels = world.kube.get("v1", "Namespace", None, NAMESPACE)["metadata"]["labels"]
        assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
        step.answer = "yes"
    with say("/proc of each process: uid 65532, Seccomp 2, NoNewPrivs 1, no capability") as step:
        roles = world.processes()
        assert set(roles) == {"supervisor", "core", "web"} and [open_in(pid) for pids in roles.values() for pid in pids] == [None] * 3
        step.answer = " ".join(sorted(roles))
    with say("countersign check") as step:
        done = cli("check", kubeconfig=world.stack.kubeconfig)
        assert done.returncode == 0, done.stdout
        step.answer = f"{done.stdout.count('ok ')} lines, all good"
    with say("countersign status: the layers of the sandbox that are on") as step:
        done = cli("status", kubeconfig=world.stack.kubeconfig, check=True)
        step.answer = re.search(rf"(?m)^ok +sandbox +{POD}: (.*)$", done.stdout)[1]
        assert step.answer.startswith("seccomp, no-new-privileges"), done.stdout
        assert re.search(rf"(?m)^ok +pod +{POD} is ready, leads, runs {world.first.pinned}$", done.stdout), done.stdout
    with say("what the pod costs before anything is asked of it") as step:
        step.answer = world.cost()


@in_order
def test_row2_push_is_applied_and_unsigned_is_refused(world, say):
    say.row(2, "The main story, in the cluster: Git and registry by name, over TLS of a private authority")
    world.connect()
    with world.watched() as seen:
        _pushed(world, say)
        _unsigned(world, say)
        _healed(world, say)
        with say("each process at work, workers included: uid 65532, Seccomp 2, NoNewPrivs 1, no capability") as step:
            for turn in range(10):
                if ROLES <= set(seen):
                    break
                again = world.image("again", str(turn))
                world.synced_at(world.repo.push(f"again {turn}", {"app/again.yaml": text(deployment("again", again.ref))}), "shop", seconds=40)
                world.synced_at(world.repo.push(f"gone {turn}", {"app/again.yaml": None}), "shop", seconds=40)
            assert set(seen) == ROLES, seen
            step.answer = " ".join(sorted(seen))
    with say("what the pod costs at work") as step:
        step.answer = world.cost()
    _tampered(world, say)


def _pushed(world, say):
    with say("pushed a Deployment with an init container, both signed; the pods run") as step:
        web, job = world.image("web"), world.image("init")
        web_object = deployment("web", web.ref)
        web_object["spec"]["template"]["spec"]["initContainers"] = [{"name": "init", "image": job.ref, "args": ["init", "once"]}]
        world.web_object = web_object
        world.kube.apply(_application(world))
        commit = world.repo.push("first", {"app/web.yaml": text(web_object), "app/c.yaml": text(config_map("c", color="blue"))})
        began = time.monotonic()
        world.synced_at(commit, "shop", seconds=40)
        pods = _pods(world)
        assert pods and all(p["spec"]["nodeName"] == "node-0" for p in pods)
        statuses = [s for p in pods for s in p["status"]["containerStatuses"] + p["status"]["initContainerStatuses"]]
        assert {s["imageID"].rsplit("@", 1)[1] for s in statuses} == {web.digest, job.digest}
        assert set(images(_web(world))) == {web.pinned_tag, job.pinned_tag}
        assert world.kube.kubectl("-n", "shop", "logs", pods[0]["metadata"]["name"], "-c", "main").stdout == "web 1 runs\n"
        step.answer, step.seconds = f"{len(pods)} pods on node-0", time.monotonic() - began


def _web(world):
    return world.kube.get("apps/v1", "Deployment", "shop", "web")


def _unsigned(world, say):
    before, since = _web(world), world.log.next_seq()
    old = world.app("shop")["status"]["appliedRevision"]
    sent = ApiServerLog(world.stack).mark()
    with say("a revision with an unsigned init container is refused: which image, by which policy, where, what to do") as step:
        evil = world.image("evil", signed=False)
        bad = json.loads(json.dumps(world.web_object))
        bad["spec"]["template"]["spec"]["initContainers"][0]["image"] = evil.ref
        commit = world.repo.push("evil", {"app/web.yaml": text(bad)})
        world.compared_at(commit, "shop", seconds=20)
        told = world.wait_condition("Verified", "False", "shop", said=evil.digest)
        line = text(bad).split("evil")[0].count("\n") + 1
        assert all(what in told["message"] for what in ("registry.test/shop/evil", "policy", "shop", f"app/web.yaml:{line}", "cosign sign")), told
        step.answer = told["reason"]
    with say("nothing of it is sent, what ran runs on, the log has the denial") as step:
        world.nothing_sent(sent)
        status = world.app("shop")["status"]
        assert _web(world)["metadata"]["generation"] == before["metadata"]["generation"]
        assert status["appliedRevision"] == old and status["sync"] == {"status": "OutOfSync", "revision": commit}, status["sync"]
        (denied, *_) = world.records("sync.denied", since, "shop")
        assert [i["verdict"] for i in denied["images"] if i.get("digest") == evil.digest] == ["deny"], denied
        step.answer = f"record {denied['seq']}"
    with say("Git is mended") as step:
        world.synced_at(world.repo.push("mended", {"app/web.yaml": text(world.web_object)}), "shop", seconds=30)
        step.answer = "synced"


def _healed(world, say):
    since, good = world.log.next_seq(), images(_web(world))
    with say("what somebody patches in the cluster is healed, and told by name") as step:
        world.kube.kubectl("-n", "shop", "patch", "deployment", "web", "--type=merge", "-p", '{"spec":{"replicas":3}}')
        until("the drift to be healed", lambda: _web(world)["spec"]["replicas"], lambda n: n == 1)
        said = until("a record of it", lambda: [str(r) for r in world.records("drift", since, "shop")])
        assert any("kubectl-patch" in text and "/spec/replicas" in text for text in said), said
        step.answer = "kubectl-patch /spec/replicas"
    with say("an unsigned image put in by hand is taken out") as step:
        evil = world.image("sidecar", signed=False)
        world.kube.patch("apps/v1", "Deployment", "shop", "web", [
            {"op": "add", "path": "/spec/template/spec/containers/-", "value": {"name": "sidecar", "image": evil.ref}}], manager="kubectl-edit")
        until("the container to be gone", lambda: images(_web(world)), lambda now: now == good)
        until("a record of it", lambda: [r for r in world.records("drift", since, "shop") if "kubectl-edit" in str(r) and "sidecar" in str(r)])
        step.answer = "gone"
    with say("what is deleted is made anew") as step:
        uid = world.kube.get("v1", "ConfigMap", "shop", "c")["metadata"]["uid"]
        world.kube.kubectl("-n", "shop", "delete", "configmap", "c", "--wait=false")
        until("it to exist again", lambda: world.kube.find("v1", "ConfigMap", "shop", "c") or {"metadata": {"uid": uid}},
              lambda found: found["metadata"]["uid"] != uid and found["data"]["color"] == "blue")
        world.settled("shop")
        step.answer = "there"


def _tampered(world, say):
    second = SecondVerifier()
    try:
        whole_by_both(world, say, second)
        changed_entries_are_found(world, say, second, world.log)
    finally:
        second.close()
    with say("bytes of the log flipped") as step:
        flips = flip_some(world.log, world.folder / "flipped", every=199, begin=0)
        assert flips > 20
        step.answer = f"{flips} flips, {flips} found by both"
    with say("a byte flipped on the node itself is found; set right, the log verifies") as step:
        undo = world.flip_byte()
        done = world.log.verify()
        undo()
        assert done.returncode == 3, done.stdout + done.stderr
        step.answer = f"{world.whole()} writes, all recorded"


def _application(world):
    made = world.team.application("shop", world.repo, "app")
    made["metadata"]["finalizers"] = ["resources-finalizer.countersign.dev"]
    return made


def _pods(world):
    def running():
        return [p for p in world.kube.list("v1", "Pod", "shop") if p["status"].get("phase") == "Running" and not p["metadata"].get("deletionTimestamp")]
    return until("running pods of the shop", running, seconds=30)


def _lost(metrics):
    """Jobs of workers that did not end well."""
    return sum(value for (name, labels), value in metrics.items() if name == "countersign_worker_jobs_total" and ("result", "done") not in labels)


def _core_or_all(world, core, before, taken):
    if world.processes().get("core") == core:
        lost = _lost(world.metrics()) - _lost(before)
        assert lost <= taken, f"{lost} jobs were lost with {taken} workers"
        return f"core untouched, {lost:g} of {taken} had a job"
    # there all of a container goes together (memory.oom.group)
    assert pathlib.Path("/sys/fs/cgroup/cgroup.controllers").exists(), "the OOM killer took core"
    world.ready(restarts=1)
    return "cgroup v2 took the container"


def _make_work(world):
    """A commit, which all of its processes have something to do with."""
    world.repo.push("work", {"app/c.yaml": text(config_map("c", color=str(time.time())))})
    time.sleep(0.3)


def _push(world, color):
    """A commit, and its outcome: what shows that all is well again."""
    commit = world.repo.push(color, {"app/c.yaml": text(config_map("c", color=color))})
    world.synced_at(commit, "shop", seconds=60)
    assert world.kube.get("v1", "ConfigMap", "shop", "c")["data"]["color"] == color


@in_order
def test_row3_deaths_restarts_and_rotations(world, say):
    say.row(3, "Pod deleted, out of memory, container killed, kubelet restarted, tokens invalid, authority rotated")
    with say("pod deleted: the next goes on with the same log") as step:
        uid, size = world.pod()["metadata"]["uid"], world.log.next_seq()
        world.kube.kubectl("-n", NAMESPACE, "delete", "pod", POD, "--wait=false")
        world.ready(after_uid=uid)
        _push(world, "green")
        assert {"log.stop", "log.start", "term.start"} <= {r["kind"] for r in world.log.records(since=size)}
        step.answer = f"{world.whole()} writes"
    with say("memory runs out: the kernel takes a worker, whose job is tried again; core stays") as step:
        core, before = world.processes()["core"], world.metrics()
        taken = world.run_out_of_memory(lambda: _make_work(world))
        _push(world, "orange")
        step.answer = _core_or_all(world, core, before, taken)
    with say("core runs out of memory: the rest restarts it, or the container") as step:
        (core,) = world.processes()["core"]
        world.run_out_of_memory(lambda: _make_work(world), pid=core)
        until("another core", lambda: world.processes().get("core"), lambda pids: pids and pids != [core], seconds=30)
        _push(world, "yellow")
        step.answer = f"{world.whole()} writes"
    with say("process 1 killed: the container restarts") as step:
        restarts = world.ready()["restarts"]
        world.kill("supervisor")
        world.ready(restarts=restarts + 1, seconds=60)
        _push(world, "white")
        step.answer = "ready again"
    with say("every token made invalid, kubelet restarted: the projected token is replaced in flight") as step:
        core = world.processes()["core"]
        before, began = world.token_of_pod(), time.monotonic()
        _new_signing_key(world)
        until("another token in the pod", world.token_of_pod, lambda t: t != before, seconds=90)
        away = time.monotonic() - began
        _push(world, "grey")
        step.answer = _core_stayed(world, core, away)
    with say("the cluster's authority rotated: old and new trusted, then the server's certificate is the new one's") as step:
        core = world.processes()["core"]
        away = _rotate_authority(world)
        _push(world, "black")
        step.answer = f"{_core_stayed(world, core, away)}; {world.whole()} writes, log verifies"


def _core_stayed(world, core, away):
    """Who leads and cannot renew the lease for 10 s stops, whatever kept it from that; it renews it every 2 s."""
    if world.processes()["core"] == core:
        return "core untouched"
    assert away > 7, f"core was started anew, though the lease could not be renewed for {away:.1f} s only"
    assert "the lease is lost" in world.said(lines=2000), "core was started anew"
    return f"the lease could not be renewed for {away:.0f} s: core was started anew"


def _api(world):
    return until("the API server", lambda: world.kube.kubectl("get", "--raw", "/readyz", check=False).stdout, lambda s: s == "ok", seconds=60)


def _restart(world, *parts):
    began = time.monotonic()
    world.part("stop", *parts)
    world.part("start", *parts)
    _api(world)
    return time.monotonic() - began


def _openssl(world, *words):
    from harness.stack import run
    return run("openssl", *words)


def _new_signing_key(world):
    """Tokens of before are worth nothing now, as if all had expired. kubelet asks for new ones when it starts."""
    folder = world.stack.folder
    _openssl(world, "genrsa", "-out", folder / "sa.key", "2048")
    _openssl(world, "rsa", "-in", folder / "sa.key", "-pubout", "-out", folder / "sa.pub")
    _restart(world, "apiserver", "kcm", "kubelet")


def _rotate_authority(world):
    folder = world.stack.folder
    old = (folder / "cluster-ca.crt").read_text()
    _openssl(world, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", folder / "new-ca.key",
             "-out", folder / "new-ca.crt", "-days", "30", "-subj", "/CN=the next authority", "-addext", "basicConstraints=critical,CA:TRUE")
    both = old + (folder / "new-ca.crt").read_text()
    (folder / "trust.crt").write_text(both)
    # the cluster's own programs read it at their start
    _restart(world, "kcm", "scheduler", "kubelet", "kube-proxy", "coredns")
    until("kube-root-ca.crt with both", lambda: world.kube.get("v1", "ConfigMap", NAMESPACE, "kube-root-ca.crt")["data"]["ca.crt"].strip(),
          lambda t: t == both.strip(), seconds=30)
    uid = world.pod()["metadata"]["uid"]
    until("both in the pod", lambda: world.inside("sh", "-c", f"cat /var/lib/kubelet/pods/{uid}/volumes/kubernetes.io~projected/*/ca.crt").stdout.strip(),
          lambda t: t == both.strip(), seconds=90)
    until("core to take both", lambda: "credentials of the API server were replaced" in world.said(lines=1000), seconds=60)
    _openssl(world, "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", folder / "apiserver.key", "-subj",
             "/CN=kube-apiserver", "-out", folder / "apiserver.csr")
    (folder / "ext").write_text("extendedKeyUsage=serverAuth\nsubjectAltName=DNS:kubernetes,DNS:kubernetes.default.svc,IP:10.96.0.1,IP:10.77.0.1\n")
    _openssl(world, "x509", "-req", "-in", folder / "apiserver.csr", "-CA", folder / "new-ca.crt", "-CAkey", folder / "new-ca.key", "-CAcreateserial",
             "-days", "30", "-out", folder / "apiserver.crt", "-extfile", folder / "ext")
    world.kube._local.__dict__.clear()
    return _restart(world, "apiserver")


@in_order
def test_row4_upgrades_are_commits_and_an_unsigned_one_is_refused(world, say):
    say.row(4, "It manages itself: a new version by commit, then one that is not signed")
    with say("an Application of its own manifests, under a policy that demands its own signature; a replica stands by") as step:
        _manage_itself(world)
        world.ready("countersign-controller-1", seconds=90)
        step.answer = f"{len(world.app('countersign')['status']['conditions'])} conditions good"
    with say("a new version is a commit: the lease moves") as step:
        second, _ = world.build_own(1700000001)
        before = world.kube.get("coordination.k8s.io/v1", "Lease", NAMESPACE, "countersign")["spec"]
        commit = world.own.push("version 2", {"app/install.yaml": _two(world.manifests(second))})
        gap = _longest_without_leader(world, second)
        world.synced_at(commit, "countersign", seconds=120)
        after = world.kube.get("coordination.k8s.io/v1", "Lease", NAMESPACE, "countersign")["spec"]
        assert after["leaseTransitions"] > before["leaseTransitions"]
        assert gap <= 5, f"{gap:.1f} s without a leader"
        step.answer = f"{gap:.1f} s without a leader"
    with say("no run was lost; both logs verify, and each term names the checkpoint before it") as step:
        _push(world, "violet")
        terms = [r for n in (0, 1) for r in world.log_of(n).records("term.start")]
        assert all(t["lease"].get("former_checkpoint") for t in terms[1:]), terms
        step.answer = f"{world.whole(0, 1)} writes"
    with say("a version that is not signed is refused, and the running one stays") as step:
        third, _ = world.build_own(1700000002, signed=False)
        commit = world.own.push("version 3", {"app/install.yaml": _two(world.manifests(third))})
        world.compared_at(commit, "countersign", seconds=30)
        told = world.wait_condition("Verified", "False", "countersign", said="countersign", seconds=30)
        assert third.digest in told["message"], told
        denied = [r for n in (0, 1) for r in world.log_of(n).records("sync.denied", f"{NAMESPACE}/countersign") if r.get("git", {}).get("commit") == commit]
        assert denied and denied[0]["outcome"] == "deny", denied
        set_to = images(world.kube.get("apps/v1", "StatefulSet", NAMESPACE, "countersign-controller"))
        assert {i.rsplit("@", 1)[1] for i in [*set_to, *(i for n in (0, 1) for i in images(world.pod(f"countersign-controller-{n}")))]} == {second.digest}
        step.answer = told["reason"]
    with say("the commit is taken back") as step:
        world.synced_at(world.own.push("version 2 again", {"app/install.yaml": _two(world.manifests(second))}), "countersign", seconds=60)
        world.second = second
        step.answer = "synced"


def _two(manifests):
    assert manifests.count("  serviceName: countersign-metrics\n") == 1
    return manifests.replace("  serviceName: countersign-metrics\n", "  replicas: 2\n  serviceName: countersign-metrics\n")


def _manage_itself(world):
    world.kube.apply(*world.applier(), image_policy(NAMESPACE, "countersign", ["registry.test/countersign"], [world.key]), obj(
        API, "Project", "platform", NAMESPACE, spec={
            "sourceRepos": ["https://git.test/open/ops/countersign.git"], "destinations": [{"server": SERVER, "namespace": NAMESPACE}],
            "clusterResourceWhitelist": [{"group": g, "kind": k} for g, k in (
                ("", "Namespace"), ("apiextensions.k8s.io", "CustomResourceDefinition"), ("rbac.authorization.k8s.io", "ClusterRole"),
                ("rbac.authorization.k8s.io", "ClusterRoleBinding"), ("scheduling.k8s.io", "PriorityClass"),
                ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy"), ("admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding"))],
            "destinationServiceAccounts": [{"server": SERVER, "namespace": NAMESPACE, "defaultServiceAccount": f"{NAMESPACE}:platform-applier"}]}))
    commit = world.own.push("version 1", {"app/install.yaml": _two(world.manifests(world.first))})
    world.kube.apply(obj(API, "Application", "countersign", NAMESPACE, spec={
        "project": "platform", "source": {"repoURL": world.own.url, "targetRevision": "main", "path": "app"},
        "destination": {"server": SERVER, "namespace": NAMESPACE}, "syncPolicy": {"automated": {"prune": False, "selfHeal": True}}}))
    world.synced_at(commit, "countersign", seconds=120)


def _longest_without_leader(world, image):
    """Watches the lease until both pods run the image: the longest time from a holder's last word (it gave the lease up, or was not heard any
    more) to the next one's first."""
    longest, last, end = 0.0, None, time.monotonic() + 180 * SCALE

    def upgraded():
        pods = [world.pod(f"countersign-controller-{n}") for n in (0, 1)]
        return all(p and image.digest in images(p)[0] and any(s["ready"] for s in p["status"].get("containerStatuses", [])) for p in pods)

    while not upgraded():
        assert time.monotonic() < end, "the new version was not rolled out"
        spec = world.kube.get("coordination.k8s.io/v1", "Lease", NAMESPACE, "countersign")["spec"]
        # a pod that comes back before the other has looked takes up its own lease again
        if last and spec.get("holderIdentity") and last["acquireTime"] != spec["acquireTime"]:
            longest = max(longest, (datetime.fromisoformat(spec["acquireTime"]) - datetime.fromisoformat(last["renewTime"])).total_seconds())
        last = spec
        time.sleep(0.05)
    return longest


@in_order
def test_row5_rights_network_and_budget_are_what_the_readme_says(world, say):
    say.row(5, "What its account may do is what the README says, and no more")
    who = f"system:serviceaccount:{NAMESPACE}:{ACCOUNT}"
    with say("kubectl auth can-i --list equals the table in manifests/README.md") as step:
        table = {}
        for names, verbs in re.findall(r"(?m)^\| `countersign-system` \| (.*?) \| (.*?) \|", (ROOT / "manifests/README.md").read_text()):
            for name in names.split(", "):
                table[name.strip("`")] = set(verbs.split())
        listed = _can_i(world, who, NAMESPACE)
        elsewhere = _can_i(world, who, "shop")
        # what teams granted: to act as their accounts, by name
        grants = {r for r in listed if r.startswith("serviceaccounts[")}
        assert grants == {"serviceaccounts[shop-applier]", "serviceaccounts[platform-applier]"}
        own = {r: v - elsewhere.get(r, set()) for r, v in listed.items() if r not in grants}
        expected = {r: v - elsewhere.get(r, set()) for r, v in table.items()}
        assert {r: v for r, v in own.items() if v} == {r: v for r, v in expected.items() if v}
        reader = {r for r, v in elsewhere.items() if v == {"get", "list", "watch"}}
        assert {r: v for r, v in elsewhere.items() if r not in reader and "selfsubject" not in r} == {}, elsewhere
        role = world.kube.get("rbac.authorization.k8s.io/v1", "ClusterRole", None, "countersign-reader-builtin")
        assert reader == {f"{r}.{g}" if g else r for rule in role["rules"] for g in rule["apiGroups"] for r in rule["resources"]}
        step.answer = f"{len(table)} at home, {len(reader)} to read"
    with say("it reads no Secret elsewhere, makes no pod, binds no role, acts as nobody else") as step:
        for words in (["get", "secrets", "-n", "shop"], ["list", "secrets", "-A"], ["create", "pods", "-n", NAMESPACE], ["create", "pods", "-n", "shop"],
                      ["bind", "clusterroles"], ["create", "rolebindings", "-n", NAMESPACE], ["impersonate", "users"],
                      ["impersonate", "serviceaccounts/default", "-n", NAMESPACE], ["patch", "imagepolicies", "-n", NAMESPACE]):
            said = world.kube.kubectl("auth", "can-i", *words, "--as", who, check=False).stdout
            assert said.startswith("no"), (words, said)
        _tries(world)
        step.answer = "no to all, and 403"
    with say("NetworkPolicy and PodDisruptionBudget fit the pod") as step:
        pod = world.pod()
        budget = world.kube.get("policy/v1", "PodDisruptionBudget", NAMESPACE, "countersign-controller")["status"]
        assert budget["expectedPods"] == 2 and budget["disruptionsAllowed"] == 1, budget
        policy = world.kube.get("networking.k8s.io/v1", "NetworkPolicy", NAMESPACE, "countersign-controller")["spec"]
        assert set(policy["podSelector"]["matchLabels"].items()) <= set(pod["metadata"]["labels"].items())
        ports = {p["containerPort"] for c in pod["spec"]["containers"] for p in c["ports"]}
        assert {p["port"] for rule in policy["ingress"] for p in rule["ports"]} == ports == {8080}
        # everything that it speaks to goes through what may go out: the API server, Git and the registry at 443, DNS
        assert {p["port"] for rule in policy["egress"] for p in rule["ports"]} == {53, 443, 6443}
        deny = world.kube.get("networking.k8s.io/v1", "NetworkPolicy", NAMESPACE, "countersign-default-deny")["spec"]
        assert deny["podSelector"] == {} and set(deny["policyTypes"]) == {"Ingress", "Egress"}
        step.answer = "they do"
    with say("what the leading pod costs after all of this") as step:
        step.answer = world.cost()
    with say("at rest") as step:
        percent = world.at_rest()
        assert percent < 5, f"{percent:.1f} % of a core"
        step.answer = f"{percent:.2f} % of a core"


def _tries(world):
    """The same with the account's own token."""
    world.kube.apply(obj("v1", "Secret", "theirs", "shop", stringData={"password": "correct horse"}))
    rbac, own = "rbac.authorization.k8s.io", world.kube.account(NAMESPACE, ACCOUNT, seconds=600)
    pod = obj("v1", "Pod", "mine", "shop", spec={"containers": [{"name": "c", "image": world.web_object["spec"]["template"]["spec"]["containers"][0]["image"]}]})
    binding = obj(f"{rbac}/v1", "ClusterRoleBinding", "mine", roleRef={"apiGroup": rbac, "kind": "ClusterRole", "name": "cluster-admin"},
                  subjects=[{"kind": "ServiceAccount", "name": ACCOUNT, "namespace": NAMESPACE}])
    for attempt in (lambda: own.get("v1", "Secret", "shop", "theirs"), lambda: own.list("v1", "Secret", "shop"), lambda: own.create(pod),
                    lambda: own.create(binding), lambda: own.request("GET", "/api/v1/namespaces/shop/secrets", headers={"Impersonate-User": "admin"})):
        try:
            got = attempt()
        except ApiError as error:
            assert error.status == 403, error
        else:
            raise AssertionError(f"allowed: {got}")


def _can_i(world, who, namespace):
    """resource (with [name] where there are names) → verbs, as the real kubectl lists them."""
    out = {}
    lines = world.kube.kubectl("auth", "can-i", "--list", "--as", who, "-n", namespace).stdout.splitlines()[1:]
    for line in lines:
        match = re.match(r"(\S*)\s+\[(.*?)\]\s+\[(.*?)\]\s+\[(.*?)\]", line)
        resource, _, names, verbs = match.groups() if match else ("", "", "", "")
        if resource:
            for name in names.split() or [""]:
                out.setdefault(resource + (f"[{name}]" if name else ""), set()).update(verbs.split())
    return out


@in_order
def test_row6_deleting_the_installation_loses_nothing_in_silence(world, say):
    say.row(6, "kubectl delete -f install.yaml with Applications in it")
    file = world.folder / "installed.yaml"
    file.write_text(_two(world.manifests(world.second)))
    with say("an Application without the finalizer leaves its objects") as step:
        world.kube.kubectl("-n", NAMESPACE, "delete", "application.countersign.dev", "countersign", "--timeout=50s")
        assert world.kube.find("apps/v1", "StatefulSet", NAMESPACE, "countersign-controller")
        step.answer = "the controller runs on"
    with say("the installation: refused, with the name of the Application that would be orphaned") as step:
        def refused():
            # an API server that has just started lets nothing through before it knows the kinds
            said = world.kube.kubectl("delete", "crd", "applications.countersign.dev", "--dry-run=server", check=False).stderr
            return "would be orphaned" in said
        until("the kinds to be known to the policies", refused, seconds=60)
        done = world.kube.kubectl("delete", "-f", str(file), "--timeout=50s", check=False)
        assert done.returncode != 0 and "Application countersign-system/shop is still there" in done.stderr, done.stderr
        for what in (NAMESPACE, *(f"{kind}.countersign.dev" for kind in ("applications", "projects", "imagepolicies", "applicationinventories"))):
            assert f'"{what}" is forbidden' in done.stderr, done.stderr
        step.answer = f"{done.stderr.count('denied request')} refusals"
    with say("what was deployed runs on, kinds and Applications are there") as step:
        until("the controller to go", lambda: world.pod() is None, seconds=60)
        assert _pods(world) and world.app("shop")["metadata"]["name"] == "shop"
        assert world.kube.find("apiextensions.k8s.io/v1", "CustomResourceDefinition", None, "applications.countersign.dev")
        step.answer = f"{len(_pods(world))} pods"
    with say("applied again: the log goes on where it was") as step:
        sizes = [world.log_of(n).next_seq() for n in (0, 1)]
        world.kube.kubectl("apply", "--server-side", "--force-conflicts", "-f", str(file))
        world.ready(seconds=90)
        _push(world, "brown")
        leads = int(world.leader()[-1])
        assert [r["kind"] for r in world.log_of(leads).records(since=sizes[leads])][0] == "log.start" and sizes[leads] > 0
        step.answer = f"{world.whole(0, 1)} writes"
    with say("an Application with the finalizer takes its objects along") as step:
        world.kube.kubectl("-n", NAMESPACE, "delete", "application.countersign.dev", "shop", "--timeout=50s")
        assert world.kube.find("apps/v1", "Deployment", "shop", "web") is None
        step.answer = "as asked"
    with say("then the installation goes") as step:
        for kind in ("projects", "imagepolicies"):
            world.kube.kubectl("-n", NAMESPACE, "delete", f"{kind}.countersign.dev", "--all")
        done = world.kube.kubectl("delete", "-f", str(file), "--timeout=50s", check=False)
        assert done.returncode == 0, done.stderr
        step.answer = "gone; the volumes stay"
