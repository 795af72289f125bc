"""No secret is ever told. Canaries are planted wherever a secret may lie or be echoed, everything that can go wrong with them does, and then
every surface is searched for them in every spelling: output, records, statuses, events, inventories, what commands print."""

import base64
import json
import os
import signal

import pytest

from harness import canaries as look
from harness.canaries import Canaries
from harness.controller import cli
from harness.kube import condition
from harness.manifests import config_map, deployment, text
from harness.tenant import WORKLOAD_RULES, obj
from harness.wait import until
from harness.web import Web, free_port

ADMISSION = "admissionregistration.k8s.io/v1"


def b64(word):
    return base64.b64encode(word.encode()).decode()


def secret(name, **fields):
    return obj("v1", "Secret", name, **fields)


def vault(seen):
    """Secrets as people write them: data, stringData, several lines, one that is larger than any buffer, one in a List."""
    large = seen.new("large Secret")
    lines = [seen.new(f"line {i} of a Secret") for i in range(20)]
    return [
        secret("by-data", data={f"k{i}": b64(seen.new(f"data k{i}")) for i in range(60)}),
        secret("by-string", stringData={f"k{i}": seen.new(f"stringData k{i}") for i in range(60)}),
        secret("of-lines", stringData={"file": "\n".join(lines), "env": "".join(f"export A{i}='{line}'\n" for i, line in enumerate(lines))}),
        secret("large", stringData={"blob": ("x" * 4093 + large) * 40}),
        {"apiVersion": "v1", "kind": "List", "items": [secret("in-a-list", stringData={"a": seen.new("Secret of a List")})]},
    ]


# Secrets that our reader or the API server refuses: name → what is in the file, made from a canary.
BROKEN = {
    "syntax": lambda w: f'apiVersion: v1\nkind: Secret\nmetadata: {{name: NAME}}\nstringData:\n  a: "{w}\n  b: ]{w}\n',
    "indent": lambda w: f"apiVersion: v1\nkind: Secret\nmetadata: {{name: NAME}}\nstringData:\n  a: {w}\n    b: {w}\n",
    "tab": lambda w: f"apiVersion: v1\nkind: Secret\nmetadata: {{name: NAME}}\nstringData:\n\ta: {w}\n",
    "twice": lambda w: f"apiVersion: v1\nkind: Secret\nmetadata: {{name: NAME}}\nstringData: {{a: {w}, a: {w}}}\n",
    "alias": lambda w: f"apiVersion: v1\nkind: Secret\nmetadata: {{name: NAME}}\nstringData: {{a: *{w}}}\n",
    "tag": lambda w: f"apiVersion: v1\nkind: Secret\nmetadata: {{name: NAME}}\nstringData: {{a: !{w} {w}}}\n",
    "control": lambda w: f'apiVersion: v1\nkind: Secret\nmetadata: {{name: NAME}}\nstringData: {{a: "{w}\\q"}}\n',
    "json": lambda w: f'{{"apiVersion":"v1","kind":"Secret","metadata":{{"name":"NAME"}},"stringData":{{"a":"{w}" "b"}}}}',
    "no-base64": lambda w: text(secret("NAME", data={"a": f"{w}!"})),
    "string-is-a-map": lambda w: text(secret("NAME", stringData={"a": {"b": w}})),
    "data-is-a-list": lambda w: text(secret("NAME", data=[b64(w)])),
    "data-is-a-text": lambda w: text(secret("NAME", data=w)),
    "unknown-field": lambda w: text(secret("NAME", values={"a": w})),
    "dockerconfig": lambda w: text(secret("NAME", type="kubernetes.io/dockerconfigjson", stringData={".dockerconfigjson": f'{{"auths": {w}'})),
    "tls": lambda w: text(secret("NAME", type="kubernetes.io/tls", stringData={"tls.crt": w})),
    "ssh": lambda w: text(secret("NAME", type="kubernetes.io/ssh-auth", stringData={"key": w})),
    "bad-key": lambda w: text(secret("NAME", stringData={"no/key": w})),
    "too-large": lambda w: text(secret("NAME", stringData={"a": w * 40000})),
    "echoed": lambda w: text(secret("NAME", stringData={"echo": w})),
}


