"""What whoever runs it needs: an orderly stop, a replica that stands by, credentials that change, a log level, checks."""

import http.server
import json
import os
import re
import threading
import time

import pytest

from harness.controller import ACCOUNT, Controller, cli, documents
from harness.manifests import config_map, deployment, text, wave
from harness.stack import ROOT
from harness.tenant import obj
from harness.wait import SCALE, until
from harness.web import Web, free_port

LEASE = ("coordination.k8s.io/v1", "Lease")


def holder(site):
    return site.kube.get(*LEASE, site.system, "countersign")["spec"].get("holderIdentity")


def test_sigterm_ends_at_a_step_boundary_within_ten_seconds(ready_site):
    site = ready_site
    images = [site.image(f"i{n}") for n in range(6)]
    site.deploy({f"app/{n}.yaml": text(deployment(f"web{n}", image.ref)) for n, image in enumerate(images)}, wait=False)
    until("the first write", lambda: site.governed())
    began = time.monotonic()
    assert site.controller.stop() == 0
    assert time.monotonic() - began < 10 * SCALE
    records = site.log.records()
    assert [r["kind"] for r in records][-2:] == ["term.end", "log.stop"]
    intents, results = ({r[key] for r in records if r["kind"] == kind} for kind, key in (("sync.intent", "seq"), ("sync.result", "intent")))
    assert intents == results and site.log.verify().returncode == 0
    assert holder(site) == ""
    site.controller.start()
    site.settled("app", seconds=30)
    done, counts = site.log.join(site.stack.audit_log)
    assert counts["unrecorded"] == 0, done.stdout


def test_replica_that_stands_by_takes_over_and_names_the_last_checkpoint(ready_site, tmp_path):
    site = ready_site
    site.deploy({"app/c.yaml": text(config_map("c"))})
    web = Web(free_port())
    other = Controller(site.installation, tmp_path / "other", plain_http=[site.stack.registry], listen=web.address)
    other.start(wait=False)
    try:
        status, said = until("the other to be ready", lambda: web.get("/readyz?verbose"), lambda got: got[0] == 200)
        assert "stands by" in said
        assert not [r for r in other.log.records() if r["kind"] == "term.start"]
        led, began = holder(site), time.monotonic()
        site.controller.stop()
        last = (site.log.folder / "checkpoint").read_text()
        until("the other to lead", lambda: web.get("/readyz?verbose")[1], lambda said: "leads" in said, seconds=10)
        # from the request to stop, the stop itself included
        assert time.monotonic() - began < 5 * SCALE
        (term,) = until("its term.start", lambda: [r for r in other.log.records() if r["kind"] == "term.start"], seconds=5)
        assert term["lease"]["former_checkpoint"] == last, term
        assert term["lease"]["former_holder"] == led
        repo = site.repo({"app/d.yaml": text(config_map("d"))})
        site.kube.apply(site.team.application("two", repo, "app"))
        site.settled("two", seconds=20)
    finally:
        other.stop()


def test_intent_that_is_resolved_after_another_replica_led_claims_nothing(ready_site, tmp_path):
    site = ready_site
    maps = lambda value: {"app/a.yaml": text(config_map("a", key=value)), "app/later.yaml": text(wave(config_map("later", key=value), 1))}
    repo = site.deploy(maps("1"))
    since = site.log.next_seq()
    waits = obj("v1", "Service", "waits", spec={"type": "LoadBalancer", "ports": [{"port": 80}]})
    repo.push("announced, and not sent as far as `later`", {**maps("2"), "app/s.yaml": text(waits)})
    site.wait_condition("Synced", "Unknown", "app", reason="WaitingForHealth")
    site.controller.kill()
    applied = repo.push("the other's", {**maps("5"), "app/s.yaml": None})
    other = Controller(site.installation, tmp_path / "other", plain_http=[site.stack.registry])
    other.start()
    try:
        site.synced_at(applied, "app", seconds=40)
    finally:
        other.stop()
    repo.push("denied", {"app/web.yaml": text(deployment("web", site.image("web", signed=False).ref))})
    site.controller.start()
    result = until("the result", lambda: site.records("sync.result", since, "app"))[0]
    assert {o["name"]: o["outcome"] for o in result["objects"]} == {"a": "unknown", "waits": "unknown", "later": "unknown"}
    # what the other applied is whole, and is kept as it is
    site.wait_condition("Synced", "False", "app", reason="VerificationFailed")
    site.kube.patch("v1", "ConfigMap", site.namespace, "a", {"data": {"key": "drifted"}})
    until("the drift to be healed", lambda: site.find("v1", "ConfigMap", "a")["data"]["key"], lambda key: key == "5")


