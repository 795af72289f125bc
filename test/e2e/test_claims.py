"""One object has one Application: who is second is refused, what moves is neither deleted nor made anew, and circles end."""

import pytest

from harness.manifests import config_map, deployment, text
from harness.tenant import APP_RULES, WORKLOAD_RULES, obj
from harness.wait import stays, until

HPA_RULES = [{"apiGroups": ["autoscaling"], "resources": ["horizontalpodautoscalers"], "verbs": ["*"]}]
MORE = {f"a/more{n}.yaml": text(config_map(f"more{n}")) for n in range(3)}  # so that the prune guard has nothing to say


@pytest.fixture(scope="module")
def place(request, stack, kube, registry, keys, tmp_path_factory):
    """One installation for the file; its team may declare Applications too."""
    from harness.site import Site
    made = Site(stack, kube, registry, keys, tmp_path_factory.mktemp("claims"), "claims").install(rules=WORKLOAD_RULES + APP_RULES + HPA_RULES)
    made.team.namespaces.append(made.system)
    kube.apply(made.team.project)
    made.controller.start()
    yield made
    made.close()


@pytest.fixture
def name(request, place):
    """A name of the test's own, and its Applications gone after it."""
    short = f"t{abs(hash(request.node.name)) % 100000}"
    yield short
    for app in place.kube.list("countersign.dev/v1alpha1", "Application", place.system):
        if app["metadata"]["name"].startswith(short):
            place.kube.delete("countersign.dev/v1alpha1", "Application", place.system, app["metadata"]["name"], missing_ok=True)


def uid_of(place, kind, name, api="v1"):
    found = place.find(api, kind, name)
    return found and found["metadata"]["uid"]


def events_of(place, app):
    events = place.kube.list("events.k8s.io/v1", "Event", place.system)
    return [e for e in events if e.get("regarding", {}).get("name") == app]


def deletes(place, resource, name):
    return [e for e in place.requests.events() if e["verb"] == "delete" and e["objectRef"].get("name") == name
            and e["objectRef"]["resource"] == resource]


def hpa(version, name):
    """Of no health that matters: there is nothing to scale, and no metrics."""
    spec = {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}, "maxReplicas": 3}
    made = obj(f"autoscaling/{version}", "HorizontalPodAutoscaler", name, spec=spec)
    made["metadata"]["annotations"] = {"argocd.argoproj.io/ignore-healthcheck": "true"}
    return made


CLAIMS = {
    "the same manifest": lambda p, n: (config_map(n), config_map(n, key="second")),
    "one with, one without its namespace": lambda p, n: (config_map(n), config_map(n, p.namespace, key="second")),
    "another version of its group": lambda p, n: (hpa("v2", n), hpa("v1", n)),
    "a cluster-scoped kind with a namespace": lambda p, n: (obj("v1", "Namespace", n), obj("v1", "Namespace", n, p.namespace)),
}


@pytest.mark.parametrize("how", CLAIMS)
def test_second_claim_is_refused_naming_both_with_condition_event_and_record_by(place, name, how):
    first, second = CLAIMS[how](place, name)
    place.deploy({"app/x.yaml": text(first)}, name=f"{name}-one")
    since = place.log.next_seq()
    place.requests.mark()
    place.deploy({"app/x.yaml": text(second)}, name=f"{name}-two", wait=False)
    seen = place.wait_condition("Synced", "False", f"{name}-two", reason="SharedResource")
    for word in (f"{name}-one", f"{name}-two", first["kind"], name, "x.yaml:"):
        assert word in seen["message"], seen["message"]
    until("the event", lambda: events_of(place, f"{name}-two"), lambda found: any(e["reason"] == "SharedResource" and f"{name}-one" in e["note"] for e in found))
    denied = until("the record", lambda: place.records("sync.denied", since, f"{name}-two"))
    assert denied[0]["reason"] == "SharedResource" and f"{name}-one" in denied[0]["message"]
    place.nothing_sent(place.requests, seconds=0.7)
    place.settled(f"{name}-one")
    place.kube.delete("countersign.dev/v1alpha1", "Application", place.system, f"{name}-two")
    if first["kind"] == "Namespace":
        place.kube.delete("v1", "Namespace", None, name)


