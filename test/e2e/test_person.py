"""What a person sees and gets who is not the controller: describe, diff, sync and get against real refusals, drift and absences."""

import json
import re
import socket
import threading

import pytest

from harness.controller import binary, cli
from harness.manifests import config_map, deployment, text
from harness.stack import run
from harness.tenant import obj
from harness.wait import until


@pytest.fixture(scope="module")
def home(shared_site):
    """One running installation for the file."""
    return shared_site


def ask(site, *arguments, **more):
    return cli(*arguments, "-n", site.system, kubeconfig=more.pop("kubeconfig", site.stack.kubeconfig), **more)


def manual(site, name, **data):
    """An Application without automated sync of one ConfigMap, whose name is the Application's; its repository."""
    repo = site.deploy({"app/c.yaml": text(config_map(name, **data))}, name=name, automated=None, wait=False)
    site.wait_condition("Synced", "False", name)
    return repo


def file(site, tmp_path, name, **data):
    folder = tmp_path / "local"
    folder.mkdir(exist_ok=True)
    (folder / "c.yaml").write_text(text(config_map(name, **data)))
    return folder


# --- sync ----------------------------------------------------------------------------------------------------------------------

def test_sync_returns_when_the_objects_are_there(home):
    manual(home, "sync-returns", key="one")
    done = ask(home, "sync", "sync-returns")
    assert done.returncode == 0, done.stderr
    assert home.find("v1", "ConfigMap", "sync-returns")["data"] == {"key": "one"}
    state = home.app("sync-returns")["status"]["operationState"]
    assert state["phase"] == "Succeeded" and state["operation"]["initiatedBy"]["username"] == "admin"


def test_sync_of_a_revision_that_is_not_there_fails_with_the_reason(home):
    manual(home, "sync-revision", key="one")
    done = ask(home, "sync", "sync-revision", "--revision", "no-such-branch")
    assert done.returncode == 1 and "no-such-branch" in done.stderr and done.stdout == "", done.stderr
    assert home.find("v1", "ConfigMap", "sync-revision") is None


def test_sync_of_an_older_revision_applies_that_one(home):
    repo = manual(home, "sync-older", key="one")
    first = repo.head() if hasattr(repo, "head") else home.app("sync-older")["status"]["sync"]["revision"]
    repo.push("two", {"app/c.yaml": text(config_map("sync-older", key="two"))})
    assert ask(home, "sync", "sync-older", "--revision", first).returncode == 0
    assert home.find("v1", "ConfigMap", "sync-older")["data"] == {"key": "one"}
    assert ask(home, "sync", "sync-older").returncode == 0
    assert home.find("v1", "ConfigMap", "sync-older")["data"] == {"key": "two"}


def test_dry_run_tells_what_would_change_and_changes_nothing(home):
    manual(home, "dry-run", key="one")
    done = ask(home, "sync", "dry-run", "--dry-run")
    assert done.returncode == 0 and "dry-run" in done.stdout and "ConfigMap" in done.stdout, done.stdout + done.stderr
    assert home.find("v1", "ConfigMap", "dry-run") is None


def test_sync_without_a_controller_times_out_with_124(new_site):
    site = new_site().install()
    site.deploy({"app/c.yaml": text(config_map("c", key="one"))}, name="alone", wait=False)
    done = ask(site, "sync", "alone", "--timeout", "1s")
    assert done.returncode == 124 and "not taken it up" in done.stderr and "hint:" in done.stderr, done.stderr
    again = ask(site, "sync", "alone", "--timeout", "1s")
    assert again.returncode == 5 and "controller running" in again.stderr, again.stderr


def test_sync_of_an_unsigned_image_fails_and_says_what_to_do(home):
    image = home.image("person-unsigned", signed=False)
    home.deploy({"app/web.yaml": text(deployment("person-unsigned", image.ref))}, name="unsigned", wait=False)
    done = ask(home, "sync", "unsigned")
    assert done.returncode == 1 and "app/web.yaml:" in done.stderr and image.digest in done.stderr, done.stderr
    assert "hint: Sign the image" in done.stderr


def test_sync_that_the_api_server_refuses_fails_at_once_with_the_reason(home):
    """An attempt by itself right behind it would stand in the status, and the person wait for an outcome that was there."""
    home.deploy({"app/a.yaml": text(obj("v1", "Service", "refused", spec={"ports": [{"port": 70000}]}))}, name="refused", wait=False)
    home.wait_condition("Synced", "False", "refused", said="70000")
    for _ in range(3):
        done = ask(home, "sync", "refused", "--timeout", "15s")
        assert done.returncode == 1 and "70000" in done.stderr, done.stderr


