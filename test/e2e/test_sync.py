"""When and how a revision is applied: by hand or by itself, in waves, once, and without surprises."""

import shlex
import time

import pytest

from harness.controller import cli
from harness.kube import conditions
from harness.manifests import config_map, deployment, text, wave
from harness.tenant import APP_RULES, CRD_RULES, WORKLOAD_RULES, obj, reads
from harness.wait import stays, until

ONE = {"app/config.yaml": text(config_map("config", key="one"))}


def key(site, name="config"):
    found = site.find("v1", "ConfigMap", name)
    return found and found["data"]["key"]


def refresh(site, how, annotation="countersign.dev/refresh"):
    site.kube.patch_application(site.system, "app", {"metadata": {"annotations": {annotation: how}}})


def refreshed(site, annotation="countersign.dev/refresh"):
    until("the refresh to be taken up", lambda: site.app("app")["metadata"].get("annotations", {}), lambda a: annotation not in a)


def operate(site, **sync):
    """Starts a sync by hand, as kubectl users and tools do: the top-level field operation."""
    site.kube.patch_application(site.system, "app", {"operation": {"initiatedBy": {"username": "dana"}, "sync": sync}})


def operated(site, phase="Succeeded"):
    return until(f"the operation to end in {phase}", lambda: site.app("app"),
                 lambda a: "operation" not in a and a["status"].get("operationState", {}).get("phase") == phase)


def test_manual_application_waits_for_an_operation(site):
    site.deploy(ONE, automated=None, wait=False)
    until("OutOfSync", lambda: site.app("app")["status"]["sync"], lambda s: s["status"] == "OutOfSync")
    stays("nothing is applied", lambda: site.find("v1", "ConfigMap", "config"), lambda found: found is None, seconds=1.5)
    since = site.log.next_seq()
    operate(site)
    state = operated(site)["status"]["operationState"]
    assert key(site) == "one" and state["operation"]["initiatedBy"]["username"] == "dana"
    intents = site.records("sync.intent", since, "app")
    assert intents[0]["actor"]["type"] == "user" and intents[0]["actor"]["user"] == "dana", intents[0]["actor"]


def test_objects_that_differ_are_counted_though_not_all_are_shown(site):
    site.deploy({"app/many.yaml": text(*[config_map(f"m{n}") for n in range(120)])}, automated=None, wait=False)
    site.wait_condition("Synced", "False", "app", said="120 objects differ")
    assert len(site.app("app")["status"]["resources"]) == 100


@pytest.mark.parametrize("end", ["kill", "stop"])
def test_operation_goes_on_after_the_controller_ended_in_the_middle_of_it(site, end):
    claim = obj("v1", "PersistentVolumeClaim", "data", spec={"accessModes": ["ReadWriteOnce"], "storageClassName": "none", "resources": {"requests": {"storage": "1Gi"}}})
    site.deploy({"app/a.yaml": text(wave(claim, 0), wave(config_map("after", key="x"), 1))}, automated=None, wait=False)
    site.wait_condition("Synced", "False", "app")
    operate(site)
    until("the first wave", lambda: site.find("v1", "PersistentVolumeClaim", "data"))
    running = until("it to be told as running", lambda: site.app("app"), lambda a: a["status"].get("operationState", {}).get("phase") == "Running")
    assert running["status"]["operationState"]["operation"] == running["operation"]
    getattr(site.controller, end)()
    site.kube.patch("v1", "PersistentVolumeClaim", site.namespace, "data", {"status": {"phase": "Bound"}}, subresource="status")
    assert key(site, "after") is None
    site.controller.start()
    state = operated(site)["status"]["operationState"]
    assert key(site, "after") == "x" and state["operation"]["initiatedBy"]["username"] == "dana", state
    site.requests.mark()
    site.nothing_sent(site.requests)


def test_operation_on_an_application_that_is_wrong_is_told_and_taken_out(site):
    site.deploy(ONE, automated=None, wait=False, options=["NoSuch=option"])
    site.wait_condition("Synced", "False", "app", said="NoSuch")
    operate(site)
    assert "NoSuch" in operated(site, "Error")["status"]["operationState"]["message"]
    site.kube.patch_application(site.system, "app", {"spec": {"syncPolicy": None}})
    site.wait_condition("Synced", "False", "app", reason="OutOfSync")
    operate(site)
    operated(site)
    assert key(site) == "one"


def test_operation_goes_on_after_drift_that_it_met(site):
    """Nothing is done by itself here, the later waves neither."""
    repo = site.deploy({"app/b.yaml": text(config_map("beside", key="x"))}, automated=None, wait=False)
    site.wait_condition("Synced", "False", "app")
    operate(site)
    operated(site)
    claim = obj("v1", "PersistentVolumeClaim", "data", spec={"accessModes": ["ReadWriteOnce"], "storageClassName": "none", "resources": {"requests": {"storage": "1Gi"}}})
    site.compared_at(repo.push("more", {"app/a.yaml": text(wave(claim, 0), wave(config_map("after", key="x"), 1))}), "app")
    operate(site)
    until("the first wave", lambda: site.find("v1", "PersistentVolumeClaim", "data"))
    site.kube.patch("v1", "ConfigMap", site.namespace, "beside", {"data": {"key": "drifted"}})
    until("the drift to be mended", lambda: key(site, "beside"), lambda k: k == "x")
    site.kube.patch("v1", "PersistentVolumeClaim", site.namespace, "data", {"status": {"phase": "Bound"}}, subresource="status")
    operated(site)
    assert key(site, "after") == "x"