def test_who_has_the_object_keeps_it_over_restarts(new_site):
    site = new_site().install()
    site.controller.start()
    # the one that has it is the later one by name and the younger one, so that neither order can be what decides
    site.deploy({"app/x.yaml": text(config_map("x", key="zebra"))}, name="zebra")
    site.deploy({"app/x.yaml": text(config_map("x", key="ant"))}, name="ant", wait=False)
    site.wait_condition("Synced", "False", "ant", reason="SharedResource")
    for _ in range(2):
        site.controller.kill()
        site.requests.mark()
        site.controller.start()
        site.settled("zebra")
        site.wait_condition("Synced", "False", "ant", reason="SharedResource")
        assert site.find("v1", "ConfigMap", "x")["data"] == {"key": "zebra"}
        site.nothing_sent(site.requests, seconds=0.7)


def test_two_that_come_at_once_do_not_both_write(place, name):
    repo = place.repo({"a/x.yaml": text(config_map(name, key="a")), "b/x.yaml": text(config_map(name, key="b"))})
    place.requests.mark()
    place.kube.apply(*(place.team.application(f"{name}-{side}", repo, side) for side in "ab"))
    def sides():
        return {side: place.condition("Synced", f"{name}-{side}")["reason"] for side in "ab"}
    seen = until("one to have it and one to be refused", sides, lambda s: sorted(s.values()) == ["SharedResource", "Synced"])
    holder = min(seen, key=lambda side: seen[side] != "Synced")
    stays("it stays so", sides, lambda s: s == seen, seconds=1)
    assert place.find("v1", "ConfigMap", name)["data"] == {"key": holder}
    writers = {e["auditID"].split(".")[1] for e in place.governed() if e["objectRef"].get("name") == name}
    assert len(writers) == 1, "two syncs wrote the object"


def test_claim_of_what_was_never_written_ends_with_its_application(place, name):
    """A sync that fails in an early wave claimed the objects of the later ones; another Application may have them afterwards."""
    late = config_map(name)
    late["metadata"]["annotations"] = {"argocd.argoproj.io/sync-wave": "5"}
    first = deployment("web", place.image("nothing", signed=True).ref)
    first["metadata"]["name"] = "INVALID_NAME"
    place.deploy({"app/a.yaml": text(obj("v1", "Service", f"{name}-svc", spec={"ports": [{"port": 99999}]})), "app/x.yaml": text(late)},
                 name=f"{name}-bad", wait=False)
    place.wait_condition("Synced", "False", f"{name}-bad", said="99999")
    place.kube.delete("countersign.dev/v1alpha1", "Application", place.system, f"{name}-bad")
    place.deploy({"app/x.yaml": text(config_map(name, key="mine"))}, name=f"{name}-good")
    assert place.find("v1", "ConfigMap", name)["data"] == {"key": "mine"}


# --- moves ------------------------------------------------------------------------------------------------------------

def two_sides(place, name, **more):
    """Applications -a and -b of one repository; a has the object."""
    files = {**MORE, "a/x.yaml": text(config_map(name, key="x")), "a/d.yaml": text(config_map(f"{name}-a")), "b/keep.yaml": text(config_map(f"{name}-b"))}
    files = {path: body.replace('"more', f'"{name}-more') for path, body in files.items()}
    repo = place.repo(files)
    for side in "ab":
        place.kube.apply(place.team.application(f"{name}-{side}", repo, side, **more.get(side, {})))
    return repo


MOVE = {"a/x.yaml": None}
ORDERS = {"both at once": "", "the loser first": "a", "the gainer first": "b"}


def hold(place, app, held):
    """A manual Application looks at each commit, but writes nothing until it is automated again."""
    place.kube.patch_application(place.system, app, {"spec": {"syncPolicy": {"automated": {"prune": True, "selfHeal": True, "enabled": not held}}}})


