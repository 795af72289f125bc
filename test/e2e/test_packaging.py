"""What manifests/ offers besides install.yaml: the real kustomize, helm and promtool make of it what it says, and it works."""

import json
import re

import pytest

from harness.controller import cli, documents
from harness.manifests import config_map, deployment, text
from harness.stack import ROOT, run
from harness.tenant import image_policy, obj
from harness.wait import until
from harness.web import promtool

IMAGE = "registry.example/countersign@sha256:" + "0" * 64


def tool(name):
    run(ROOT / "hack/stack/build", name, seconds=900)
    return run(ROOT / "hack/stack/build", "--path", name).stdout.strip()


@pytest.fixture(scope="module")
def kustomize():
    return lambda folder: run(tool("kustomize"), "build", ROOT / "manifests" / folder).stdout


@pytest.fixture(scope="module")
def helm():
    path = tool("helm")
    return lambda *arguments, check=True: run(path, *arguments, check=check)


def read(kube, yaml):
    """{(kind, name): object} of YAML text, as the real kubectl reads it."""
    # kinds of the Prometheus operator are not known here; their YAML is read all the same
    items = documents(kube.kubectl("create", "--dry-run=client", "-o", "json", "-f", "-", "--validate=false", text=yaml).stdout)
    return {(o["kind"], o["metadata"]["name"]): o for o in items}


def test_install_files_are_what_kustomize_builds(kube, kustomize):
    for file, folder in (("install.yaml", "default"), ("namespace-install.yaml", "overlays/namespaced"), ("crds.yaml", "crd")):
        assert read(kube, (ROOT / "manifests" / file).read_text()) == read(kube, kustomize(folder)), file


def test_namespace_install_has_nothing_of_the_cluster(kube):
    objects = read(kube, (ROOT / "manifests/namespace-install.yaml").read_text())
    assert {o["metadata"].get("namespace") for o in objects.values()} == {"countersign-system"}
    assert not {kind for kind, _ in objects} & {"ClusterRole", "ClusterRoleBinding", "PriorityClass", "CustomResourceDefinition", "Namespace"}


def test_chart_renders_what_the_base_says(kube, kustomize, helm):
    helm("lint", ROOT / "manifests/chart", "--strict", "--set", f"image={IMAGE}")
    rendered = read(kube, helm("template", "x", ROOT / "manifests/chart", "-n", "countersign-system", "--set", f"image={IMAGE}").stdout)
    base = read(kube, kustomize("default").replace("image: countersign:0.1.0", f"image: {IMAGE}"))
    # helm makes the namespace itself, and the kinds carry the word that keeps them
    del base["Namespace", "countersign-system"]
    for (kind, _), o in rendered.items():
        if kind == "CustomResourceDefinition":
            assert o["metadata"].pop("annotations") == {"helm.sh/resource-policy": "keep"}
    assert rendered["StatefulSet", "countersign-controller"]["spec"].pop("replicas") == 1
    assert rendered == base


def test_install_that_is_applied_anew_leaves_the_number_of_replicas_to_who_scaled_it(site):
    """As the README says: kubectl apply --server-side, and kubectl scale for a replica that stands by. Nothing runs here."""
    yaml = cli("install", "--export", "-n", site.system, check=True).stdout
    (stateful_set,) = [d for d in yaml.split("\n---\n") if "\nkind: StatefulSet\n" in d]
    kubectl = lambda *words, **more: site.kube.kubectl(*words, "-n", site.system, **more)
    replicas = lambda: site.kube.get("apps/v1", "StatefulSet", site.system, "countersign-controller")["spec"]["replicas"]
    kubectl("apply", "--server-side", "-f", "-", text=stateful_set)
    assert replicas() == 1
    kubectl("scale", "statefulset/countersign-controller", "--replicas=2")
    kubectl("apply", "--server-side", "-f", "-", text=stateful_set)
    assert replicas() == 2