def test_operation_that_replaces_one_under_way_is_carried_out_behind_it(site):
    claim = obj("v1", "PersistentVolumeClaim", "data", spec={"accessModes": ["ReadWriteOnce"], "storageClassName": "none", "resources": {"requests": {"storage": "1Gi"}}})
    site.deploy({"app/a.yaml": text(wave(claim, 0), wave(config_map("after", key="x"), 1))}, automated=None, wait=False)
    site.wait_condition("Synced", "False", "app")
    operate(site)
    until("the first wave", lambda: site.find("v1", "PersistentVolumeClaim", "data"))
    site.kube.patch_application(site.system, "app", {"operation": {"initiatedBy": {"username": "erin"}}})
    site.kube.patch("v1", "PersistentVolumeClaim", site.namespace, "data", {"status": {"phase": "Bound"}}, subresource="status")
    until("both to be told", lambda: site.app("app"), lambda a: "operation" not in a and a["status"]["operationState"]["operation"]["initiatedBy"]["username"] == "erin"
          and a["status"]["operationState"]["phase"] == "Succeeded", seconds=20)
    users = [r["actor"].get("user") for r in site.records("sync.intent", 0, "app")]
    assert users == ["dana"] and key(site, "after") == "x"


def test_operation_that_finds_nothing_to_do_writes_nothing(site):
    site.deploy(ONE)
    site.requests.mark()
    operate(site)
    operated(site)
    site.nothing_sent(site.requests, seconds=1)


@pytest.mark.parametrize("how", ["apply", "hook"])
def test_operation_that_asks_for_force_is_refused_and_not_ignored(shared_site, how):
    site, name = shared_site, f"forced-{how}"
    repo = site.repo({"app/c.yaml": text(config_map(name))})
    site.kube.apply(site.team.application(name, repo, "app", automated=None))
    site.wait_condition("Synced", "False", name)
    site.kube.patch_application(site.system, name, {"operation": {"sync": {"syncStrategy": {how: {"force": True}}}}})
    state = until("the operation to end", lambda: site.app(name)["status"].get("operationState") or {}, lambda s: s.get("phase"))
    assert state["phase"] == "Error" and "syncStrategy" in state["message"], state
    assert site.find("v1", "ConfigMap", name) is None


@pytest.mark.parametrize("brings, said", [
    ({"sync": {}, "retry": {"limit": 2}}, "operation.retry"), ({"sync": {"revisions": ["main", "main"]}}, "operation.sync.revisions"),
], ids=["retry", "revisions"])
def test_part_of_an_operation_that_is_not_built_is_refused_and_not_ignored(shared_site, brings, said):
    site, name = shared_site, f"brings-{said.rpartition('.')[2]}"
    site.kube.apply(site.team.application(name, site.repo({"app/c.yaml": text(config_map(name))}), "app", automated=None))
    site.wait_condition("Synced", "False", name)
    site.kube.patch_application(site.system, name, {"operation": brings})
    state = until("the operation to end", lambda: site.app(name)["status"].get("operationState") or {}, lambda s: s.get("phase"))
    assert state["phase"] == "Error" and said in state["message"], state
    assert site.find("v1", "ConfigMap", name) is None
    # Argo CD's own tools write it empty
    site.kube.patch_application(site.system, name, {"operation": {"sync": {}, "retry": {}}})
    until("the object", lambda: site.find("v1", "ConfigMap", name))


def test_operation_with_an_empty_revision_syncs_the_application_s_own(site):
    """Not what HEAD is, as an empty targetRevision would be."""
    repo = site.repo(ONE)
    stable = repo.git("rev-parse", "HEAD")
    repo.git("push", "-q", str(repo.bare), "HEAD:refs/heads/stable")
    repo.push("later", {"app/config.yaml": text(config_map("config", key="two"))})
    application = site.team.application("app", repo, "app", automated=None)
    application["spec"]["source"]["targetRevision"] = "stable"
    site.kube.apply(application)
    site.wait_condition("Synced", "False", "app")
    operate(site, revision="")
    assert operated(site)["status"]["operationState"]["syncResult"]["revision"] == stable
    assert key(site) == "one"


def test_dry_run_operation_sends_no_real_write(site):
    site.deploy(ONE, automated=None, wait=False)
    until("OutOfSync", lambda: site.app("app")["status"]["sync"], lambda s: s["status"] == "OutOfSync")
    operate(site, dryRun=True)
    until("the operation to end", lambda: site.app("app"), lambda a: "operation" not in a and "operationState" in a["status"])
    assert site.find("v1", "ConfigMap", "config") is None


@pytest.mark.parametrize("automated", [None, {"enabled": False, "prune": True}], ids=["by hand", "switched off"])
def test_operation_without_prune_leaves_what_git_dropped(site, automated):
    files = {**ONE, "app/more.yaml": text(config_map("more", key="x"), config_map("third", key="x"))}
    repo = site.deploy(files, automated=automated, wait=False)
    operate(site, prune=True)
    operated(site)
    commit = repo.push("less", {"app/config.yaml": None})
    site.compared_at(commit, "app")
    operate(site)
    until("the operation to end", lambda: site.app("app")["status"]["operationState"]["operation"]["sync"], lambda asked: not asked)
    assert key(site) == "one"
    operate(site, prune=True)
    until("the object to be pruned", lambda: key(site), lambda found: found is None)


@pytest.mark.parametrize("annotation", ["countersign.dev/refresh", "argocd.argoproj.io/refresh"])
def test_refresh_is_taken_up_at_once_and_its_annotation_removed(new_site, annotation):
    site = new_site(poll="60s").install()
    site.controller.start()
    repo = site.deploy(ONE)
    repo.push("two", {"app/config.yaml": text(config_map("config", key="two"))})
    refresh(site, "normal", annotation)
    until("the new commit long before the next poll", lambda: key(site), lambda k: k == "two", seconds=5)
    refreshed(site, annotation)


def test_hard_refresh_resolves_tags_anew_and_a_normal_one_does_not(site):
    image = site.image("web")
    site.deploy({"app/web.yaml": text(deployment("web", image.ref))})
    newer = site.image("web", "2")
    newer.retag("1")
    refresh(site, "normal")
    refreshed(site)
    stays("the pinned image", lambda: site.running()[0], lambda i: i.endswith(image.digest), seconds=1.5)
    refresh(site, "hard")
    site.wait_running(newer)
    site.settled("app")