@pytest.mark.parametrize("prune", [True, False])
@pytest.mark.parametrize("order", ORDERS)
def test_object_that_moves_in_one_commit_is_neither_deleted_nor_made_anew(place, name, order, prune):
    policy = {"automated": {"prune": prune, "selfHeal": True}}
    repo = two_sides(place, name, a=policy, b=policy)
    place.settled(f"{name}-a", f"{name}-b")
    first = ORDERS[order]
    late = f"{name}-{'b' if first == 'a' else 'a'}"
    uid = uid_of(place, "ConfigMap", name)
    if first:
        hold(place, late, True)
        until("it to be manual", lambda: place.app(late)["metadata"]["generation"], lambda g: g > 1)
    place.requests.mark()
    commit = repo.push("move", {"a/x.yaml": None, "b/x.yaml": text(config_map(name, key="moved"))})
    if first:
        place.compared_at(commit, f"{name}-{first}")
        stays("the object", lambda: uid_of(place, "ConfigMap", name), lambda u: u == uid, seconds=1)
        hold(place, late, False)
    until("the object as the other has it", lambda: place.find("v1", "ConfigMap", name)["data"], lambda d: d == {"key": "moved"}, seconds=30)
    place.synced_at(commit, f"{name}-b")
    place.synced_at(commit, f"{name}-a")
    assert uid_of(place, "ConfigMap", name) == uid
    assert deletes(place, "configmaps", name) == []
    # a later commit of the loser, a refresh and a self-heal do not take it back
    later = repo.push("later", {"a/y.yaml": text(config_map(f"{name}-y"))})
    place.synced_at(later, f"{name}-a")
    assert uid_of(place, "ConfigMap", name) == uid and deletes(place, "configmaps", name) == []
    adopted = [o for r in place.records("sync.intent", 0, f"{place.system}/{name}-b".partition("/")[2]) for o in r["objects"] if o["name"] == name]
    assert [o["op"] for o in adopted] == ["adopt"] and f"{name}-a" in adopted[0]["why"]


def test_object_that_moves_between_two_spellings_of_one_repository_is_not_deleted(place, name):
    repo = two_sides(place, name)
    place.kube.patch_application(place.system, f"{name}-b", {"spec": {"source": {"repoURL": f"{repo.url}/"}}})
    place.settled(f"{name}-a", f"{name}-b")
    uid = uid_of(place, "ConfigMap", name)
    # each spelling is asked for by itself: one way or the other the loser hears of the commit first
    for loser, gainer in ("ab", "ba"):
        commit = repo.push(f"to {gainer}", {f"{loser}/x.yaml": None, f"{gainer}/x.yaml": text(config_map(name, key="x"))})
        for side in "ab":
            place.synced_at(commit, f"{name}-{side}")
        assert uid_of(place, "ConfigMap", name) == uid, f"made anew on its way to {gainer}"


@pytest.mark.parametrize("count", [2, 3])
def test_objects_that_change_places_in_one_commit_are_neither_deleted_nor_refused(place, name, count):
    """Each Application is refused for what the next one has and lets go only when it is not refused itself."""
    def files(turn):
        return {f"{n}/c.yaml": text(config_map(f"{name}-{(n + turn) % count}", turn=str(turn)), config_map(f"{name}-stays-{n}", turn=str(turn)))
                for n in range(count)}

    apps = [f"{name}-{n}" for n in range(count)]
    repo = place.repo(files(0))
    for n, app in enumerate(apps):
        place.kube.apply(place.team.application(app, repo, str(n)))
    place.settled(*apps)
    uids = [uid_of(place, "ConfigMap", app) for app in apps]
    for turn in (1, 2):
        commit = repo.push("places change", files(turn))
        for app in apps:
            place.synced_at(commit, app)
    assert [uid_of(place, "ConfigMap", app) for app in apps] == uids
    assert [place.find("v1", "ConfigMap", app)["data"]["turn"] for app in apps] == ["2"] * count


