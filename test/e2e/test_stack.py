"""The local stack is what the tests take it for. Without these, a test of an outage could pass because nothing was ever up."""

import json
import ssl
import urllib.error
import urllib.request

import pytest

from harness import tenant
from harness.auditlog import ApiServerLog
from harness.controller import ACCOUNT, documents
from harness.gitrepo import Repo
from harness.images import COSIGN_VERIFIES, FORMATS, KEY_TYPES, Registry
from harness.kube import ApiError, Kube
from harness.manifests import config_map, deployment
from harness.stack import run
from harness.wait import Late, stays, until


def fetch(url, headers=None, ca=None, timeout=5):
    """(status, headers, body) of a GET, whatever the status."""
    context = ssl.create_default_context(cafile=ca) if ca else None
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers or {}), timeout=timeout, context=context) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()


def test_pods_of_a_deployment_run_on_the_fake_node(kube):
    kube.apply(deployment("runs", "example.test/x:1", namespace="default", replicas=2))
    seen = until("two ready pods", lambda: kube.get("apps/v1", "Deployment", "default", "runs").get("status", {}),
                 lambda s: s.get("readyReplicas") == 2)
    assert seen["updatedReplicas"] == 2
    kube.delete("apps/v1", "Deployment", "default", "runs")


def test_api_server_accepts_the_administrators_client_certificate(stack):
    said = run(stack.kubectl, "auth", "whoami", "-o", "json", env={"KUBECONFIG": stack.kubeconfig_cert}).stdout
    assert json.loads(said)["status"]["userInfo"]["username"] == "admin"


def test_api_server_is_refused_with_the_authority_of_the_site(stack):
    with pytest.raises(urllib.error.URLError, match="CERTIFICATE_VERIFY_FAILED"):
        fetch(f"{stack.api_server}/readyz", ca=stack.git_ca)


def test_audit_log_has_writes_with_their_audit_id_and_no_reads(stack, kube):
    log = ApiServerLog(stack).mark()
    name = "audited"
    path = kube.path("v1", "ConfigMap", "default")
    kube.request("POST", path, config_map(name, "default"), headers={"Audit-ID": "mylog.7.0.1"})
    kube.get("v1", "ConfigMap", "default", name)
    kube.delete("v1", "ConfigMap", "default", name)
    writes = until("two writes", lambda: log.writes(user="admin", name=name) + log.writes(user="admin", resource="configmaps"),
                   lambda w: len(w) >= 2)
    assert {w["verb"] for w in writes} == {"create", "delete"}
    assert any(w["auditID"] == "mylog.7.0.1" for w in writes)


def test_role_with_resource_names_lets_the_controller_act_as_that_account_only(stack, kube):
    system = "impersonation-test"
    kube.apply(tenant.obj("v1", "Namespace", system), tenant.obj("v1", "ServiceAccount", ACCOUNT, system),
               tenant.obj("v1", "ServiceAccount", "other", system))
    team = tenant.Tenant(kube, system, "red", ["default"], ["*"])
    kube.apply(*team.rights())
    controller = kube.account(system, ACCOUNT)
    path = kube.path("v1", "ConfigMap", "default")

    def as_account(name):
        return controller.request("POST", path, config_map("as-account", "default"),
                                  headers={"Impersonate-User": f"system:serviceaccount:{system}:{name}"})

    until("the right to act as red-applier", lambda: as_account("red-applier"), seconds=5)
    with pytest.raises(ApiError, match="cannot impersonate"):
        as_account("other")
    with pytest.raises(ApiError, match="forbidden"):
        controller.request("POST", path, config_map("without-impersonation", "default"))
    kube.delete("v1", "ConfigMap", "default", "as-account")
    team.destroy()
    kube.delete("v1", "Namespace", None, system)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("kind", [k for k in KEY_TYPES if k in COSIGN_VERIFIES])