def echoing_policy(site):
    """A real admission policy of the cluster that says the whole content of what it refuses."""
    name = f"echo-{site.name}"
    site.kube.apply(
        obj(ADMISSION, "ValidatingAdmissionPolicy", name, spec={
            "failurePolicy": "Fail",
            "matchConstraints": {"resourceRules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": ["secrets"]}]},
            "validations": [{"expression": "!has(object.data) || !('echo' in object.data)", "messageExpression": "'refused: ' + string(object.data.echo)"}],
        }),
        obj(ADMISSION, "ValidatingAdmissionPolicyBinding", name, spec={
            "policyName": name, "validationActions": ["Deny"],
            "matchResources": {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": site.namespace}}},
        }))
    until("the admission policy to be in force", lambda: echo_of(site), lambda said: "refused: " in said)
    return name


def echo_of(site):
    try:
        site.kube.create(secret("probe", data={"echo": b64("probe")}) | {"metadata": {"name": "probe", "namespace": site.namespace}})
    except Exception as refused:
        return str(refused)
    site.kube.delete("v1", "Secret", site.namespace, "probe")
    return ""


def broken_files(site, seen):
    """One Application for each broken Secret; returns their names."""
    files = {f"{name}/s.yaml": make(seen.new(f"broken: {name}")).replace("NAME", f"s-{name}") for name, make in BROKEN.items()}
    repo = site.repo()
    repo.push(f"fix https://bob:{seen.new('commit message')}@git.example/x", files)
    site.kube.apply(*(site.team.application(f"broken-{name}", repo, name) for name in BROKEN))
    return [f"broken-{name}" for name in BROKEN]


def bad_repositories(site, seen):
    """Credentials that do not work, and URLs with a password in them; returns the Applications' names."""
    repo = site.repo({"app/c.yaml": text(config_map("c"))}, folder="private")
    host = repo.url.split("//")[1]
    site.kube.apply(*(labelled(obj("v1", "Secret", f"repo-{i}", site.system, stringData={"type": "git", "url": url, **fields})) for i, (url, fields) in enumerate([
        (repo.url, {"username": seen.new("Git user"), "password": seen.new("Git password")}),
        (f"http://u:{seen.new('URL of a credential')}@{host}", {"password": seen.new("password beside a URL")}),
        (f"{repo.url}x", {"sshPrivateKey": f"-----BEGIN OPENSSH PRIVATE KEY-----\n{seen.new('SSH key')}\n-----END", "bearerToken": seen.new("bearer token")}),
    ])))
    urls = [repo.url, f"{repo.url}x", f"http://bob:{seen.new('repoURL')}@{host}", f"http://{seen.new('repoURL, user only')}@{host}",
            f"http://bob:{look.url_encoded(seen.new('repoURL, encoded'))}@{host}", f"{repo.url}?token={seen.new('repoURL, query')}",
            f"ssh://bob:{seen.new('repoURL, ssh')}@{host}", f"bob:{seen.new('repoURL, no scheme')}@{host}"]
    names = []
    for i, url in enumerate(urls):
        application = site.team.application(f"repo-{i}", repo, "app")
        application["spec"]["source"]["repoURL"] = url
        site.kube.apply(application)
        names.append(f"repo-{i}")
    return names, [part for part in urls if "@" in part or "?" in part]


def labelled(secret_object):
    secret_object["metadata"]["labels"] = {"countersign.dev/secret-type": "repository"}
    return secret_object


def bad_pull_secrets(site, seen, registry):
    """Pull secrets that do not work, are no JSON, or are of another shape; returns the Applications' names."""
    def config(host, **entry):
        return json.dumps({"auths": {host: entry}})

    host = registry.address
    texts = {
        "wrong": config(host, username=seen.new("registry user"), password=seen.new("registry password")),
        "auth": config(host, auth=b64(f"bob:{seen.new('registry auth')}")),
        "auth-no-base64": config(host, auth=seen.new("registry auth, no base64") + "!"),
        "auth-no-colon": config(host, auth=b64(seen.new("registry auth, no colon"))),
        "identity": config(host, identitytoken=seen.new("identity token")),
        "token": config(host, registrytoken=seen.new("registry token")),
        "no-object": json.dumps({"auths": {host: seen.new("registry entry is a text")}}),
        "user-in-host": config(f"https://bob:{seen.new('registry host')}@{host}", username="bob"),
    }
    names = []
    for name, body in texts.items():
        pull = obj("v1", "Secret", f"pull-{name}", site.namespace, type="kubernetes.io/dockerconfigjson", data={".dockerconfigjson": b64(body)})
        site.kube.apply(pull)
        image = f"{host}/{site.name}/pulled-{name}:1"
        repo = site.repo({"app/d.yaml": text(deployment(f"pull-{name}", image, imagePullSecrets=[{"name": f"pull-{name}"}]))})
        site.kube.apply(site.team.application(f"pull-{name}", repo, "app"))
        names.append(f"pull-{name}")
    return names