def test_denied_hard_refresh_keeps_the_old_pins_also_after_a_restart(site):
    image = site.image("web")
    site.deploy({"app/web.yaml": text(deployment("web", image.ref))})
    evil = site.image("web", "evil", signed=False)
    evil.retag("1")
    refresh(site, "hard")
    site.wait_condition("Verified", "False", "app", said=evil.digest)
    site.controller.restart()
    site.kube.patch("apps/v1", "Deployment", site.namespace, "web", {"spec": {"replicas": 3}})
    until("self-heal to go on with what runs", lambda: site.kube.get("apps/v1", "Deployment", site.namespace, "web")["spec"]["replicas"],
          lambda n: n == 1)
    assert site.running()[0].endswith(image.digest)


WITHOUT_JOBS = [rule for rule in WORKLOAD_RULES if rule["apiGroups"] != ["batch"]]
KEEP_TRYING = {"automated": {"prune": True, "selfHeal": True}, "retry": {"limit": -1, "backoff": {"duration": "1s", "maxDuration": "1s"}}}


def both(image):
    job = {"metadata": {"labels": {"a": "b"}}, "spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": image.ref}]}}
    cron = obj("batch/v1", "CronJob", "cron", spec={"schedule": "0 0 1 1 *", "jobTemplate": {"spec": {"template": job}}})
    return {"app/web.yaml": text(deployment("web", image.ref), cron)}


def allow_after_another_attempt(site):
    attempts = len(site.governed())
    until("another attempt", lambda: len(site.governed()), lambda n: n > attempts, seconds=20)
    site.team.rules = WORKLOAD_RULES
    site.kube.apply(*site.team.rights())
    site.settled("app", seconds=30)


def runs_everywhere(site, image):
    cron = site.find("batch/v1", "CronJob", "cron")["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]["image"]
    return site.running()[0].endswith(image.digest) and cron.endswith(image.digest)


def test_tag_that_moves_while_a_part_of_the_revision_is_refused_stands_for_one_image_in_all_of_it(new_site):
    site = new_site()
    site.install(rules=WITHOUT_JOBS)
    site.controller.start()
    image = site.image("web")
    site.deploy(both(image), wait=False, syncPolicy=KEEP_TRYING)
    site.wait_condition("Synced", "False", "app", said="cronjobs")
    site.wait_running(image)
    site.image("web", "2").retag("1")
    allow_after_another_attempt(site)
    assert runs_everywhere(site, image)


def test_hard_refresh_of_which_a_part_is_refused_goes_on_with_what_its_tags_stand_for_now(new_site):
    site = new_site().install()
    site.controller.start()
    image = site.image("web")
    site.deploy(both(image), syncPolicy=KEEP_TRYING)
    site.team.rules = WITHOUT_JOBS
    site.kube.apply(*site.team.rights())
    newer = site.image("web", "2")
    newer.retag("1")
    refresh(site, "hard")
    site.wait_running(newer)
    site.wait_condition("Synced", "False", "app", said="cronjobs")
    allow_after_another_attempt(site)
    assert runs_everywhere(site, newer)


def test_create_namespace_needs_no_whitelist_entry_and_is_recorded(new_site):
    site = new_site().install()
    target = f"new-{site.name}"
    site.team.namespaces.append(target)
    site.team.project_fields = {"clusterResourceWhitelist": []}
    site.kube.apply(site.team.project)
    site.controller.start()
    try:
        site.deploy(ONE, namespace=target, options=["CreateNamespace=true"])
        assert site.find("v1", "ConfigMap", "config", target)
        created = [o for r in site.records("sync.intent", 0, "app") for o in r["objects"] if o["name"] == target]
        assert len(created) == 1, created
        governed = site.requests.writes(resource="namespaces", name=target, as_user=":red-applier")
        assert governed and governed[0]["responseStatus"]["code"] == 201
    finally:
        site.kube.delete("v1", "Namespace", None, target, missing_ok=True)


@pytest.mark.parametrize("how", ["option", "declared"])
def test_secret_of_a_namespace_that_came_with_the_sync_is_kept_as_git_says(new_site, how):
    site = new_site().install()
    target = f"new-{site.name}"
    site.team.namespaces.append(target)
    site.kube.apply(site.team.project)
    site.controller.start()
    secret = obj("v1", "Secret", "secret", data={"key": "b25l"})
    files = {"app/secret.yaml": text(secret), **({"app/namespace.yaml": text(obj("v1", "Namespace", target))} if how == "declared" else {})}
    content = lambda: (site.find("v1", "Secret", "secret", target) or {}).get("data")
    try:
        site.deploy(files, namespace=target, options=["CreateNamespace=true"] if how == "option" else [])
        time.sleep(2)
        site.kube.patch("v1", "Secret", target, "secret", {"data": {"key": "dHdv"}})
        until("the drift to be healed", content, lambda data: data == {"key": "b25l"}, seconds=10)
        site.kube.delete("v1", "Secret", target, "secret")
        until("it to be made anew", content, lambda data: data == {"key": "b25l"}, seconds=10)
    finally:
        site.kube.delete("v1", "Namespace", None, target, missing_ok=True)


def test_missing_namespace_is_told_with_the_option_that_helps(site):
    site.team.namespaces.append("not-there")
    site.kube.apply(site.team.project)
    site.deploy(ONE, namespace="not-there", wait=False)
    seen = site.wait_condition("Synced", "False", "app", said="not-there")
    assert "CreateNamespace" in seen["message"], seen["message"]


def test_object_that_admission_refuses_is_not_told_as_one_for_want_of_a_right(site):
    site.kube.patch("v1", "Namespace", None, site.namespace, {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}})
    pod = obj("v1", "Pod", "web", spec={"containers": [{"name": "main", "image": site.image("web").ref}]})
    site.deploy({"app/pod.yaml": text(pod)}, wait=False)
    seen = site.wait_condition("Synced", "False", "app", reason="AdmissionDenied", said="PodSecurity")
    assert "the rule to add" not in seen["message"], seen["message"]