def test_move_whose_first_write_was_refused_ends_when_it_may_be_written(place, name):
    """What was claimed and not written is the other's as before, and still let go."""
    one, two = f"{name}-one", f"{name}-two"
    moved = text(config_map(name, place.namespace))
    repo = place.repo({"a/x.yaml": moved, "b/y.yaml": text(config_map(f"{name}-b")), **MORE})
    for app, path in ((one, "a"), (two, "b")):
        place.kube.apply(place.team.application(app, repo, path))
    place.settled(one, two)
    uid = uid_of(place, "ConfigMap", name)
    rights = ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", None, f"{place.system}-{place.team.applier}")
    binding = place.kube.get(*rights)
    place.kube.delete(*rights)
    try:
        commit = repo.push("move", {"a/x.yaml": None, "b/x.yaml": text(config_map(name, place.namespace, key="moved"))})
        place.wait_condition("Synced", "False", two, said=f"ConfigMap {place.namespace}/{name}", seconds=30, reason="Forbidden")
    finally:
        place.kube.create({**binding, "metadata": {"name": rights[-1]}})
    place.synced_at(commit, one)
    place.synced_at(commit, two, seconds=60)
    assert uid_of(place, "ConfigMap", name) == uid and place.find("v1", "ConfigMap", name)["data"] == {"key": "moved"}


def test_object_that_moves_while_the_controller_is_down_is_not_deleted(new_site):
    site = new_site().install()
    site.controller.start()
    repo = two_sides(site, "x")
    site.settled("x-a", "x-b")
    uid = uid_of(site, "ConfigMap", "x")
    for key, (gone, come) in (("one", "ab"), ("two", "ba")):
        site.controller.kill()
        site.requests.mark()
        commit = repo.push("move", {f"{gone}/x.yaml": None, f"{come}/x.yaml": text(config_map("x", key=key))})
        site.controller.start()
        until("the object to be the other's", lambda: site.find("v1", "ConfigMap", "x")["data"], lambda d, key=key: d == {"key": key}, seconds=30)
        site.synced_at(commit, f"x-{come}")
        site.synced_at(commit, f"x-{gone}")
        assert uid_of(site, "ConfigMap", "x") == uid and deletes(site, "configmaps", "x") == []


@pytest.mark.parametrize("moment", ["sync.intent", "sync.result"])
def test_move_survives_a_kill_in_the_middle(new_site, moment):
    """Killed when the taking over is written down, and when it is done but perhaps in no inventory yet."""
    site = new_site().install()
    site.controller.start()
    repo = two_sides(site, "x")
    site.settled("x-a", "x-b")
    uid = uid_of(site, "ConfigMap", "x")
    since = site.log.next_seq()
    site.requests.mark()
    commit = repo.push("move", {"a/x.yaml": None, "b/x.yaml": text(config_map("x", key="moved"))})
    until("the moment", lambda: site.records(moment, since, "x-b"), seconds=20)
    site.controller.kill()
    site.controller.start()
    site.synced_at(commit, "x-b")
    site.synced_at(commit, "x-a")
    assert site.find("v1", "ConfigMap", "x")["data"] == {"key": "moved"}
    assert uid_of(site, "ConfigMap", "x") == uid and deletes(site, "configmaps", "x") == []


def test_nothing_is_pruned_while_the_other_application_of_the_commit_cannot_be_read(place, name):
    repo = two_sides(place, name)
    place.settled(f"{name}-a", f"{name}-b")
    uid = uid_of(place, "ConfigMap", name)
    place.requests.mark()
    repo.push("move, with a mistake", {"a/x.yaml": None, "b/x.yaml": "{"})
    seen = place.wait_condition("Synced", "False", f"{name}-a", said=f"{name}-b")
    assert "deleted yet" in seen["message"], seen["message"]
    stays("the object", lambda: uid_of(place, "ConfigMap", name), lambda u: u == uid, seconds=1)
    commit = repo.push("mended", {"b/x.yaml": text(config_map(name, key="moved"))})
    place.synced_at(commit, f"{name}-b")
    place.settled(f"{name}-a")
    assert uid_of(place, "ConfigMap", name) == uid and deletes(place, "configmaps", name) == []