def test_sync_of_another_revision_tells_its_outcome_though_the_application_goes_on_by_itself(home):
    """An automated Application turns back to its own revision at once; what came of the other one must be seen first."""
    repo = home.deploy({"app/a.yaml": text(config_map("goes-on", key="one"))}, name="goes-on")
    first = home.app("goes-on")["status"]["sync"]["revision"]
    second = repo.push("two", {"app/a.yaml": text(config_map("goes-on", key="two"))})
    home.synced_at(second, "goes-on")
    done = ask(home, "sync", "goes-on", "--revision", first, "--timeout", "15s")
    assert done.returncode == 0 and first[:10] in done.stdout, (done.stdout, done.stderr)
    assert "warning: automated sync is on" in done.stderr, done.stderr
    home.synced_at(second, "goes-on")
    home.compared_at(repo.push("bad", {"app/b.yaml": text(obj("v1", "Service", "goes-on", spec={"ports": [{"port": 70000}]}))}), "goes-on")
    for wanted, said in (("no-such-branch", "no-such-branch"), ("main", "70000")):
        done = ask(home, "sync", "goes-on", "--revision", wanted, "--timeout", "15s")
        assert done.returncode == 1 and said in done.stderr and "earlier version" not in done.stderr, done.stderr
    until("the status to be of this generation", lambda: home.app("goes-on"), lambda a: a["status"]["observedGeneration"] == a["metadata"]["generation"], 1)


def test_sync_that_fails_while_drift_waits_is_told_and_the_drift_healed(home):
    """What heals instead of a revision that is not to be had tells nothing of an operation."""
    home.deploy({"app/a.yaml": text(config_map("drift-waits", key="one"))}, name="drift-waits")
    assert ask(home, "sync", "drift-waits").returncode == 0
    home.kube.patch("v1", "ConfigMap", home.namespace, "drift-waits", {"data": {"key": "other"}})
    done = ask(home, "sync", "drift-waits", "--revision", "no-such-branch", "--timeout", "15s")
    assert done.returncode == 1 and "no-such-branch" in done.stderr, done.stderr
    until("the drift to be healed", lambda: home.find("v1", "ConfigMap", "drift-waits")["data"]["key"], lambda seen: seen == "one", seconds=10)


# --- describe ------------------------------------------------------------------------------------------------------------------

def test_describe_tells_a_refusal_once_in_full_and_what_to_do(home):
    image = home.image("described-unsigned", signed=False)
    home.deploy({"app/web.yaml": text(deployment("described", image.ref))}, name="described", wait=False)
    home.wait_condition("Verified", "False", "described")
    said = ask(home, "describe", "described", check=True).stdout
    assert re.search(r"Verified +False +NoSignature", said), said
    conditions = said[said.index("Conditions"):said.index("Events")]
    assert conditions.count("app/web.yaml:") == 1 and "(as above)" in conditions, conditions
    assert "What to do next" in said and "cosign sign" in said
    assert "described" in said and "nothing yet" in said


def test_describe_names_who_changed_what(home):
    home.deploy({"app/c.yaml": text(config_map("changed", key="one"))}, name="changed", automated={"prune": True})
    home.kube.patch("v1", "ConfigMap", home.namespace, "changed", {"data": {"key": "two"}}, manager="meddler")
    home.wait_condition("Synced", "False", "changed")
    said = ask(home, "describe", "changed", check=True).stdout
    assert "Objects that are not in order" in said and "/data/key" in said and "meddler" in said, said
    assert "countersign sync changed" in said


def test_describe_lets_no_escape_sequence_of_a_stranger_through(home):
    home.kube.apply(home.team.application("escape", home.repo({"app/c.yaml": text(config_map("escape", key="one"))}), "app\x1b[31mred"))
    home.wait_condition("Synced", "False", "escape")
    said = ask(home, "describe", "escape", check=True).stdout
    assert "\x1b" not in said and "app?[31mred" in said


# --- diff ----------------------------------------------------------------------------------------------------------------------