def projected(folder, number, files):
    """Puts files into a folder as the kubelet does: a new ..data, turned at once."""
    version = folder / f"..{number}"
    version.mkdir(parents=True)
    for name, content in files.items():
        (version / name).write_text(content)
        if not (folder / name).is_symlink():
            os.symlink(f"..data/{name}", folder / name)
    os.symlink(version.name, folder / "..new")
    os.replace(folder / "..new", folder / "..data")


def kubeconfig(site, folder, file):
    """A kubeconfig that names files of the folder, as a pod's account does."""
    file.write_text(json.dumps({
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{"name": "c", "cluster": {"server": site.kube.server, "certificate-authority": str(folder / "ca.crt")}}],
        "users": [{"name": "u", "user": {"tokenFile": str(folder / "token")}}], "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
    }))
    return file


def bound_token(site, secret):
    """A token of the controller's account that ends with the Secret."""
    site.kube.apply(obj("v1", "Secret", secret, site.system))
    return site.kube.kubectl("create", "token", ACCOUNT, "-n", site.system, "--bound-object-kind", "Secret", "--bound-object-name", secret).stdout.strip()


def test_token_and_authority_that_change_on_disk_are_taken_up_while_it_runs(new_site, tmp_path):
    web = Web(free_port())
    site = new_site(listen=web.address).install()
    folder = tmp_path / "account"
    right, wrong = (open(path).read() for path in (site.stack.api_ca, site.stack.git_ca))
    projected(folder, 1, {"ca.crt": wrong, "token": bound_token(site, "first")})
    site.controller.kubeconfig = kubeconfig(site, folder, tmp_path / "kubeconfig")
    site.controller.start(wait=False)
    status, said = until("it to serve", lambda: web.get("/readyz"), lambda got: got[0] == 503)
    assert "[-]api-server failed" in said and web.get("/livez") == (200, "ok")
    projected(folder, 2, {"ca.crt": right, "token": (folder / "token").read_text()})
    until("it to lead with the right authority", lambda: web.get("/readyz?verbose"), lambda got: got[0] == 200 and "leads" in got[1], seconds=15)
    pids = site.controller.pids("core")
    site.deploy({"app/c.yaml": text(config_map("c"))})
    projected(folder, 3, {"ca.crt": right, "token": bound_token(site, "second")})
    site.kube.delete("v1", "Secret", site.system, "first")
    repo = site.repo({"app/d.yaml": text(config_map("d"))})
    site.kube.apply(site.team.application("two", repo, "app"))
    site.settled("two", seconds=40)
    assert site.controller.pids("core") == pids, "core was started anew"
    assert [r["kind"] for r in site.log.records()].count("term.start") == 1


def test_log_level_follows_its_config_map_while_it_runs(ready_site):
    site = ready_site
    site.deploy({"app/c.yaml": text(config_map("c"))})
    assert "level=debug" not in site.controller.output.read_text()
    site.kube.apply(obj("v1", "ConfigMap", "countersign-settings", site.system, data={"log-level": "debug"}))
    until("the level to change", lambda: "log level changes" in site.controller.output.read_text())
    cli("sync", "app", "-n", site.system, kubeconfig=site.stack.kubeconfig, check=True)
    until("lines of level debug", lambda: "level=debug" in site.controller.output.read_text())
    site.kube.apply(obj("v1", "ConfigMap", "countersign-settings", site.system, data={"log-level": "chatty"}))
    until("a word on the level that is none", lambda: "log-level is none of debug, info, warn, error" in site.controller.output.read_text())
    site.kube.delete("v1", "ConfigMap", site.system, "countersign-settings")
    until("the level of the command line", lambda: "what the command line said" in site.controller.output.read_text())


# --- commands ----------------------------------------------------------------------------------------------------------

def lines(done):
    return {line.split()[1]: line for line in done.stdout.splitlines()}