def test_chart_values_do_what_they_say_and_wrong_ones_are_refused(kube, helm):
    def template(*sets, check=True, namespace="gitops"):
        return helm("template", "x", ROOT / "manifests/chart", "-n", namespace, *[w for s in sets for w in ("--set", s)], check=check)

    objects = read(kube, template(f"image={IMAGE}", "replicas=2", "storage.size=5Gi", "storage.className=fast", "extraArgs={--log-level=debug}",
                                  "networkPolicy.enabled=false", "crds.install=false", "nodeSelector.a=b", "resources.limits.memory=2Gi",
                                  "imagePullSecrets[0].name=mirror", "env[0].name=HTTPS_PROXY", "env[0].value=http://proxy.example:3128").stdout)
    assert not {kind for kind, _ in objects} & {"NetworkPolicy", "CustomResourceDefinition", "ValidatingAdmissionPolicy"}
    spec = objects["StatefulSet", "countersign-controller"]["spec"]
    claim, pod = spec["volumeClaimTemplates"][0]["spec"], spec["template"]["spec"]
    assert spec["replicas"] == 2 and claim["storageClassName"] == "fast" and claim["resources"]["requests"]["storage"] == "5Gi"
    container = pod["containers"][0]
    assert container["image"] == IMAGE and "--log-level=debug" in container["args"] and "--namespace=gitops" in container["args"]
    assert container["resources"]["limits"]["memory"] == "2Gi" and pod["nodeSelector"] == {"a": "b"}
    assert pod["imagePullSecrets"] == [{"name": "mirror"}] and container["env"] == [{"name": "HTTPS_PROXY", "value": "http://proxy.example:3128"}]
    assert {o["metadata"].get("namespace", "gitops") for o in objects.values()} == {"gitops"}
    numbered = read(kube, template(f"image={IMAGE}", namespace="123").stdout)
    assert {o["metadata"]["namespace"] for o in numbered.values() if "namespace" in o["metadata"]} == {"123"}
    for wrong, said in (((), "image"), (("image=countersign:latest",), "pattern"), ((f"image={IMAGE}", "replica=2"), "replica"),
                        ((f"image={IMAGE}", "replicas=two"), "replicas"), ((f"image={IMAGE}", "extraArgs={rm}"), "extraArgs"),
                        ((f"image={IMAGE}", "env[0].nam=x"), "nam")):
        done = template(*wrong, check=False)
        assert done.returncode != 0 and said in done.stderr, (wrong, done.stderr)


def test_chart_monitoring_is_that_of_the_overlay(helm):
    rendered = helm("template", "x", ROOT / "manifests/chart", "-n", "countersign-system", "--set", f"image={IMAGE}",
                    "--set", "monitoring.enabled=true").stdout
    for file in ("rules", "service_monitor"):
        shipped = (ROOT / f"manifests/overlays/monitoring/{file}.yaml").read_text()
        assert shipped.replace("namespace: countersign-system", 'namespace: "countersign-system"') in rendered


def metric_names():
    return set(re.findall(r'"((?:countersign|argocd)_\w+)"', (ROOT / "controller/base/metric.c").read_text()))


def known(expression):
    """Whether each metric that it names is one that we serve."""
    names = re.findall(r"\b(?:countersign|argocd)_\w+", expression)
    return names and all(re.sub(r"_(bucket|sum|count)$", "", n) in metric_names() for n in names)


def test_promtool_accepts_the_rules_and_they_name_metrics_that_there_are(tmp_path):
    yaml = (ROOT / "manifests/overlays/monitoring/rules.yaml").read_text()
    groups = yaml.split("\nspec:\n", 1)[1]
    (tmp_path / "rules.yaml").write_text("\n".join(line.removeprefix("  ") for line in groups.splitlines()) + "\n")
    code, said = promtool("check", "rules", str(tmp_path / "rules.yaml"))
    assert code == 0 and "7 rules found" in said, said
    expressions = re.findall(r"(?m)^ +expr: (.*)$", yaml)
    assert len(expressions) == 7 and all(known(e) for e in expressions)