def test_diff_of_a_local_folder_shows_what_pushing_it_would_change(home, tmp_path):
    home.deploy({"app/c.yaml": text(config_map("local", key="one"))}, name="local")
    folder = file(home, tmp_path, "local", key="two", more="x")
    done = ask(home, "diff", "local", "--local", folder)
    assert done.returncode == 1, done.stderr
    assert "-  key: one" in done.stdout and "+  key: two" in done.stdout and "+  more: x" in done.stdout, done.stdout
    assert "managedFields" not in done.stdout and "countersign.dev/" not in done.stdout and "resourceVersion" not in done.stdout
    assert home.find("v1", "ConfigMap", "local")["data"] == {"key": "one"}, "diff has written"


def test_diff_shows_nothing_for_a_tag_that_runs_pinned(home):
    image = home.image("pinned")
    home.deploy({"app/web.yaml": text(deployment("pinned", image.ref))}, name="pinned")
    done = ask(home, "diff", "pinned")
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


def test_diff_shows_that_a_secret_differs_and_not_its_content(home, tmp_path):
    secret = obj("v1", "Secret", "hidden", stringData={"password": "first-password", "same": "kept-value"})
    home.deploy({"app/s.yaml": json.dumps(secret)}, name="hidden")
    folder = tmp_path / "secret"
    folder.mkdir()
    (folder / "s.yaml").write_text(json.dumps({**secret, "stringData": {"password": "second-password", "same": "kept-value"}}))
    done = ask(home, "diff", "hidden", "--local", folder)
    assert done.returncode == 1 and "(before)" in done.stdout and "(after)" in done.stdout, done.stdout + done.stderr
    for content in ("first", "second", "kept", "Zmlyc3Q", "c2Vjb25k"):
        assert content not in done.stdout + done.stderr


def test_diff_shows_what_would_be_pruned(home, tmp_path):
    home.deploy({"app/a.yaml": text(config_map("stays", key="one")), "app/b.yaml": text(config_map("goes", key="one"))}, name="pruned")
    done = ask(home, "diff", "pruned", "--local", file(home, tmp_path, "stays", key="one"))
    assert done.returncode == 1 and "+++ /dev/null" in done.stdout and "ConfigMap " in done.stdout and "goes" in done.stdout, done.stdout


def test_diff_says_why_an_object_that_git_dropped_stays(home, tmp_path):
    kept = config_map("kept-by-option", key="one")
    kept["metadata"]["annotations"] = {"argocd.argoproj.io/sync-options": "Prune=false"}
    home.deploy({"app/a.yaml": text(config_map("stays-too", key="one")), "app/b.yaml": text(kept)}, name="kept")
    done = ask(home, "diff", "kept", "--local", file(home, tmp_path, "stays-too", key="one"))
    assert "kept-by-option: is no longer in Git; it stays, as its sync option Prune=false says" in done.stdout, done.stdout + done.stderr
    assert "+++ /dev/null" not in done.stdout and "sync --prune" not in done.stdout, done.stdout


def test_diff_leaves_ignored_fields_out(home):
    image = home.image("ignored")
    home.deploy({"app/web.yaml": text(deployment("ignored", image.ref))}, name="ignored",
                ignoreDifferences=[{"group": "apps", "kind": "Deployment", "jsonPointers": ["/spec/replicas"]}])
    home.kube.patch("apps/v1", "Deployment", home.namespace, "ignored", {"spec": {"replicas": 3}})
    done = ask(home, "diff", "ignored")
    assert done.returncode == 0, done.stdout + done.stderr


def test_diff_of_what_is_wrong_is_2_and_names_the_line(home, tmp_path):
    home.deploy({"app/c.yaml": text(config_map("wrong", key="one"))}, name="wrong")
    (tmp_path / "bad.yaml").write_text("a: 1\na: 2\n")
    done = ask(home, "diff", "wrong", "--local", tmp_path)
    assert done.returncode == 2 and "bad.yaml:2" in done.stderr, done.stderr
    assert ask(home, "diff", "no-such-application").returncode == 2


# --- get, and rights -------------------------------------------------------------------------------------------------------------

def test_get_in_every_format(home):
    home.deploy({"app/c.yaml": text(config_map("formats", key="one"))}, name="formats")
    assert ask(home, "get", "apps", "formats", "-o", "name", check=True).stdout == "application.countersign.dev/formats\n"
    one = json.loads(ask(home, "get", "apps", "formats", "-o", "json", check=True).stdout)
    assert one["kind"] == "Application" and "managedFields" not in one["metadata"]
    assert "name: formats" in ask(home, "get", "formats", "-o", "yaml", check=True).stdout
    wide = ask(home, "get", "-o", "wide", check=True).stdout.splitlines()
    assert wide[0].split() == ["NAME", "PROJECT", "SYNC", "HEALTH", "VERIFIED", "REVISION", "AGE", "APPLIED", "REPOSITORY", "PATH", "MESSAGE"]
    assert ask(home, "get", "projects", check=True).stdout.splitlines()[0].startswith("NAME   VALID")
    assert "enforce" in ask(home, "get", "policies", check=True).stdout