def test_check_tells_what_is_good_and_what_is_not(ready_site, tmp_path):
    site = ready_site
    admin = site.stack.kubeconfig
    pre = cli("check", "--pre", kubeconfig=admin)
    assert pre.returncode == 0 and {"api-server", "clock", "kinds", "your-rights", "sandbox"} <= set(lines(pre)), pre.stdout
    done = cli("check", "-n", site.system, kubeconfig=admin)
    told = lines(done)
    assert done.returncode == 0 and told["rights"].startswith("ok") and told["too-many"].startswith("ok") and told["leader"].startswith("ok"), done.stdout
    # with the account's own credential it asks for itself
    own = cli("check", "-n", site.system, kubeconfig=site.installation.kubeconfig(tmp_path / "own"))
    assert lines(own)["rights"].startswith("ok") and lines(own)["too-many"].startswith("ok"), own.stdout
    # one right less, one too many
    role = site.kube.get("rbac.authorization.k8s.io/v1", "Role", site.system, "countersign-controller")
    rules = [r for r in role["rules"] if "leases" not in r["resources"]]
    site.kube.kubectl("patch", "role", "countersign-controller", "-n", site.system, "--type=merge", "-p", json.dumps({"rules": rules}))
    rbac = "rbac.authorization.k8s.io"
    extra = f"{site.system}-too-much"
    site.kube.apply(obj(f"{rbac}/v1", "ClusterRoleBinding", extra, roleRef={"apiGroup": rbac, "kind": "ClusterRole", "name": "cluster-admin"},
                        subjects=[{"kind": "ServiceAccount", "name": "nobody", "namespace": site.system}]))
    try:
        done = cli("check", "-n", site.system, kubeconfig=admin)
        assert done.returncode == 1 and "update leases.coordination.k8s.io" in lines(done)["rights"], done.stdout
        site.kube.kubectl("patch", "clusterrolebinding", extra, "--type=merge", "-p", json.dumps(
            {"subjects": [{"kind": "ServiceAccount", "name": ACCOUNT, "namespace": site.system}]}))
        done = until("the excess to be told", lambda: cli("check", "-n", site.system, kubeconfig=admin),
                     lambda d: lines(d)["too-many"].startswith("FAIL"), seconds=10)
        assert "get secrets everywhere" in lines(done)["too-many"] and done.returncode == 1
    finally:
        site.kube.delete(f"{rbac}/v1", "ClusterRoleBinding", None, extra)


def test_status_tells_who_leads_and_how_many_applications_are_ready(ready_site):
    site = ready_site
    admin = site.stack.kubeconfig
    repo = site.deploy({"app/c.yaml": text(config_map("c"))})
    done = cli("status", "-n", site.system, kubeconfig=admin)
    told = lines(done)
    assert done.returncode == 0 and told["leader"].startswith("ok") and holder(site) in told["leader"], done.stdout
    assert told["applications"].startswith("ok") and "1 of 1 are ready" in told["applications"] and told["pod"].startswith("warn"), done.stdout
    repo.push("broken", {"app/c.yaml": "no: object\n"})
    site.wait_condition("Synced", "False", "app")
    done = cli("status", "-n", site.system, kubeconfig=admin)
    assert lines(done)["applications"].startswith("warn") and "0 of 1 are ready" in lines(done)["applications"] and done.returncode == 0, done.stdout
    site.controller.stop()
    done = cli("status", "-n", site.system, kubeconfig=admin)
    assert lines(done)["leader"].startswith("FAIL") and "nobody leads" in done.stdout and done.returncode == 1, done.stdout