def test_cosign_accepts_what_it_signed(registry, keys, kind, form):
    key = keys(f"type-{kind}", kind)
    image = registry.image(f"types/{kind}", form)
    assert not image.cosign_accepts(key)
    assert image.sign(key, form).cosign_accepts(key)
    assert not image.cosign_accepts(keys("stranger"))


def test_signature_formats_lie_where_each_belongs(stack, registry, keys):
    legacy = registry.image("where/legacy").sign(keys("release"), "legacy")
    bundle = registry.image("where/bundle").sign(keys("release"), "bundle")
    assert legacy.digest.replace(":", "-") + ".sig" in registry.crane("ls", f"{registry.address}/where/legacy").split()
    assert not [t for t in registry.crane("ls", f"{registry.address}/where/bundle").split() if t.endswith(".sig")]
    _, _, body = fetch(f"http://{registry.address}/v2/where/bundle/referrers/{bundle.digest}")
    assert {m["artifactType"] for m in json.loads(body)["manifests"]} == {"application/vnd.dev.sigstore.bundle.v0.3+json"}


def test_registry_without_referrers_gets_a_fallback_tag(stack, keys, tmp_path):
    fallback = Registry(stack, stack.registry_fallback, tmp_path / "fallback")
    image = fallback.image("app").sign(keys("release"), "bundle")
    assert fetch(f"http://{fallback.address}/v2/app/referrers/{image.digest}")[0] == 404
    assert image.digest.replace(":", "-") in fallback.crane("ls", f"{fallback.address}/app").split()


def test_moved_tag_names_the_other_image(registry):
    first, second = registry.image("moves", "1"), registry.image("moves", "2")
    second.retag("1")
    assert registry.digest("moves", "1") == second.digest != first.digest


def test_bearer_door_asks_for_a_token_of_that_repository(stack, registry):
    registry.image("private/app")
    url = f"http://{stack.registry_bearer}/v2/private/app/manifests/1"
    status, headers, _ = fetch(url)
    assert status == 401
    assert headers["WWW-Authenticate"].startswith(f'Bearer realm="http://{stack.registry_bearer}/token"')
    assert 'scope="repository:private/app:pull"' in headers["WWW-Authenticate"]

    def token(scope, credentials):
        return fetch(f"http://{stack.registry_bearer}/token?service=x&scope=repository:{scope}:pull", {"Authorization": f"Basic {credentials}"})

    bob = "Ym9iOnNlY3JldA=="
    assert token("private/app", "Ym9iOndyb25n")[0] == 401
    right = json.loads(token("private/app", bob)[2])["token"]
    wrong = json.loads(token("another/app", bob)[2])["token"]
    accept = {"Accept": "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json"}
    assert fetch(url, {"Authorization": f"Bearer {right}", **accept})[0] == 200
    assert fetch(url, {"Authorization": f"Bearer {wrong}", **accept})[0] == 401


def test_tls_door_wants_its_private_authority_and_basic_credentials(stack, registry, tmp_path):
    registry.image("private/tls")
    url = f"https://{stack.registry_tls}/v2/private/tls/manifests/1"
    with pytest.raises(urllib.error.URLError, match="CERTIFICATE_VERIFY_FAILED"):
        fetch(url)
    assert fetch(url, ca=stack.registry_ca)[0] == 401
    door = Registry(stack, stack.registry_tls, tmp_path / "tls", "bob", "secret", stack.registry_ca, made_through=registry)
    assert door.digest("private/tls", "1").startswith("sha256:")


@pytest.mark.parametrize("status", ["503", "429", "401"])
def test_registry_fault_is_played_for_matching_requests_only(stack, registry, status):
    registry.image("faulty", status)
    url = f"http://{registry.address}/v2/faulty"
    with stack.registry_fault(f"{status} /manifests/"):
        assert fetch(f"{url}/manifests/{status}")[0] == int(status)
        assert fetch(f"{url}/tags/list")[0] == 200
    assert fetch(f"{url}/manifests/{status}", {"Accept": "*/*"})[0] != int(status)