def test_get_says_which_policy_is_invalid_and_why(new_site):
    site = new_site().install()
    site.kube.apply(obj("countersign.dev/v1alpha1", "ImagePolicy", "typo", site.system,
                        spec={"images": [{"glob": "**"}], "authorities": [{"name": "k", "key": {"data": "x"}}], "modus": "warn"}))
    said = ask(site, "get", "policies", "-o", "wide", check=True).stdout
    row = next(line for line in said.splitlines() if line.startswith("typo"))
    assert row.split()[1] == "False" and "modus" in row, said


def test_get_of_a_long_list_takes_every_page(new_site, kube):
    site = new_site().install()
    for number in range(510):  # a page has 500
        kube.create(obj("countersign.dev/v1alpha1", "ImagePolicy", f"p{number:03}", site.system, spec={"images": [{"glob": "x"}]}))
    listed = json.loads(ask(site, "get", "policies", "-o", "json", check=True).stdout)["items"]
    assert len([p for p in listed if p["metadata"]["name"].startswith("p")]) == 510


def test_the_persons_own_rights_decide(home, tmp_path):
    """The account of the team may read nothing of ours: the refusal is told with a hint, as a failure."""
    home.deploy({"app/c.yaml": text(config_map("rights", key="one"))}, name="rights")
    token = home.kube.token_of(home.system, home.team.applier)
    config = tmp_path / "kubeconfig"
    config.write_text(json.dumps({
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{"name": "c", "cluster": {"server": home.stack.api_server, "certificate-authority": str(home.stack.api_ca)}}],
        "users": [{"name": "u", "user": {"token": token}}], "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}]}))
    for command, code in ((("get",), 1), (("describe", "rights"), 1), (("sync", "rights"), 1), (("diff", "rights"), 2)):
        done = ask(home, *command, kubeconfig=str(config))
        assert done.returncode == code and "forbidden" in done.stderr and "hint:" in done.stderr, (command, done.stderr)


def kubeconfig_of(tmp_path, server):
    config = tmp_path / "kubeconfig"
    config.write_text(json.dumps({
        "apiVersion": "v1", "kind": "Config", "current-context": "c", "users": [{"name": "u", "user": {"token": "t"}}],
        "clusters": [{"name": "c", "cluster": {"server": server}}], "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}]}))
    return str(config)


@pytest.mark.parametrize("server, more, asked", [
    ("https://cluster.invalid:6443", {}, b"CONNECT cluster.invalid:6443 "), ("https://cluster.invalid:6443", {"NO_PROXY": "cluster.invalid"}, b""),
    ("https://127.0.0.1:1", {}, b""), ("https://localhost:1", {}, b"")], ids=["proxy", "no-proxy", "loopback", "localhost"])
def test_the_proxy_that_kubectl_would_ask_is_asked(tmp_path, server, more, asked):
    with socket.create_server(("127.0.0.1", 0)) as door:
        seen = []

        def answer():
            try:
                connection = door.accept()[0]
            except OSError:
                return
            with connection:
                seen.append(connection.recv(4096))
                connection.sendall(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")

        door.settimeout(10)
        thread = threading.Thread(target=answer)
        thread.start()
        env = {"KUBECONFIG": kubeconfig_of(tmp_path, server), "HTTPS_PROXY": f"http://127.0.0.1:{door.getsockname()[1]}", **more}
        done = run(binary(), "get", env=env, check=False)
        if asked:
            thread.join(10)
        else:
            socket.create_connection(door.getsockname()).close()
            thread.join(10)
    assert done.returncode == 1 and b"".join(seen).startswith(asked) and bool(asked) == bool(b"".join(seen)), (done.stderr, seen)


def test_a_server_that_is_not_there_is_named(home, tmp_path):
    done = ask(home, "get", kubeconfig=kubeconfig_of(tmp_path, "https://127.0.0.1:1"))
    assert done.returncode == 1 and "127.0.0.1:1" in done.stderr and "hint:" in done.stderr, done.stderr
    until("the installation to be there still", lambda: home.app("rights") is not None)