def test_check_before_an_installation_names_every_right_that_it_takes(site, tmp_path):
    name, rbac = f"{site.system}-installer", "rbac.authorization.k8s.io"
    kinds = {"apiextensions.k8s.io": ["customresourcedefinitions"], "": ["namespaces", "serviceaccounts"], "apps": ["statefulsets"],
             "networking.k8s.io": ["networkpolicies"], rbac: ["clusterroles", "clusterrolebindings", "roles", "rolebindings"]}
    rules = [{"apiGroups": [group], "resources": resources, "verbs": ["create", "patch"]} for group, resources in kinds.items()]
    site.kube.apply(obj(f"{rbac}/v1", "ClusterRole", name, rules=rules))
    site.kube.apply(obj(f"{rbac}/v1", "ClusterRoleBinding", name, roleRef={"apiGroup": rbac, "kind": "ClusterRole", "name": name},
                        subjects=[{"kind": "ServiceAccount", "name": ACCOUNT, "namespace": site.system}]))
    try:
        token = site.installation.kubeconfig(tmp_path / "installer")
        told = until("the rights to be given", lambda: lines(cli("check", "--pre", "-n", site.system, kubeconfig=token))["your-rights"],
                     lambda line: "statefulsets" not in line, seconds=10)
        assert told.startswith("FAIL"), told
        for resource in ("priorityclasses.scheduling.k8s.io everywhere", "poddisruptionbudgets.policy in", "services in",
                         "validatingadmissionpolicies.admissionregistration.k8s.io", "validatingadmissionpolicybindings.admissionregistration.k8s.io"):
            assert f"create {resource}" in told and f"patch {resource}" in told, told
    finally:
        for kind in ("ClusterRoleBinding", "ClusterRole"):
            site.kube.delete(f"{rbac}/v1", kind, None, name)


class _OldCluster(http.server.BaseHTTPRequestHandler):
    """An API server whose clock is an hour off, as a person's may be, and a lease that was renewed `age` seconds ago by it."""

    def do_GET(self):
        now = time.time() + self.server.ahead
        spec = {"holderIdentity": "one", "renewTime": time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime(now - self.server.age))}
        body = json.dumps({"kind": "Lease", "spec": spec} if "/leases/" in self.path else {"kind": "List", "items": []}).encode()
        self.send_response_only(200)
        self.send_header("Date", self.date_time_string(now))
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.mark.parametrize("ahead", [3600, -3600])
def test_whether_somebody_leads_does_not_depend_on_the_clock_of_who_asks(tmp_path, ahead):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _OldCluster)
    server.ahead = ahead
    file = tmp_path / "kubeconfig"
    file.write_text(json.dumps({"apiVersion": "v1", "kind": "Config", "current-context": "c",
                                "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{server.server_address[1]}"}}],
                                "users": [{"name": "c", "user": {"token": "x"}}],
                                "contexts": [{"name": "c", "context": {"cluster": "c", "user": "c"}}]}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        server.age = 2
        assert lines(cli("status", kubeconfig=str(file)))["leader"].startswith("ok")
        server.age = 1800
        told = lines(cli("status", kubeconfig=str(file)))["leader"]
        assert told.startswith("FAIL") and re.search("renewed (1799|180[01]) s ago", told), told
    finally:
        server.shutdown()
        server.server_close()


