"""The commands a person runs: what they print, where, and with which exit code."""

import json
import os
import secrets
import subprocess

import pytest

from harness.controller import binary, cli
from harness.images import FORMATS, Registry
from harness.manifests import config_map, deployment, text


def verify(image, key, *more):
    return cli("verify", image.ref, "--key", key.public, "--plain-http-registry", image.registry.address, *more)


@pytest.mark.parametrize("form", FORMATS)
def test_verify_accepts_a_signed_image(registry, keys, form):
    done = verify(registry.image("cli/signed", form).sign(keys("release"), form), keys("release"))
    assert done.returncode == 0, done.stdout + done.stderr


def test_verify_exits_10_without_a_signature_and_12_if_none_matches(registry, keys):
    image = registry.image("cli/unsigned", content=secrets.token_hex(8))
    done = verify(image, keys("release"))
    assert done.returncode == 10 and image.digest in done.stdout + done.stderr, done.stderr
    image.sign(keys("stranger"))
    done = verify(image, keys("release"))
    assert done.returncode == 12, done.stdout + done.stderr


def test_verify_over_tls_wants_the_registrys_authority(stack, registry, keys, tmp_path):
    door = Registry(stack, stack.registry_tls, tmp_path / "tls", "bob", "secret", stack.registry_ca, made_through=registry)
    image = door.image("cli/tls").sign(keys("release"))
    config = {"DOCKER_CONFIG": str(door.folder)}
    os.environ.update(config)
    try:
        done = cli("verify", image.ref, "--key", keys("release").public, "--registry-ca", stack.registry_ca)
        assert done.returncode == 0, done.stdout + done.stderr
        done = cli("verify", image.ref, "--key", keys("release").public)
        assert done.returncode == 1 and "certificate" in done.stderr.lower(), done.stderr
    finally:
        del os.environ["DOCKER_CONFIG"]


def test_verify_of_what_is_not_there_is_an_error_of_its_own(registry, keys):
    done = cli("verify", f"{registry.address}/cli/nothing:1", "--key", keys("release").public, "--plain-http-registry", registry.address)
    assert done.returncode not in (0, 10, 12) and "cli/nothing" in done.stderr, (done.returncode, done.stderr)


@pytest.mark.parametrize("arguments,code", [
    (["no-such-command"], 2), (["verify"], 2), (["get", "--no-such-flag"], 2), (["audit", "verify"], 2), (["audit", "verify", "/nonexistent"], 4),
    (["version", "-o", "xml"], 2), (["version", "more"], 2),
], ids=["command", "missing_argument", "flag", "missing_folder_argument", "missing_folder", "format", "word"])
def test_wrong_use_is_told_with_a_hint(arguments, code):
    done = cli(*arguments)
    assert done.returncode == code, (done.returncode, done.stderr)
    assert done.stderr.startswith("error: ") and done.stdout == "", done.stderr


@pytest.mark.parametrize("arguments", [["version"], ["audit", "--help"], ["install", "--export", "--image", f"a.example/b@sha256:{'0' * 64}"]], ids=lambda a: a[0])
def test_output_that_does_not_fit_on_the_disk_is_an_error(arguments):
    with open("/dev/full", "w") as full:
        done = subprocess.run([str(binary()), *arguments], stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1 and done.stderr.startswith("error: "), (done.returncode, done.stderr)


def test_audit_tells_its_commands_and_their_options():
    for arguments in (["--help"], ["verify", "--help"]):
        done = cli("audit", *arguments)
        assert done.returncode == 0 and "--last-known" in done.stdout, done.stdout
    done = cli("audit")
    assert done.returncode == 2 and "--last-known" in done.stderr, done.stderr


def test_help_names_the_options_that_choose_cluster_and_namespace():
    """Whoever installed it elsewhere needs -n for each command."""
    for command in ("get", "describe", "diff", "sync", "check", "status", "install", "project"):
        said = cli(command, "--help", check=True).stdout
        assert all(option in said for option in ("--kubeconfig", "--context", "-n, --namespace")), said
    assert "--context" not in cli("build", "--help", check=True).stdout


def test_version_and_completion():
    assert json.loads(cli("version", "-o", "json", check=True).stdout)["version"]
    assert "countersign" in cli("completion", "bash", check=True).stdout


def test_build_renders_a_folder_without_a_cluster(tmp_path):
    (tmp_path / "a.yaml").write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {n: \"0755\", yes: 'no'}\n")
    done = cli("build", tmp_path, kubeconfig="/nonexistent")
    assert done.returncode == 0 and "name: a" in done.stdout and "0755" in done.stdout, done.stdout + done.stderr
    (tmp_path / "b.yaml").write_text("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n  name: b\n")
    done = cli("build", tmp_path)
    assert done.returncode == 1 and "b.yaml:5" in done.stderr, done.stderr


@pytest.fixture
def shop(site):
    image = site.image("web")
    site.git = site.deploy({"app/web.yaml": text(deployment("web", image.ref)), "app/c.yaml": text(config_map("c", key="one"))}, name="shop",
                           automated={"prune": True})
    return site


def ask(site, *arguments, **more):
    return cli(*arguments, "-n", site.system, kubeconfig=site.stack.kubeconfig, **more)


def test_get_lists_applications(shop):
    table = ask(shop, "get", check=True).stdout.splitlines()
    assert table[0].startswith("NAME") and any(line.startswith("shop ") and "Synced" in line and "Healthy" in line for line in table), table
    listed = json.loads(ask(shop, "get", "-o", "json", check=True).stdout)
    assert [a["metadata"]["name"] for a in listed["items"]] == ["shop"]


def test_describe_of_what_is_not_there_exits_4(shop):
    done = ask(shop, "describe", "nothing")
    assert done.returncode == 4 and "nothing" in done.stderr, done.stderr
    said = ask(shop, "describe", "shop", check=True).stdout
    assert "Verified" in said and shop.git.url in said


def test_diff_exits_1_if_something_differs(shop):
    assert ask(shop, "diff", "shop").returncode == 0
    shop.kube.patch("v1", "ConfigMap", shop.namespace, "c", {"data": {"key": "two"}})
    shop.wait_condition("Synced", "False", "shop", said="key")
    done = ask(shop, "diff", "shop")
    assert done.returncode == 1 and "two" in done.stdout and "one" in done.stdout, done.stdout + done.stderr


def test_sync_triggers_at_once(new_site):
    site = new_site(poll="60s").install()
    site.controller.start()
    repo = site.deploy({"app/c.yaml": text(config_map("c", key="one"))}, name="shop", automated=None, wait=False)
    done = ask(site, "sync", "shop")
    assert done.returncode == 0, done.stdout + done.stderr
    assert site.find("v1", "ConfigMap", "c")["data"]["key"] == "one"
    commit = repo.push("two", {"app/c.yaml": text(config_map("c", key="two"))})
    assert ask(site, "sync", "shop").returncode == 0
    site.synced_at(commit, "shop", seconds=5)


def test_client_certificate_of_a_kubeconfig_is_used(site):
    done = cli("get", "-n", site.system, kubeconfig=site.stack.kubeconfig_cert)
    assert done.returncode == 0, done.stderr