def test_alerts_fire_when_they_should(tmp_path):
    yaml = (ROOT / "manifests/overlays/monitoring/rules.yaml").read_text().split("\nspec:\n", 1)[1]
    (tmp_path / "rules.yaml").write_text("\n".join(line.removeprefix("  ") for line in yaml.splitlines()) + "\n")
    (tmp_path / "test.yaml").write_text("""
rule_files: [rules.yaml]
evaluation_interval: 1m
tests:
- interval: 1m
  input_series:
  - {series: 'countersign_leader{pod="a"}', values: '1x10 0x20'}
  - {series: 'countersign_audit_log_writable{pod="a"}', values: '1x5 0x30'}
  - {series: 'argocd_app_info{namespace="n",name="shop",sync_status="OutOfSync"}', values: '1x40'}
  - {series: 'countersign_audit_log_sync_duration_seconds_bucket{pod="a",le="0.5"}', values: '0+60x40'}
  - {series: 'countersign_audit_log_sync_duration_seconds_bucket{pod="a",le="1"}', values: '0+60x20 1200+90x20'}
  - {series: 'countersign_audit_log_sync_duration_seconds_bucket{pod="a",le="+Inf"}', values: '0+60x20 1200+90x20'}
  alert_rule_test:
  - {eval_time: 20m, alertname: CountersignAuditLogDiskIsSlow}
  - eval_time: 39m
    alertname: CountersignAuditLogDiskIsSlow
    exp_alerts: [{exp_labels: {severity: warning}, exp_annotations: {summary: The volume of the audit log needs more than 0.5 s for an fdatasync, description: 'Each write to the cluster waits until its record is on disk. Give the audit log a faster volume, or one that nobody shares.'}}]
  - {eval_time: 4m, alertname: CountersignAuditLogCannotBeWritten}
  - eval_time: 9m
    alertname: CountersignAuditLogCannotBeWritten
    exp_alerts: [{exp_labels: {severity: critical, pod: a}, exp_annotations: {summary: 'The audit log cannot be written, so nothing is applied', description: 'Is the volume full? /readyz?verbose has the error.'}}]
  - {eval_time: 9m, alertname: CountersignNobodyLeads}
  - eval_time: 20m
    alertname: CountersignNobodyLeads
    exp_alerts: [{exp_labels: {severity: critical}, exp_annotations: {summary: No replica of Countersign leads, description: Nothing is applied and no drift is healed. countersign check says why.}}]
  - eval_time: 20m
    alertname: CountersignApplicationNotSynced
    exp_alerts: [{exp_labels: {severity: warning, namespace: n, name: shop}, exp_annotations: {summary: Application n/shop is not as Git says, description: countersign describe shop -n n}}]
""")
    code, said = promtool("test", "rules", str(tmp_path / "test.yaml"))
    assert code == 0, said


def test_dashboard_names_metrics_that_there_are():
    dashboard = json.loads((ROOT / "manifests/overlays/monitoring/countersign.json").read_text())
    expressions = [t["expr"] for p in dashboard["panels"] for t in p["targets"]]
    assert len(expressions) >= 12 and all(known(e) for e in expressions)
    assert dashboard["uid"] == "countersign" and dashboard["templating"]["list"][0]["type"] == "datasource"


# --- that it works ---------------------------------------------------------------------------------------------------------

def test_namespaced_installation_deploys_heals_and_refuses(new_site, stack, registry, tmp_path):
    """Without a single right in the cluster: a Deployment comes up, drift is healed, an unsigned image is refused, a Namespace cannot be made."""
    site = new_site()
    ns = site.system
    site.kube.apply(obj("v1", "Namespace", ns))
    site.kube.kubectl("apply", "--server-side", "-f", str(ROOT / "manifests/crds.yaml"))
    until("the kinds", site.installation._known, seconds=15)
    objects = documents(site.kube.kubectl("create", "--dry-run=client", "-o", "json", "-f", str(ROOT / "manifests/namespace-install.yaml"))
                        .stdout.replace('"countersign-system"', f'"{ns}"'))
    site.kube.apply(*[o for o in objects if o["kind"] != "StatefulSet"])
    (args,) = [o["spec"]["template"]["spec"]["containers"][0]["args"] for o in objects if o["kind"] == "StatefulSet"]
    assert "--namespaced" in args
    # the reader's Role and RoleBinding, repeated where the team deploys
    reader = [json.loads(json.dumps(o)) for o in objects if o["metadata"]["name"] == "countersign-reader"]
    for o in reader:
        o["metadata"]["namespace"] = site.namespace
    site.kube.apply(obj("v1", "Namespace", site.namespace), *reader)
    site.team = site.new_team("red", [site.namespace])
    site.kube.apply(image_policy(ns, "release", [f"{registry.address}/{site.name}/**"], [site.key]))
    plain = site.controller.command
    site.controller.command = lambda: [*plain(), "--namespaced"]
    site.controller.start()
    done = cli("check", "-n", ns, "--namespaced", kubeconfig=site.installation.kubeconfig(tmp_path / "own"))
    told = {line.split()[1]: line for line in done.stdout.splitlines()}
    assert all(told[name].startswith("ok") for name in ("rights", "kinds", "too-many", "leader")), done.stdout
    repo = site.deploy({"app/web.yaml": text(deployment("web", site.image("web").ref), config_map("c", a="1"))})
    site.kube.patch("v1", "ConfigMap", site.namespace, "c", {"data": {"a": "2"}})
    until("drift to be healed", lambda: site.kube.get("v1", "ConfigMap", site.namespace, "c")["data"]["a"] == "1", seconds=15)
    repo.push("evil", {"app/evil.yaml": text(deployment("evil", site.image("evil", signed=False).ref))})
    site.wait_condition("Verified", "False", "app", said="evil")
    repo.push("namespace", {"app/evil.yaml": text(obj("v1", "Namespace", f"{ns}-more"))})
    site.wait_condition("Synced", "False", "app", said="countersign may not read namespaces.core")