def test_object_that_was_let_go_is_pruned_after_all_when_nobody_takes_it(place, name):
    repo = two_sides(place, name)
    place.settled(f"{name}-a", f"{name}-b")
    hold(place, f"{name}-b", True)
    repo.push("move", {"a/x.yaml": None, "b/x.yaml": text(config_map(name, key="moved"))})
    place.wait_condition("Synced", "False", f"{name}-a", said=f"{name}-b now")
    repo.push("not after all", {"b/x.yaml": None})
    until("the object to be pruned", lambda: place.find("v1", "ConfigMap", name) is None, seconds=20)
    place.settled(f"{name}-a")


# --- circles -----------------------------------------------------------------------------------------------------------

def declared(place, name, repo, path):
    """An Application as a manifest, with the finalizer that takes its objects along."""
    app = place.team.application(name, repo, path, namespace=place.system)
    app["metadata"]["finalizers"] = ["resources-finalizer.countersign.dev"]
    return app


def circle(place, name):
    """One repository: folder a declares Application b, folder b declares a, folder s declares s. Returns the manifests."""
    repo = place.repo()
    apps = {side: declared(place, f"{name}-{side}", repo, side) for side in "abs"}
    repo.push("circle", {"a/b.yaml": text(apps["b"]), "b/a.yaml": text(apps["a"]), "s/s.yaml": text(apps["s"])})
    return apps


def writes_to(place, *names):
    """Writes to those Applications, status included, since the mark."""
    return [e for e in place.requests.writes() if e["objectRef"].get("resource") == "applications" and e["objectRef"].get("name") in names]


def test_circle_of_applications_is_told_and_neither_hangs_nor_spins(place, name):
    apps = circle(place, name)
    since = place.log.next_seq()
    place.kube.apply(apps["a"])
    seen = place.wait_condition("Synced", "False", f"{name}-b", reason="ApplicationCycle")
    for word in (f"{place.system}/{name}-a -> {place.system}/{name}-b -> {place.system}/{name}-a", "a.yaml:"):
        assert word in seen["message"], seen["message"]
    assert until("the record", lambda: place.records("sync.denied", since, f"{name}-b"))[0]["reason"] == "ApplicationCycle"
    place.wait_condition("Synced", "True", f"{name}-a")
    place.requests.mark()
    stays("few writes", lambda: writes_to(place, f"{name}-a", f"{name}-b"), lambda sent: len(sent) <= 4, seconds=3)


def test_circle_that_comes_at_once_has_one_top(place, name):
    apps = circle(place, name)
    place.kube.apply(apps["a"], apps["b"])
    def reasons():
        return sorted(place.condition("Synced", f"{name}-{side}")["reason"] for side in "ab")
    until("one to be refused", reasons, lambda seen: seen == ["ApplicationCycle", "Synced"])
    stays("it stays so", reasons, lambda seen: seen == ["ApplicationCycle", "Synced"], seconds=1)


def test_application_that_declares_itself_is_told_and_ends(place, name):
    place.kube.apply(circle(place, name)["s"])
    seen = place.wait_condition("Synced", "False", f"{name}-s", reason="ApplicationCycle")
    assert f"{name}-s declares itself" in seen["message"] and "s.yaml:" in seen["message"], seen["message"]
    place.kube.delete("countersign.dev/v1alpha1", "Application", place.system, f"{name}-s")
    until("it to be gone", lambda: place.kube.find_application(place.system, f"{name}-s") is None)


def test_circle_with_finalizers_can_be_deleted(place, name):
    apps = circle(place, name)
    place.kube.apply(apps["a"])
    place.wait_condition("Synced", "False", f"{name}-b", reason="ApplicationCycle")
    place.kube.delete("countersign.dev/v1alpha1", "Application", place.system, f"{name}-a")
    until("both to be gone", lambda: [place.kube.find_application(place.system, f"{name}-{side}") for side in "ab"], lambda left: left == [None, None], seconds=20)