def test_later_wave_waits_for_the_health_of_the_earlier(site, stack):
    image = site.image("web")
    slow = deployment("web", image.ref)
    with stack.outage("kwok"):
        site.deploy({"app/a.yaml": text(wave(slow, 0), wave(config_map("after", key="x"), 1))}, wait=False)
        until("the first wave", lambda: site.find("apps/v1", "Deployment", "web"))
        stays("the second wave waits", lambda: key(site, "after"), lambda k: k is None, seconds=2)
        assert site.app("app")["status"]["sync"]["status"] == "OutOfSync"
    until("the second wave", lambda: key(site, "after"), lambda k: k == "x", seconds=20)


def test_application_that_was_ready_is_not_while_a_wave_of_its_new_revision_is_waited_for(site, stack):
    """kubectl wait --for=condition=Ready goes by the generation that the status says it is of."""
    repo = site.deploy(ONE)
    commit = repo.commit("two waves", {"app/a.yaml": text(wave(deployment("web", site.image("web").ref), 0), wave(config_map("after", key="x"), 1))})
    repo.git("push", "-q", str(repo.bare), "HEAD:refs/heads/next")
    with stack.outage("kwok"):
        site.kube.patch_application(site.system, "app", {"spec": {"source": {"targetRevision": "next"}}})
        generation = site.app("app")["metadata"]["generation"]
        status = until("the change to be seen", lambda: site.app("app")["status"], lambda s: s["observedGeneration"] == generation)
        assert conditions({"status": status})["Ready"].startswith("Unknown"), status["conditions"]
        assert status["sync"] == {"status": "OutOfSync", "revision": commit}
    site.synced_at(commit, "app", seconds=30)


def test_drift_is_healed_while_a_wave_is_waited_for(site):
    """Also of what is in the wave that is waited for, and behind it; a rollout may take its time, or never end."""
    image, others = site.image("web"), [config_map("before", key="x"), wave(config_map("behind", key="x"), 2)]
    repo = site.deploy({"app/a.yaml": text(wave(deployment("web", image.ref), 0), *others)})
    stuck = wave(deployment("web", image.ref, nodeSelector={"no": "such-node"}), 0)
    repo.push("stuck", {"app/a.yaml": text(stuck, wave(config_map("after", key="x"), 1), *others, config_map("new", key="x"))})
    site.wait_condition("Synced", "Unknown", "app", reason="WaitingForHealth")
    for name in ("before", "behind", "new"):
        site.kube.patch("v1", "ConfigMap", site.namespace, name, {"data": {"key": "drifted"}})
        until(f"{name} to be healed", lambda name=name: key(site, name), lambda k: k == "x", seconds=5)
    assert key(site, "after") is None
    site.kube.delete("v1", "ConfigMap", site.namespace, "before")
    until("what was deleted to be back", lambda: key(site, "before"), lambda k: k == "x", seconds=5)


def test_newer_commit_supersedes_a_sync_that_does_not_progress(site):
    image = site.image("web")
    stuck = deployment("web", image.ref, nodeSelector={"no": "such-node"})
    repo = site.deploy({"app/a.yaml": text(wave(stuck, 0), wave(config_map("after", key="x"), 1))}, wait=False)
    until("the first wave", lambda: site.find("apps/v1", "Deployment", "web"))
    commit = repo.push("mended", {"app/a.yaml": text(wave(deployment("web", image.ref), 0), wave(config_map("after", key="y"), 1))})
    site.synced_at(commit, "app", seconds=30)
    assert key(site, "after") == "y"


def test_failed_sync_is_retried_with_backoff_and_then_rests(site):
    broken = obj("v1", "Service", "web", spec={"ports": [{"port": 70000}]})
    site.deploy({"app/a.yaml": text(broken)}, wait=False)
    site.wait_condition("Synced", "False", "app", said="70000")
    site.requests.mark()
    time.sleep(3)
    tried = [e for e in site.requests.governed() if e["objectRef"]["name"] == "web"]
    assert len(tried) <= 2, f"expected a backoff, saw {len(tried)} attempts in 3 s"


def test_newer_revision_has_retries_of_its_own(site):
    """A webhook or a quota that refuses the mended revision once must not leave it untried for ever."""
    retry = {"limit": 1, "backoff": {"duration": "200ms", "factor": 1}}
    repo = site.repo({"app/a.yaml": text(obj("v1", "Service", "web", spec={"ports": [{"port": 70000}]}))})
    app = site.team.application("app", repo, "app")
    app["spec"]["syncPolicy"]["retry"] = retry
    site.kube.apply(obj("v1", "ResourceQuota", "none", site.namespace, spec={"hard": {"services": "0"}}), app)
    site.wait_condition("Synced", "False", "app", said="it was tried 2 times and is not tried again before something changes")
    site.requests.mark()
    commit = repo.push("mended", {"app/a.yaml": text(obj("v1", "Service", "web", spec={"ports": [{"port": 80}]}))})
    site.compared_at(commit, "app")
    until("it to be tried again", lambda: [e for e in site.requests.governed() if e["responseStatus"]["code"] == 403], lambda seen: len(seen) >= 2)


def test_object_that_was_refused_is_not_said_to_have_been_deleted(site):
    site.deploy({"app/a.yaml": text(obj("v1", "Service", "web", spec={"ports": [{"port": 70000}]}))}, wait=False)
    until("a second try", lambda: (site.app("app").get("status", {}).get("operationState") or {}).get("retryCount", 0), lambda n: n >= 2, seconds=25)
    assert [r["message"] for r in site.app("app")["status"]["resources"]] == ["does not exist yet"]
    assert not site.records("drift", 0, "app")