def test_deleting_the_installation_with_applications_in_it_is_refused_by_name(site):
    """The admission policies of install.yaml, for the kinds of this test alone: the real kinds are everybody's here."""
    group = f"{site.name}.example"
    yaml = (ROOT / "manifests/manager/keep.yaml").read_text()
    crd = (ROOT / "crds/application.yaml").read_text()
    moved = documents(site.kube.kubectl("create", "--dry-run=client", "-o", "json", "-f", "-", text=yaml).stdout.replace(
        "countersign.dev/v1alpha1", f"{group}/v1alpha1").replace("applications.countersign.dev", f"applications.{group}").replace(
        '"countersign-keeps', f'"{site.name}-keeps').replace('"countersign-system"', f'"{site.namespace}-home"'))
    policies = [o for o in moved if o["metadata"]["name"].endswith("-applications")]
    definition = documents(site.kube.kubectl("create", "--dry-run=client", "-o", "json", "-f", "-", text=crd).stdout.replace(
        "countersign.dev", group).replace('"csapp"', f'"x{site.name}"').replace('"countersign"', '"all"'))[0]
    name = definition["metadata"]["name"]
    home = f"{site.namespace}-home"
    site.kube.apply(definition, obj("v1", "Namespace", home))
    until("the kind to be served", lambda: site.kube.kubectl("get", f"applications.{group}", "-A", check=False).returncode == 0, seconds=15)
    try:
        site.kube.apply(*policies)
        site.kube.kubectl("apply", "-f", "-", text=json.dumps(obj(f"{group}/v1alpha1", "Application", "shop", home, spec={
            "source": {"repoURL": "https://git.example/x.git"}, "destination": {"server": "https://kubernetes.default.svc"}})))

        def delete(*what):
            return site.kube.kubectl("delete", *what, "--wait=false", "--dry-run=server", check=False)

        for what in (("crd", name), ("namespace", home)):
            done = until(f"{what} to be refused", lambda: delete(*what), lambda d: d.returncode != 0, seconds=20)
            done = until("the kind to be known to the policy", lambda: delete(*what), lambda d: "failed to find" not in d.stderr, seconds=40)
            assert f"Application {home}/shop is still there" in done.stderr and "would be orphaned" in done.stderr, done.stderr
            assert "countersign.dev/delete=really" in done.stderr
        assert delete("namespace", site.system).returncode == 0, "a namespace without Applications of this kind"
        site.kube.kubectl("annotate", "namespace", home, "countersign.dev/delete=really")
        assert delete("namespace", home).returncode == 0
        site.kube.kubectl("delete", f"applications.{group}", "shop", "-n", home)
        until("the kind to be free", lambda: delete("crd", name).returncode == 0, seconds=10)
    finally:
        for o in policies:
            site.kube.kubectl("delete", o["kind"].lower(), o["metadata"]["name"], "--ignore-not-found")
        site.kube.kubectl("delete", "crd", name, "--wait=false", "--ignore-not-found")
        site.kube.kubectl("delete", "namespace", home, "--wait=false", "--ignore-not-found")