def test_check_of_a_cluster_that_is_not_there_fails_with_its_address(tmp_path):
    file = tmp_path / "kubeconfig"
    file.write_text(json.dumps({"apiVersion": "v1", "kind": "Config", "current-context": "c",
                                "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}],
                                "users": [{"name": "u", "user": {"token": "x"}}], "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}]}))
    done = cli("check", kubeconfig=file)
    assert done.returncode == 1 and "https://127.0.0.1:1" in done.stdout and done.stdout.startswith("FAIL")
    for bad in ("a b", "{", "x\nkind: y"):
        done = cli("check", "-n", bad, kubeconfig=file)
        assert done.returncode == 2 and "is no name of a namespace" in done.stderr, done.stderr


def test_install_export_is_install_yaml_for_an_image_and_a_namespace():
    shipped = (ROOT / "manifests/install.yaml").read_text()
    assert cli("install", "--export", check=True).stdout == shipped
    image = "registry.example/countersign@sha256:" + "0" * 64
    moved = cli("install", "--export", "--image", image, "-n", "gitops", check=True).stdout
    assert f"image: {image}\n" in moved and "countersign-system" not in moved and moved.count("namespace: gitops") > 5
    for bad in (("-n", "a b"), ("--image", "x y"), ("-n", "x\nkind: y")):
        assert cli("install", "--export", *bad).returncode == 2


@pytest.mark.parametrize("name", ["123", "true", "0x1f", "1e3"])
def test_install_into_a_namespace_whose_name_reads_as_a_number_names_it_all_the_same(site, name):
    yaml = cli("install", "--export", "-n", name, check=True).stdout
    made = documents(site.kube.kubectl("create", "--dry-run=client", "--validate=false", "-o", "json", "-f", "-", text=yaml).stdout)
    homes = [o["metadata"]["namespace"] for o in made if "namespace" in o["metadata"]] + [o["metadata"]["name"] for o in made if o["kind"] == "Namespace"]
    homes += [s["namespace"] for o in made for s in o.get("subjects", [])]
    assert len(homes) > 10 and set(homes) == {name}, homes


def test_project_grant_takes_every_name_that_a_service_account_may_have(site):
    for account in ("shop:web.applier", "123:456", "true:null"):
        namespace, name = account.split(":")
        done = cli("project", "grant", "--account", account, check=True).stdout
        made = site.kube.kubectl("create", "--dry-run=client", "--validate=false", "-o", "json", "-f", "-", text=done).stdout
        assert f'"name": "{name}"' in made and f'"namespace": "{namespace}"' in made, made
    for bad in ("shop:web..applier", "shop:.", "shop:", "shop", "s.hop:web", "shop:a b"):
        assert cli("project", "grant", "--account", bad).returncode == 1
    site.kube.apply(obj("countersign.dev/v1alpha1", "Project", "anywhere", site.system,
                        spec={"destinationServiceAccounts": [{"server": "*", "defaultServiceAccount": "applier"}]}))
    done = cli("project", "grant", "anywhere", "-n", site.system, kubeconfig=site.stack.kubeconfig)
    assert done.returncode == 1 and "*:applier" in done.stderr and "null" not in done.stderr and "one by one" in done.stderr, done.stderr


def test_project_grant_lets_the_controller_write_as_that_account_and_no_other(site, tmp_path):
    admin = site.stack.kubeconfig
    site.kube.delete("rbac.authorization.k8s.io/v1", "Role", site.system, f"impersonate-{site.team.applier}")
    site.deploy({"app/c.yaml": text(config_map("c"))}, wait=False)
    site.wait_condition("Synced", "False", "app", said="impersonate")
    done = cli("project", "grant", "red", "-n", site.system, kubeconfig=admin, check=True)
    assert cli("project", "grant", "--account", f"{site.system}:{site.team.applier}", "-n", site.system, check=True).stdout == done.stdout
    site.kube.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", text=done.stdout)
    cli("sync", "app", "-n", site.system, "--no-wait", kubeconfig=admin)
    site.settled("app", seconds=60)

    def may(name):
        return site.kube.kubectl("auth", "can-i", "impersonate", f"serviceaccounts/{name}", "-n", site.system,
                                 "--as", f"system:serviceaccount:{site.system}:{ACCOUNT}", check=False).stdout.strip()

    assert may(site.team.applier) == "yes" and may("default").startswith("no")
    assert cli("project", "grant", "moon", "-n", site.system, kubeconfig=admin).returncode == 4
    assert cli("project", "grant", "--account", "a:b}\nkind: c").returncode == 1


def test_status_that_may_not_be_written_is_tried_ever_less_often_and_told_when_it_may(site):
    repo = site.deploy({"app/config.yaml": text(config_map("config", key="1"))})
    role = site.kube.get("rbac.authorization.k8s.io/v1", "Role", site.system, "countersign-controller")
    rules = [r for r in role["rules"] if r["resources"] != ["applications/status"]]
    assert len(rules) == len(role["rules"]) - 1
    site.kube.patch("rbac.authorization.k8s.io/v1", "Role", site.system, "countersign-controller", {"rules": rules})
    site.requests.mark()
    commit = repo.push("second", {"app/config.yaml": text(config_map("config", key="2"))})
    until("the commit to be applied all the same", lambda: site.find("v1", "ConfigMap", "config")["data"], lambda data: data == {"key": "2"}, seconds=10)
    time.sleep(10)
    tries = [e for e in site.requests.writes(user=":countersign-controller", namespace=site.system, resource="applications") if e["objectRef"].get("subresource") == "status"]
    assert 1 <= len(tries) <= 6, len(tries)
    site.kube.patch("rbac.authorization.k8s.io/v1", "Role", site.system, "countersign-controller", {"rules": role["rules"]})
    site.synced_at(commit, "app", seconds=20)