def test_crd_that_is_never_served_is_told_and_gives_way_to_a_newer_commit(new_site):
    site = new_site().install(rules=WORKLOAD_RULES + CRD_RULES, project={"clusterResourceWhitelist": [{"group": "*", "kind": "CustomResourceDefinition"}]})
    group, definitions = f"{site.name}.example", []
    for plural in ("taken", "second"):
        definitions.append(obj("apiextensions.k8s.io/v1", "CustomResourceDefinition", f"{plural}.{group}", spec={
            "group": group, "scope": "Namespaced", "names": {"plural": plural, "singular": plural, "kind": "Same"},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}]}))
    try:
        site.kube.apply(definitions[0])
        site.controller.start()
        service = obj("v1", "Service", "web", spec={"ports": [{"port": 80}]})
        repo = site.deploy({"app/a.yaml": text(definitions[1], service)}, wait=False)
        site.wait_condition("Synced", "False", "app", said=f"second.{group}", reason="Degraded")
        site.synced_at(repo.push("without it", {"app/a.yaml": text(service, config_map("more"))}), "app")
    finally:
        for definition in definitions:
            site.kube.delete("apiextensions.k8s.io/v1", "CustomResourceDefinition", None, definition["metadata"]["name"], missing_ok=True)


def test_application_deleted_without_finalizer_leaves_its_objects(site):
    site.deploy(ONE)
    site.kube.delete("countersign.dev/v1alpha1", "Application", site.system, "app")
    until("the Application to go", lambda: site.kube.find_application(site.system, "app"), lambda found: found is None)
    stays("the object stays", lambda: key(site), lambda k: k == "one", seconds=1.5)


def test_application_deleted_with_finalizer_takes_its_objects_only(site):
    app_repo = site.repo({**ONE, "app/more.yaml": text(config_map("more"))})
    app = site.team.application("app", app_repo, "app")
    app["metadata"]["finalizers"] = ["resources-finalizer.argocd.argoproj.io"]
    site.kube.apply(config_map("foreign", site.namespace, key="theirs"), app)
    site.settled("app")
    site.kube.delete("countersign.dev/v1alpha1", "Application", site.system, "app")
    until("the Application to go", lambda: site.kube.find_application(site.system, "app"), lambda found: found is None)
    assert key(site) is None and key(site, "more") is None and key(site, "foreign") == "theirs"


def test_key_removed_from_string_data_goes_from_the_cluster(site):
    secret = obj("v1", "Secret", "secret", stringData={"one": "1", "two": "2"})
    repo = site.deploy({"app/secret.yaml": text(secret)})
    secret["stringData"].pop("two")
    commit = repo.push("less", {"app/secret.yaml": text(secret)})
    site.synced_at(commit, "app")
    assert set(site.find("v1", "Secret", "secret")["data"]) == {"one"}


def test_generate_name_is_refused_by_file_and_line(site):
    site.deploy({"app/job.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  generateName: many-\n"}, wait=False)
    seen = site.wait_condition("Synced", "False", "app", said="generateName")
    assert "job.yaml:" in seen["message"], seen["message"]


@pytest.mark.parametrize("source", [
    {"helm": {"releaseName": "x"}}, {"kustomize": {"namePrefix": "x-"}}, {"plugin": {"name": "x"}}, {"chart": "nginx"},
], ids=["helm", "kustomize", "plugin", "chart"])
def test_behaviour_that_is_not_built_is_refused_and_not_ignored(shared_site, source):
    site, name = shared_site, f"with-{next(iter(source))}"
    repo = site.repo(ONE)
    app = site.team.application(name, repo, "app")
    app["spec"]["source"].update(source)
    if "chart" in source:
        del app["spec"]["source"]["path"]
    site.kube.apply(app)
    site.wait_condition("Synced", "False", name, said=next(iter(source)))
    assert site.find("v1", "ConfigMap", "config") is None


def test_kept_object_that_git_dropped_is_known_after_a_restart_and_forgotten_when_it_is_gone(site):
    kept = obj("v1", "Service", "kept", spec={"ports": [{"port": 80}]})
    kept["metadata"]["annotations"] = {"argocd.argoproj.io/sync-options": "Prune=false"}
    repo = site.deploy({**ONE, "app/kept.yaml": text(kept)})
    repo.push("less", {"app/kept.yaml": None})
    site.wait_condition("Synced", "False", "app", said="kept", reason="OutOfSync")
    site.controller.restart()
    repo.push("other", {"app/other.yaml": text(config_map("other"))})
    until("the other to be there", lambda: site.find("v1", "ConfigMap", "other"))
    time.sleep(2)
    assert site.condition("Healthy", "app")["status"] == "True", site.condition("Healthy", "app")
    site.kube.delete("v1", "Service", site.namespace, "kept")
    site.settled("app")


def test_application_that_argo_cd_would_skip_is_left_alone_and_told(site):
    repo = site.deploy(ONE)
    site.kube.patch_application(site.system, "app", {"metadata": {"annotations": {"argocd.argoproj.io/skip-reconcile": "true"}}})
    site.wait_condition("Synced", "False", "app", said="skip-reconcile", reason="NotSupported", seconds=5)
    repo.push("more", {"app/more.yaml": text(config_map("more"))})
    site.kube.delete("v1", "ConfigMap", site.namespace, "config")
    time.sleep(4)
    assert site.find("v1", "ConfigMap", "more") is None and site.find("v1", "ConfigMap", "config") is None
    site.kube.patch_application(site.system, "app", {"metadata": {"annotations": {"argocd.argoproj.io/skip-reconcile": None}}})
    until("both to be there", lambda: site.find("v1", "ConfigMap", "more") and site.find("v1", "ConfigMap", "config"), seconds=10)