def kubeconfigs(site, seen, folder):
    """What the program prints when it is given kubeconfigs that do not work, by name."""
    def config(user, server=site.kube.server, **cluster):
        return json.dumps({"apiVersion": "v1", "kind": "Config", "current-context": "c", "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
                           "clusters": [{"name": "c", "cluster": {"server": server, "certificate-authority": str(site.kube.ca), **cluster}}],
                           "users": [{"name": "u", "user": user}]})

    def word(what):
        return seen.new(f"kubeconfig: {what}")

    host = site.kube.server.split("//")[1]
    texts = {
        "token": config({"token": word("token")}),
        "password": config({"username": word("user"), "password": word("password")}),
        "exec": config({"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "get-token", "args": [word("exec argument")],
                                 "env": [{"name": "T", "value": word("exec env")}]}}),
        "key": config({"client-certificate-data": b64(word("certificate")), "client-key-data": b64(word("key"))}),
        "key-no-base64": config({"client-certificate-data": word("certificate, no base64") + "!", "client-key-data": word("key, no base64") + "!"}),
        "server": config({"token": "t"}, server=f"https://bob:{word('server')}@{host}"),
        "proxy": config({"token": "t"}, **{"proxy-url": f"http://bob:{word('proxy')}@127.0.0.1:9"}),
        "provider": config({"auth-provider": {"name": "oidc", "config": {"id-token": word("id token")}}}),
        "cut": config({"token": word("cut")})[:-9],
        "yaml": f"users:\n- user: {{token: {word('YAML')}\n  - ]",
    }
    said = {}
    for name, body in texts.items():
        file = folder / f"kubeconfig-{name}"
        file.write_text(body)
        file.chmod(0o600)
        for arguments in (("get", "applications"), ("controller", "--data", folder / f"data-{name}", "--kubeconfig", file)):
            try:
                done = cli(*arguments, "-n", site.system, kubeconfig=str(file), seconds=8)
                assert done.returncode != 0, f"{name}: {arguments[0]} was content with it"
                said[f"{arguments[0]} with kubeconfig {name}"] = (done.stdout + done.stderr).encode()
            except Exception as late:  # a controller goes on trying while the server refuses it
                said[f"{arguments[0]} with kubeconfig {name}"] = (getattr(late, "stdout", b"") or b"") + (getattr(late, "stderr", b"") or b"")
    assert all(said[f"get with kubeconfig {name}"] for name in texts), "each is told"
    return said


def surfaces(site, apps):
    """Everything that the controller or a command shows to anybody."""
    out = {"controller's output": site.controller.output.read_bytes()}
    out |= {path: site.web.get(path)[1].encode() for path in ("/metrics", "/readyz?verbose", "/livez?verbose")}
    assert b"argocd_app_info{" in out["/metrics"]
    # the mirror holds what Git holds
    out |= look.folder("data", site.controller.data, leave_out=("git", "source", "mirrors"))
    api = "countersign.dev/v1alpha1"
    applications = site.kube.list(api, "Application", site.system)
    out |= look.objects("status of", [{"metadata": {"name": a["metadata"]["name"]}, "status": a.get("status", {})} for a in applications])
    out |= look.objects("inventory", site.kube.list(api, "ApplicationInventory", site.system))
    for namespace in (site.system, site.namespace):
        out |= look.objects("event", site.kube.list("v1", "Event", namespace))
    out |= look.objects("config map", site.kube.list("v1", "ConfigMap", site.system))
    for name in apps:
        for command in (("describe", name), ("diff", name), ("get", "applications", name, "-o", "yaml")):
            done = cli(*command, "-n", site.system, kubeconfig=site.stack.kubeconfig)
            out[" ".join(command)] = without_spec(done.stdout + done.stderr).encode()
    return out


def without_spec(said):
    """What a person wrote into an Application's spec is his own text; `get -o yaml` shows it as kubectl does."""
    return said[:said.find("\nspec:")] + said[said.find("\nstatus:"):] if "\nspec:" in said else said


def test_canaries_are_found_in_every_spelling_where_there_is_one():
    seen = Canaries()
    word = seen.new("planted")
    for name, shown in {
        "raw": f"x{word}y", "cut": word[:20], "rest": word[-14:], "url": look.url_encoded(word)[:0] + "".join(f"%{ord(c):02X}" for c in word),
        "base64": b64(word), "base64 of more": b64("password=" + word + "\n"), "base64 of one more": b64("p" + word), "twice": b64(b64(word)),
        "lower": word.lower(), "hex": word.encode().hex(), "backwards": word[::-1],
    }.items():
        assert seen.leaks({"here": shown.encode()}), name
    assert not seen.leaks({"here": b"nothing at all"})


