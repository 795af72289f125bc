"""The API server as it fails in life: another certificate, a token that ends, rights taken away, kinds that go, groups whose server is dead,
and itself gone for a while. Each is told with its cause, nothing is pruned or healed by what was not seen, and it recovers by itself."""

import json
import os
import pathlib
import ssl
import subprocess
import time

import pytest

from harness.manifests import config_map, text
from harness.site import Site
from harness.tenant import WORKLOAD_RULES, obj, reads
from harness.wait import stays, until
from rig.proxy import Proxy


@pytest.fixture
def site(stack, kube, registry, keys, tmp_path):
    made = Site(stack, kube, registry, keys, tmp_path / "site", "api-server").install()
    yield made
    made.close()


def value(site, name="c0"):
    found = site.find("v1", "ConfigMap", name)
    return found and found["data"]["key"]


def drift(site, text, name="c0"):
    site.kube.patch("v1", "ConfigMap", site.namespace, name, {"data": {"key": text}})


def healed(site, name="c0", seconds=30):
    until(f"{name} to be healed", lambda: value(site, name), lambda key: key == "value", seconds=seconds)


FILES = {f"app/c{n}.yaml": text(config_map(f"c{n}")) for n in range(4)}


def foreign_door(folder):
    """A server's context with a certificate for the same address by a CA that nobody trusts."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=other",
                    "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", folder / "other.key", "-out", folder / "other.crt"],
                   check=True, capture_output=True, timeout=60)
    door = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    door.load_cert_chain(folder / "other.crt", folder / "other.key")
    return door


def test_server_with_a_certificate_of_another_ca_gets_no_request(site, stack, tmp_path):
    with Proxy(stack) as proxy:
        site.controller.kubeconfig = proxy.kubeconfig(site.installation, tmp_path / "kubeconfig")
        site.controller.start()
        site.deploy(FILES)
        ours, proxy.server.door = proxy.server.door, foreign_door(tmp_path)
        proxy.plan = lambda request: lambda exchange: exchange.reset()  # ends the connections that stand
        until("the connections to be made anew", lambda: "CertificateError" in site.controller.output.read_text(errors="replace"), seconds=20)
        proxy.plan = None
        before = len(proxy.ledger)
        drift(site, "while another answers")
        stays("nothing is asked of the other server", lambda: [str(r) for r in proxy.ledger[before:]], lambda seen: seen == [], 3)
        assert value(site) == "while another answers"
        proxy.server.door = ours
        healed(site, seconds=60)
        site.settled("app", seconds=60)


def test_token_that_was_replaced_costs_nothing(site, stack, tmp_path):
    """It ends in the middle of a sync: what was refused with it goes once more with the new one, and no run fails."""
    tokens = [site.kube.token_of(site.system, "countersign-controller", seconds) for seconds in (7200, 7300)]
    file = tmp_path / "token"
    file.write_text(tokens[0])
    with Proxy(stack) as proxy:
        config = json.loads(pathlib.Path(proxy.kubeconfig(site.installation, tmp_path / "kubeconfig")).read_text())
        config["users"][0]["user"] = {"tokenFile": str(file)}
        site.controller.kubeconfig = tmp_path / "with-file"
        site.controller.kubeconfig.write_text(json.dumps(config))
        site.controller.start()
        repo, old, refused = site.deploy(FILES), f"Bearer {tokens[0]}", []

        def plan(request):
            if request.governed and not refused:
                file.write_text(tokens[1])
            if request.headers.get("Authorization") == old and (refused or request.governed):
                refused.append(request)
                return lambda exchange: exchange.fail(401, "Unauthorized", "Unauthorized")

        proxy.plan = plan
        site.synced_at(repo.push("two", {name: content.replace("value", "new") for name, content in FILES.items()}), "app", seconds=40)
        site.settled("app", seconds=40)
        assert 0 < len(refused) < 40 and any(r.governed for r in refused), [str(r) for r in refused]
        assert proxy.ledger[-1].headers["Authorization"] == f"Bearer {tokens[1]}"
        results = site.log.records("sync.result")
        assert [r["outcome"] for r in results] == ["ok", "ok"], results
        assert [value(site, f"c{n}") for n in range(4)] == ["new"] * 4
        counts = site.log.join(stack.audit_log)[1]
        assert (counts["unrecorded"], counts["foreign"], counts["unsent"]) == (0, 0, 0) and counts["writes"] == counts["matched"], counts


def test_rights_taken_away_are_told_without_a_storm_and_given_back_used(site, kube):
    site.controller.start()
    repo = site.deploy(FILES)
    kube.delete("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", None, f"{site.system}-{site.team.applier}")
    site.requests.mark()
    repo.push("without rights", {"app/c0.yaml": text(config_map("c0", key="new")), "app/c3.yaml": None})
    site.wait_condition("Synced", "False", "app", said="forbidden", seconds=30)
    time.sleep(5)
    assert len(site.governed()) < 30, [e["requestURI"] for e in site.governed()]
    assert (value(site), value(site, "c3")) == ("value", "value")
    kube.apply(*site.team.rights())
    until("the commit to be there", lambda: (value(site), value(site, "c3")), lambda seen: seen == ("new", None), seconds=60)
    site.settled("app", seconds=60)


def widget_crd(group):
    schema = {"type": "object", "properties": {"spec": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}}
    return obj("apiextensions.k8s.io/v1", "CustomResourceDefinition", f"widgets.{group}", spec={
        "group": group, "scope": "Namespaced", "names": {"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"},
        "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}]})


def test_kind_whose_crd_is_removed_blocks_its_application_only_and_comes_back(stack, kube, registry, keys, tmp_path):
    group = f"w{os.getpid()}.example.com"
    crd = widget_crd(group)
    rules = [*WORKLOAD_RULES, {"apiGroups": [group], "resources": ["*"], "verbs": ["*"]}]
    site = Site(stack, kube, registry, keys, tmp_path / "site", "crd-removed").install(rules=rules)
    kube.apply(crd)
    until("the kind to be served", lambda: kube.resource(f"{group}/v1", "Widget"), seconds=20)
    reads(kube, site.system, group, ["widgets"])
    widget = {"apiVersion": f"{group}/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": {"size": 1}}
    try:
        site.controller.start()
        site.deploy({**FILES, "app/w.yaml": text(widget)})
        site.deploy({"other/o.yaml": text(config_map("other"))}, name="other", path="other")
        kube.delete("apiextensions.k8s.io/v1", "CustomResourceDefinition", None, crd["metadata"]["name"])
        site.wait_condition("Synced", "False", "app", said="Widget", seconds=60)
        drift(site, "drifted", "other")
        healed(site, "other")
        assert [value(site, f"c{n}") for n in range(4)] == ["value"] * 4
        kube.apply(crd)
        until("the object to be made again", lambda: kube.find(f"{group}/v1", "Widget", site.namespace, "w"), seconds=120)
        site.settled("app", "other", seconds=60)
    finally:
        kube.delete("apiextensions.k8s.io/v1", "CustomResourceDefinition", None, crd["metadata"]["name"], missing_ok=True)
        site.close()


def test_aggregated_api_without_a_server_stops_pruning_of_its_group_only(site, kube):
    group = f"d{os.getpid()}.example.com"
    service = obj("v1", "Service", "nobody", site.system, spec={"ports": [{"port": 443}]})
    dead = obj("apiregistration.k8s.io/v1", "APIService", f"v1.{group}", spec={
        "group": group, "version": "v1", "groupPriorityMinimum": 100, "versionPriority": 100, "insecureSkipTLSVerify": True,
        "service": {"namespace": site.system, "name": "nobody", "port": 443}})
    site.controller.start()
    repo = site.deploy(FILES)
    kube.apply(service, dead)
    try:
        site.controller.restart()
        drift(site, "drifted")
        healed(site)
        site.synced_at(repo.push("less", {"app/c3.yaml": None}), "app", seconds=60)
        until("what Git dropped to be pruned", lambda: value(site, "c3"), lambda key: key is None, seconds=30)
        repo.push("of the dead group", {"app/d.yaml": text({"apiVersion": f"{group}/v1", "kind": "Dead", "metadata": {"name": "d"}})})
        until("an object of the dead group to be told", lambda: site.condition("Synced", "app")["message"], lambda said: group in said or "Dead" in said,
              seconds=60)
        assert [value(site, f"c{n}") for n in range(3)] == ["value"] * 3
    finally:
        kube.delete("apiregistration.k8s.io/v1", "APIService", None, dead["metadata"]["name"])
    repo.push("nothing of it", {"app/d.yaml": None})
    site.settled("app", seconds=90)