def test_numbers_and_text_arrive_exactly(site):
    exact = {"big": "9007199254740993", "emoji": "naïve ✔ 𝄞", "octal": "0755", "yes": "yes", "lines": "a\nb\n"}
    annotated = config_map("config", **exact)
    image = site.image("web")
    number = deployment("web", image.ref, terminationGracePeriodSeconds=9007199254740993)
    site.deploy({"app/a.yaml": text(annotated), "app/b.yaml": text(number)})
    assert site.find("v1", "ConfigMap", "config")["data"] == exact
    assert site.find("apps/v1", "Deployment", "web")["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] == 9007199254740993


def test_directory_options_choose_files(site):
    files = {"app/a.yaml": text(config_map("a")), "app/b.json": text(config_map("b")), "app/sub/c.yaml": text(config_map("c")),
             "app/skip-d.yaml": text(config_map("d")), "app/notes.txt": "not a manifest"}
    repo = site.repo(files)
    app = site.team.application("app", repo, "app")
    app["spec"]["source"]["directory"] = {"recurse": True, "exclude": "skip-*"}
    site.kube.apply(app)
    site.settled("app")
    names = {o["metadata"]["name"] for o in site.kube.list("v1", "ConfigMap", site.namespace)} - {"kube-root-ca.crt"}
    assert names == {"a", "b", "c"}


def test_half_of_an_application_is_not_pruned_unless_allowed(site):
    files = {f"app/{n}.yaml": text(config_map(f"c{n}")) for n in range(8)}
    repo = site.deploy(files)
    repo.push("five less", {f"app/{n}.yaml": None for n in range(5)})
    seen = site.wait_condition("Synced", "False", "app", said="5")
    left = [n for n in range(8) if site.find("v1", "ConfigMap", f"c{n}")]
    assert left == list(range(8)), f"{left} are left; {seen['message']}"


def test_what_never_came_to_be_may_go_from_git_in_any_number(site):
    """Who takes back what the API server refused deletes nothing."""
    refused = {f"app/{n}.yaml": text(obj("v1", "Service", f"s{n}", spec={"ports": [{"port": 70000}]})) for n in range(5)}
    repo = site.deploy({**ONE, "app/more.yaml": text(config_map("more"), config_map("third"))})
    repo.push("five that are refused", refused)
    site.wait_condition("Synced", "False", "app", said="70000")
    commit = repo.push("without them", {path: None for path in refused})
    site.synced_at(commit, "app")


@pytest.mark.parametrize("annotation", [{"argocd.argoproj.io/sync-options": "Delete=false"}, {"helm.sh/resource-policy": "keep"}], ids=["option", "helm"])
def test_delete_false_keeps_an_object_from_the_end_of_its_application_and_not_from_git(site, annotation):
    stays, goes, pruned = (obj("v1", "ConfigMap", name, data={"key": "value"}) for name in ("stays", "goes", "pruned"))
    stays["metadata"]["annotations"] = pruned["metadata"]["annotations"] = annotation
    goes["metadata"]["annotations"] = {"argocd.argoproj.io/sync-options": "Prune=false"}
    repo = site.repo({"app/a.yaml": text(stays, goes), "app/b.yaml": text(pruned)})
    app = site.team.application("app", repo, "app")
    app["metadata"]["finalizers"] = ["resources-finalizer.argocd.argoproj.io"]
    site.kube.apply(app)
    site.settled("app")
    repo.push("less", {"app/b.yaml": None})
    until("what Git dropped to go", lambda: site.find("v1", "ConfigMap", "pruned"), lambda found: found is None)
    site.settled("app")
    site.kube.delete("countersign.dev/v1alpha1", "Application", site.system, "app")
    until("the Application to go", lambda: site.kube.find_application(site.system, "app"), lambda found: found is None)
    assert site.find("v1", "ConfigMap", "stays") and site.find("v1", "ConfigMap", "goes") is None


def patch_options(site, options, **source):
    """Says other options of the Application; returns its generation then."""
    site.kube.patch_application(site.system, "app", {"spec": {"syncPolicy": {"syncOptions": options}, "source": source}})
    return site.app("app")["metadata"]["generation"]


def delete_app(site):
    site.kube.delete("countersign.dev/v1alpha1", "Application", site.system, "app")
    until("the Application to go", lambda: site.kube.find_application(site.system, "app"), lambda found: found is None)


@pytest.mark.parametrize("option, source", [
    ("Delete=false", {}), ("Delete=false", {"helm": {"releaseName": "x"}}), ("Delete=confirm", {}),
], ids=["alone", "beside what is refused", "that nobody can confirm"])
def test_delete_false_of_an_application_that_is_in_sync_keeps_all_it_has(site, option, source):
    app = site.team.application("app", site.repo(ONE), "app")
    app["metadata"]["finalizers"] = ["resources-finalizer.argocd.argoproj.io"]
    site.kube.apply(app)
    site.settled("app")
    patch_options(site, ["Validate=true", "Nothing=known", option] if source else [option], **source)
    delete_app(site)
    stays("the object stays", lambda: key(site), lambda k: k == "one", seconds=2)


def test_delete_false_that_is_taken_back_keeps_nothing(site):
    app = site.team.application("app", site.repo(ONE), "app", options=["Delete=false"])
    app["metadata"]["finalizers"] = ["resources-finalizer.argocd.argoproj.io"]
    site.kube.apply(app)
    site.settled("app")
    generation = patch_options(site, [])
    until("the change to be seen", lambda: site.app("app")["status"]["observedGeneration"], lambda seen: seen == generation)
    site.settled("app")
    delete_app(site)
    assert key(site) is None


@pytest.mark.parametrize("waves", [False, True], ids=["alone", "before a later wave"])
def test_object_that_is_declared_again_while_it_goes_is_made_anew_when_it_is_gone(site, waves):
    held = config_map("held", key="one")
    held["metadata"]["finalizers"] = ["example.com/hold"]
    first = {**ONE, "app/held.yaml": text(held)}
    repo = site.deploy(first, automated={"prune": True})
    repo.push("less", {"app/held.yaml": None})
    old = until("it to be going", lambda: site.find("v1", "ConfigMap", "held"), lambda found: "deletionTimestamp" in found["metadata"])
    since = site.log.next_seq()
    later = {"app/later.yaml": text(wave(config_map("later", key="x"), 1))} if waves else {}
    repo.push("again", {"app/held.yaml": text(config_map("held", key="two")), "app/more.yaml": text(config_map("more", key="x")), **later})
    status, reason = ("Unknown", "WaitingForHealth") if waves else ("False", "BeingDeleted")
    site.wait_condition("Synced", status, "app", said="example.com/hold", reason=reason)
    until("the rest of the revision", lambda: key(site, "more"), lambda k: k == "x")
    assert key(site, "later") is None
    site.kube.patch("v1", "ConfigMap", site.namespace, "held", {"metadata": {"finalizers": None}})
    until("the new one", lambda: key(site, "held"), lambda k: k == "two", seconds=10)
    site.settled("app")
    assert key(site, "later") == ("x" if waves else None) and site.find("v1", "ConfigMap", "held")["metadata"]["uid"] != old["metadata"]["uid"]
    assert not site.records("drift", since, "app")


def hanging(name, kind="ConfigMap"):
    held = {**config_map(name, key="x"), "kind": kind}
    if kind == "Secret":
        held["stringData"] = held.pop("data")
    held["metadata"]["finalizers"] = ["example.com/hold"]
    return held


def test_deletion_that_hangs_on_a_finalizer_is_told_with_the_way_out(site):
    app = site.team.application("app", site.repo({**ONE, "app/held.yaml": text(hanging("held"))}), "app")
    app["metadata"]["finalizers"] = ["resources-finalizer.countersign.dev"]
    site.kube.apply(app)
    site.settled("app")
    site.kube.delete("countersign.dev/v1alpha1", "Application", site.system, "app")
    told = site.wait_condition("Synced", "False", "app", reason="BeingDeleted", said="example.com/hold", seconds=20)["message"]
    assert "ConfigMap" in told and "/held" in told and site.app("app")["metadata"]["deletionTimestamp"] in told, told
    assert site.condition("Ready", "app")["status"] == "False"
    time.sleep(8)
    events = [e for e in site.kube.list("events.k8s.io/v1", "Event", site.system) if e["reason"] == "BeingDeleted"]
    assert len(events) == 1 and site.controller.output.read_text().count("a deletion takes its time") == 1
    site.controller.stop()
    site.controller.start()
    stays("the Application stays", lambda: site.kube.find_application(site.system, "app"), seconds=3)
    command = told[told.index("kubectl "):].split(" ", 1)[1]
    site.kube.kubectl(*shlex.split(command))
    until("the Application to go", lambda: site.kube.find_application(site.system, "app"), lambda found: found is None)
    assert site.find("v1", "ConfigMap", "held") is None


@pytest.mark.parametrize("kind", ["ConfigMap", "Secret"])
def test_pruned_object_that_hangs_on_a_finalizer_is_told_until_it_is_gone_and_holds_nothing_up(site, kind):
    repo = site.deploy({**ONE, "app/held.yaml": text(hanging("held", kind))})
    commit = repo.push("less", {"app/held.yaml": None})
    told = lambda: site.wait_condition("Synced", "False", "app", reason="BeingDeleted", said="example.com/hold")["message"]
    assert kind in told() and "/held" in told(), told()
    assert [(r["kind"], r["name"], r["requiresPruning"]) for r in site.app("app")["status"]["resources"]] == [(kind, "held", True)]
    until("the revision to be applied", lambda: site.app("app")["status"]["appliedRevision"], lambda seen: seen == commit)
    later = repo.push("later", {"app/config.yaml": text(config_map("config", key="two"))})
    until("a later commit to be applied", lambda: site.app("app")["status"]["appliedRevision"], lambda seen: seen == later)
    same = repo.push("a comment", {"app/config.yaml": "# the same\n" + text(config_map("config", key="two"))})
    until("one that changes no object, too", lambda: site.app("app")["status"]["appliedRevision"], lambda seen: seen == same)
    site.controller.stop()
    site.controller.start()
    until("the Application to be looked at", lambda: "cluster" and told())
    site.requests.mark()
    site.nothing_sent(site.requests, seconds=4)
    told()
    deletes = [r for r in site.records("sync.intent", 0, "app") if [o for o in r["objects"] if o["op"] == "delete"]]
    assert len(deletes) == 1, deletes
    site.kube.patch("v1", kind, site.namespace, "held", {"metadata": {"finalizers": None}})
    site.settled("app")
    assert site.app("app")["status"]["resources"] == [] and site.app("app")["status"]["summary"]["objects"] == 1


@pytest.mark.parametrize("end", ["of the application", "in git"])
def test_earlier_wave_is_deleted_when_the_later_is_gone(site, end):
    """What ends a custom resource is often an operator of an earlier wave."""
    resource = wave(config_map("resource", key="x"), 1)
    resource["metadata"]["finalizers"] = ["example.com/operator"]
    repo = site.repo({**ONE, "app/a.yaml": text(config_map("operator", key="x"), resource), "app/b.yaml": text(config_map("more", key="x"))})
    app = site.team.application("app", repo, "app")
    app["metadata"]["finalizers"] = ["resources-finalizer.countersign.dev"]
    site.kube.apply(app)
    site.settled("app")
    if end == "in git":
        repo.push("less", {"app/a.yaml": None})
    else:
        site.kube.delete("countersign.dev/v1alpha1", "Application", site.system, "app")
    until("it to be going", lambda: site.find("v1", "ConfigMap", "resource"), lambda found: "deletionTimestamp" in found["metadata"])
    stays("its operator", lambda: key(site, "operator"), lambda k: k == "x", seconds=3)
    if end == "in git":
        assert "example.com/operator" in site.wait_condition("Synced", "Unknown", "app", reason="WaitingForDeletion")["message"]
        # drift does not wait for that
        site.kube.patch("v1", "ConfigMap", site.namespace, "more", {"data": {"key": "drifted"}})
        until("drift to be healed", lambda: key(site, "more"), lambda k: k == "x", seconds=10)
    site.kube.patch("v1", "ConfigMap", site.namespace, "resource", {"metadata": {"finalizers": None}})
    until("its operator to go", lambda: key(site, "operator"), lambda k: k is None, seconds=15)
    if end == "in git":
        site.settled("app")
    else:
        until("the Application to go", lambda: site.kube.find_application(site.system, "app"), lambda found: found is None)


def test_what_was_gone_before_it_was_pruned_is_not_told_as_failed(site):
    repo = site.deploy({**ONE, "app/more.yaml": text(config_map("more", key="x"))}, automated={"prune": True})
    site.kube.delete("v1", "ConfigMap", site.namespace, "more")
    site.wait_condition("Synced", "False", "app", said="deleted by somebody")
    commit = repo.push("less", {"app/more.yaml": None, "app/config.yaml": text(config_map("config", key="two"))})
    site.synced_at(commit, "app")
    resources = site.app("app")["status"]["operationState"]["syncResult"]["resources"]
    assert {r["name"]: r["status"] for r in resources} == {"config": "Synced", "more": "Pruned"}, resources


def test_object_whose_mark_somebody_took_off_is_let_go_and_not_deleted(site):
    marks = {"metadata": {"annotations": {"countersign.dev/tracking-id": None}, "labels": {"countersign.dev/app": None}}}
    app_repo = site.repo({**ONE, "app/more.yaml": text(config_map("more", key="x"), config_map("third", key="x"))})
    app = site.team.application("app", app_repo, "app", automated={"prune": True})
    app["metadata"]["finalizers"] = ["resources-finalizer.countersign.dev"]
    site.kube.apply(app)
    site.settled("app")
    site.kube.patch("v1", "ConfigMap", site.namespace, "more", marks)
    site.wait_condition("Synced", "False", "app", said="more")
    commit = app_repo.push("less", {"app/more.yaml": text(config_map("third", key="y"))})
    site.synced_at(commit, "app")
    resources = site.app("app")["status"]["operationState"]["syncResult"]["resources"]
    assert {r["name"]: r["status"] for r in resources} == {"third": "Synced", "more": "PruneSkipped"}, resources
    site.kube.patch("v1", "ConfigMap", site.namespace, "third", marks)
    site.wait_condition("Synced", "False", "app", said="third")
    delete_app(site)
    assert key(site) is None and key(site, "more") == "x" and key(site, "third") == "y"


def test_refresh_that_is_asked_for_in_git_is_no_part_of_what_is_declared(new_site):
    site = new_site().install(rules=WORKLOAD_RULES + APP_RULES)
    site.team.namespaces.append(site.system)
    site.kube.apply(site.team.project)
    site.controller.start()
    child = site.team.application("child", site.repo(ONE), "app")
    child["metadata"]["annotations"] = {"argocd.argoproj.io/refresh": "hard", "countersign.dev/refresh": "normal", "a/b": "c"}
    site.deploy({"app/child.yaml": text(child)}, namespace=site.system)
    site.settled("child")
    assert site.app("child")["metadata"]["annotations"]["a/b"] == "c"
    site.requests.mark()
    time.sleep(2)
    site.nothing_sent(site.requests)
    assert not site.records("drift", 0, "app")
    done = cli("diff", "app", "-n", site.system, kubeconfig=site.stack.kubeconfig)
    assert done.returncode == 0, done.stdout


def test_health_that_argo_cd_would_not_count_is_not_counted(site):
    balanced = obj("v1", "Service", "web", spec={"type": "LoadBalancer", "ports": [{"port": 80}]})
    repo = site.deploy({"app/a.yaml": text(balanced)}, wait=False)
    site.wait_condition("Healthy", "False", "app", said="load balancer")
    balanced["metadata"]["annotations"] = {"argocd.argoproj.io/ignore-healthcheck": "true"}
    site.synced_at(repo.push("set aside", {"app/a.yaml": text(balanced)}), "app")


def test_object_that_says_so_of_itself_does_not_count_when_git_drops_it(site):
    kept = config_map("kept", key="x")
    kept["metadata"]["annotations"] = {"argocd.argoproj.io/compare-options": "ServerSideDiff=true, IgnoreExtraneous", "argocd.argoproj.io/sync-options": "Prune=false"}
    repo = site.deploy({**ONE, "app/kept.yaml": text(kept)})
    commit = repo.push("less", {"app/kept.yaml": None, "app/config.yaml": text(config_map("config", key="two"))})
    site.synced_at(commit, "app")
    assert key(site, "kept") == "x"


def test_custom_kind_that_is_called_as_an_early_one_comes_behind_its_definition(new_site):
    site = new_site()
    group = f"{site.name}.example"
    site.install(rules=WORKLOAD_RULES + CRD_RULES + [{"apiGroups": [group], "resources": ["networkpolicies"], "verbs": ["*"]}],
                 project={"clusterResourceWhitelist": [{"group": "*", "kind": "CustomResourceDefinition"}]})
    reader = reads(site.kube, site.system, group, ["networkpolicies"])
    definition = obj("apiextensions.k8s.io/v1", "CustomResourceDefinition", f"networkpolicies.{group}", spec={
        "group": group, "scope": "Namespaced", "names": {"plural": "networkpolicies", "singular": "networkpolicy", "kind": "NetworkPolicy"},
        "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}]})
    try:
        site.controller.start()
        site.deploy({"app/a.yaml": text(definition, obj(f"{group}/v1", "NetworkPolicy", "all"))})
        assert site.kube.find(f"{group}/v1", "NetworkPolicy", site.namespace, "all")
    finally:
        site.kube.delete("apiextensions.k8s.io/v1", "CustomResourceDefinition", None, f"networkpolicies.{group}", missing_ok=True)
        site.kube.delete("rbac.authorization.k8s.io/v1", "ClusterRole", None, reader["metadata"]["name"], missing_ok=True)


def test_prune_false_on_an_object_keeps_it(site):
    kept = config_map("kept")
    kept["metadata"]["annotations"] = {"argocd.argoproj.io/sync-options": "Prune=false"}
    repo = site.deploy({**ONE, "app/kept.yaml": text(kept), "app/more.yaml": text(config_map("more"))})
    repo.push("less", {"app/kept.yaml": None})
    site.wait_condition("Synced", "False", "app", said="kept: Git no longer declares it; it stays", reason="OutOfSync")
    time.sleep(3)
    assert site.find("v1", "ConfigMap", "kept")