def test_registry_fault_cut_promises_more_than_it_sends(stack, registry):
    registry.image("cut", "1")
    with stack.registry_fault("cut /manifests/"):
        with pytest.raises(Exception, match="IncompleteRead|bytes read"):
            fetch(f"http://{registry.address}/v2/cut/manifests/1")


def test_git_server_takes_pushes_and_logs_who_asked(stack, tmp_path):
    repo = Repo(stack, tmp_path / "work", "ops/demo")
    commit = repo.push("first", {"a/b.yaml": "x: 1\n"})
    assert run("git", "ls-remote", repo.url, "main").stdout.split()[0] == commit
    assert repo.noticed_after_push() >= repo.pushed_at
    repo.push("second", {"a/b.yaml": None})
    with pytest.raises(LookupError, match="since the last push"):
        repo.noticed_after_push()


@pytest.mark.parametrize("folder,options", [
    ("basic", ["-c", "credential.helper=!f() { echo username=git; echo password=secret; }; f"]),
    ("bearer", ["-c", "http.extraHeader=Authorization: Bearer git-token"]),
    ("mtls", ["-c", "http.sslCert=CLIENT.crt", "-c", "http.sslKey=CLIENT.key"]),
])
def test_git_door_opens_for_its_credentials_only(stack, tmp_path, folder, options):
    repo = Repo(stack, tmp_path / "work", f"closed-{folder}", folder=folder, tls=True)
    commit = repo.push("first", {"a.yaml": "x: 1\n"})
    options = [o.replace("CLIENT.crt", stack.git_client_cert).replace("CLIENT.key", stack.git_client_key) for o in options]
    env = {"GIT_TERMINAL_PROMPT": "0", "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_SSL_CAINFO": stack.git_ca}
    assert run("git", *options, "ls-remote", repo.url, "main", env=env).stdout.split()[0] == commit
    assert run("git", "ls-remote", repo.url, env=env, check=False).returncode != 0
    assert run("git", *options, "ls-remote", repo.url, env={**env, "GIT_SSL_CAINFO": stack.api_ca}, check=False).returncode != 0


def test_outage_refuses_connections_and_ends_with_the_block(stack, registry):
    registry.image("outage")
    url = f"http://{registry.address}/v2/outage/tags/list"
    with stack.outage("regauth"):
        with pytest.raises(urllib.error.URLError, match="refused"):
            fetch(url)

    def status():
        try:
            return fetch(url)[0]
        except urllib.error.URLError as error:
            raise LookupError(str(error)) from error

    until("the registry to answer again", status, lambda s: s == 200)


def test_documents_that_follow_each_other_are_taken_apart():
    two = '{"kind": "Role", "metadata": {"name": "a"}}\n{"kind": "List", "items": [{"kind": "Pod"}, {"kind": "Job"}]}\n'
    assert [d["kind"] for d in documents(two)] == ["Role", "Pod", "Job"]
    assert documents("\n") == []


def test_wait_tells_what_it_saw_last():
    with pytest.raises(Late, match=r"(?s)the moon.*last seen: .*blue"):
        until("the moon", lambda: {"colour": "blue"}, lambda v: v["colour"] == "green", seconds=0.1)
    with pytest.raises(AssertionError, match="did not stay"):
        stays("calm", iter([True, True, False]).__next__, seconds=2, every=0)


def test_unknown_kind_is_told_by_name(stack, kube):
    with pytest.raises(LookupError, match="knows no Unicorn in v1"):
        kube.resource("v1", "Unicorn")
    assert kube.find("v1", "ConfigMap", "default", "not-there") is None
    with pytest.raises(ApiError, match="Unauthorized"):
        Kube(stack.api_server, stack.api_ca, "wrong").list("v1", "Namespace")