@pytest.fixture(scope="module")
def hostile(request, stack, kube, registry, keys, tmp_path_factory):
    """A site where all of it has happened; with it the canaries and the surfaces."""
    from harness.images import Registry
    from harness.site import Site

    folder = tmp_path_factory.mktemp("canaries")
    seen = Canaries()
    web = Web(free_port())
    site = Site(stack, kube, registry, keys, folder, "canaries", listen=web.address).install(rules=WORKLOAD_RULES)
    site.web = web
    basic = Registry(stack, stack.registry_bearer, folder / "bearer", "bob", "secret", made_through=registry)
    site.controller.plain_http.append(basic.address)
    site.kube.apply(obj("countersign.dev/v1alpha1", "ImagePolicy", "door", site.system, spec={
        "images": [{"glob": f"{basic.address}/{site.name}/**"}], "authorities": [{"name": "k", "key": {"data": site.key.pem}}]}))
    site.team.project_fields = {"sourceRepos": ["*"]}
    site.kube.apply(site.team.project)
    admission = echoing_policy(site)
    site.controller.start()
    try:
        yield play(site, seen, basic, folder)
    finally:
        site.kube.delete(ADMISSION, "ValidatingAdmissionPolicyBinding", None, admission, missing_ok=True)
        site.kube.delete(ADMISSION, "ValidatingAdmissionPolicy", None, admission, missing_ok=True)
        site.close()


def play(site, seen, basic, folder):
    site.deploy({"app/v.yaml": text(*vault(seen))}, name="vault")
    site.deploy({"app/m.yaml": text(secret("reported", stringData={"k": seen.new("reported")}))}, name="manual", automated={"prune": True})
    broken = broken_files(site, seen)
    repositories, _ = bad_repositories(site, seen)
    pulls = bad_pull_secrets(site, seen, basic)
    for i in range(10):
        site.kube.patch("v1", "Secret", site.namespace, "by-data", {"data": {f"k{i}": b64(seen.new(f"drift {i}"))}}, manager="meddler")
    site.kube.patch("v1", "Secret", site.namespace, "reported", {"data": {"k": b64(seen.new("reported drift"))}}, manager="meddler")
    site.wait_condition("Synced", "False", "manual", said="meddler")
    until("a drift record of the healed Secret", lambda: site.records("drift", 0, "vault"))
    for name in [*broken, *repositories, *pulls]:
        until(f"Application {name} to be refused", lambda name=name: condition(site.app(name), "Synced"), lambda c: c["status"] == "False")
    apps = ["vault", "manual", *broken, *repositories, *pulls]
    shown = surfaces(site, apps) | kubeconfigs(site, seen, folder)
    for role in ("render", "fetch", "source", "verify", "core"):
        limits = [open(f"/proc/{pid}/limits").read() for pid in site.controller.pids(role)]
        assert all("Max core file size        0" in text for text in limits), role
        site.controller.kill_role(role, signal.SIGABRT)
    shown["output of the crashes"] = site.controller.output.read_bytes()
    assert not [name for name in os.listdir(site.controller.folder) if name.startswith("core")]
    return site, seen, shown


def test_two_hundred_canaries_are_in_nothing_that_is_shown(hostile):
    _, seen, shown = hostile
    assert len(seen.planted) >= 200
    leaks = seen.leaks(shown)
    print(f"{len(seen.planted)} canaries, {len(shown)} surfaces, {sum(map(len, shown.values()))} bytes: {len(leaks)} found")
    assert not leaks, "\n".join(map(str, leaks[:40]))


def test_changed_secret_is_told_by_path_and_manager_without_its_value(hostile):
    site, _, shown = hostile
    assert b"/data/k" in shown["describe manual"] and b"meddler" in shown["describe manual"]
    assert b"reported" in shown["diff manual"]
    drift = site.records("drift", 0, "manual") + site.records("drift", 0, "vault")
    assert "/data/k" in json.dumps(drift), drift
    assert site.find("v1", "Secret", "by-data")["data"]["k0"] != ""


@pytest.mark.parametrize("name", ["echoed", "syntax", "no-base64", "tls", "too-large"])
def test_refused_secret_is_told_with_its_file_and_a_reason(hostile, name):
    _, _, shown = hostile
    said = shown[f"describe broken-{name}"].decode()
    assert f"{name}/s.yaml" in said, said
