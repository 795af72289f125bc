"""The audit log as a reviewer uses it: what was done, why it might be, and proof of both."""

import base64
import gzip
import hashlib
import json
import pathlib
import re
import shutil

import pytest

from harness.auditlog import AUDIT_ID
from harness.controller import cli
from harness.manifests import config_map, deployment, text, wave
from harness.stack import ROOT, run
from harness.tenant import obj
from harness.wait import until

FIELDS = {"v", "id", "seq", "t", "boot", "kind", "outcome", "ver"}
KINDS = {"log.start", "log.stop", "term.start", "term.end", "sync.intent", "sync.result", "sync.denied", "drift", "config.change", "log.lost"}


@pytest.fixture
def busy(site):
    """A site with some history: a sync, a denial, drift and a prune."""
    image = site.image("web")
    repo = site.deploy({"app/web.yaml": text(deployment("web", image.ref)), "app/a.yaml": text(config_map("a"), config_map("b"), config_map("c"))})
    repo.push("denied", {"app/evil.yaml": text(deployment("evil", site.image("evil", signed=False).ref))})
    site.wait_condition("Verified", "False", "app", said="evil")
    commit = repo.push("pruned", {"app/evil.yaml": None, "app/a.yaml": text(config_map("a"), config_map("b"))})
    site.synced_at(commit, "app", seconds=30)
    site.kube.delete("v1", "ConfigMap", site.namespace, "a")
    until("the deleted object to be healed", lambda: site.find("v1", "ConfigMap", "a"))
    return site


def tlogcheck(*arguments):
    run(ROOT / "hack/stack/build", "tlogcheck", seconds=300)
    return run(run(ROOT / "hack/stack/build", "--path", "tlogcheck").stdout.strip(), *arguments, check=False)


def test_every_record_has_the_common_fields_and_is_canonical(busy):
    lines = cli("audit", "log", busy.log.folder, "-o", "json", check=True).stdout.splitlines()
    for seq, line in enumerate(lines):
        record = json.loads(line, parse_float=lambda text: pytest.fail(f"a float, {text}: {line}"))
        assert FIELDS <= set(record) and record["kind"] in KINDS and record["seq"] == seq, line
        assert line == json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=False), "not canonical JSON"
    kinds = {json.loads(line)["kind"] for line in lines}
    assert {"log.start", "term.start", "sync.intent", "sync.result", "sync.denied", "drift"} <= kinds, kinds


def test_every_intent_has_its_result_and_every_attempt_its_request(busy):
    records = busy.log.records()
    results = {r["intent"]: r for r in records if r["kind"] == "sync.result"}
    sent = {e["auditID"]: e["responseStatus"]["code"] for e in busy.governed()}
    intents = [r for r in records if r["kind"] == "sync.intent"]
    assert intents
    for intent in intents:
        result = results[intent["seq"]]
        assert result["seq"] > intent["seq"] and len(result["objects"]) == len(intent["objects"])
        for ordinal, (planned, done) in enumerate(zip(intent["objects"], result["objects"])):
            assert planned["audit_id"].split(".")[1:] == [str(intent["seq"]), str(ordinal)], planned
            for number, attempt in enumerate(done["attempts"], 1):
                assert attempt["audit_id"] == f"{planned['audit_id']}.{number}" and AUDIT_ID.match(attempt["audit_id"])
                assert sent.pop(attempt["audit_id"]) == attempt["code"]
    assert sent == {}, f"requests without a record: {sent}"


def test_intent_is_durable_before_the_request_is_answered(busy):
    for intent in busy.records("sync.intent", 0, "app"):
        for event in busy.governed():
            if event["auditID"].split(".")[1] == str(intent["seq"]):
                assert intent["t"][:23] <= event["stageTimestamp"][:23], (intent["t"], event["stageTimestamp"])


def test_heal_names_itself_and_follows_its_drift(busy):
    drift = busy.records("drift", 0, "app")
    heal = [r for r in busy.records("sync.intent", drift[0]["seq"], "app") if r["actor"]["type"] == "self-heal"]
    assert drift and heal and heal[0]["seq"] > drift[0]["seq"]


def test_join_matches_every_write_both_ways(busy):
    done, counts = busy.log.join(busy.stack.audit_log)
    assert done.returncode == 0, done.stdout + done.stderr
    assert counts["writes"] == counts["matched"] == len(busy.governed())
    assert counts["unrecorded"] == counts["unsent"] == counts["foreign"] == 0


def test_join_finds_a_write_without_a_record_and_a_record_without_a_write(busy, tmp_path):
    lines = [line for line in open(busy.stack.audit_log) if '"countersign-controller' in line or busy.system in line]
    governed = [line for line in lines if AUDIT_ID.match(json.loads(line)["auditID"])]
    assert len(governed) > 2
    without = tmp_path / "without.log"
    without.write_text("".join(line for line in lines if line != governed[0]))
    done, counts = busy.log.join(without)
    assert done.returncode == 3 and counts["unrecorded"] == 1, (done.returncode, counts)
    invented = json.loads(governed[0])
    invented["auditID"] = re.sub(r"\.\d+$", ".99", invented["auditID"])
    more = tmp_path / "more.log"
    more.write_text("".join(lines) + json.dumps(invented) + "\n")
    done, counts = busy.log.join(more)
    assert done.returncode == 3 and counts["unrecorded"] == 1, (done.returncode, counts)


def test_join_reads_rotated_parts_as_the_api_server_compresses_them(busy, tmp_path):
    packed = gzip.compress(pathlib.Path(busy.stack.audit_log).read_bytes())
    (tmp_path / "audit.log.gz").write_bytes(packed)
    done, counts = busy.log.join(tmp_path / "audit.log.gz")
    assert done.returncode == 0 and counts["writes"] == counts["matched"] == len(busy.governed()), done.stdout + done.stderr
    (tmp_path / "cut.log.gz").write_bytes(packed[:len(packed) // 2])
    done = run(busy.log.binary, "audit", "join", busy.log.folder, tmp_path / "cut.log.gz", check=False)
    assert done.returncode not in (0, 3) and f"{tmp_path}/cut.log.gz cannot be read: what was packed is cut or damaged" in done.stderr, done.stdout + done.stderr


def test_our_id_used_by_another_is_foreign(busy):
    stolen = busy.governed()[0]["auditID"]
    path = busy.kube.path("v1", "ConfigMap", busy.namespace)
    busy.kube.request("POST", path, config_map("forged", busy.namespace), headers={"Audit-ID": stolen})
    done, counts = busy.log.join(busy.stack.audit_log)
    assert done.returncode == 3 and counts["foreign"] == 1, (done.returncode, counts)


def test_prove_writes_a_proof_that_the_second_verifier_accepts(busy, tmp_path):
    denied = busy.log.records("sync.denied")[0]["seq"]
    lines = cli("audit", "log", busy.log.folder, "-o", "json", check=True).stdout.splitlines()
    (tmp_path / "record").write_text(lines[denied])
    (tmp_path / "other").write_text(lines[0])
    (tmp_path / "proof").write_text(cli("audit", "prove", busy.log.folder, str(denied), check=True).stdout)
    good = tlogcheck("-proof", tmp_path / "proof", tmp_path / "record", busy.log.folder / "vkey")
    assert good.returncode == 0 and good.stdout.strip() == f"ok {denied}", good.stdout
    assert tlogcheck("-proof", tmp_path / "proof", tmp_path / "other", busy.log.folder / "vkey").returncode == 1


def test_show_prints_one_record_and_an_unknown_one_is_not_found(busy):
    intent = busy.log.records("sync.intent")[0]
    said = cli("audit", "show", busy.log.folder, str(intent["seq"]), check=True).stdout
    assert intent["id"] in said and "sync.intent" in said
    assert cli("audit", "show", busy.log.folder, "999999").returncode == 4


def test_verify_with_another_logs_key_fails(busy, new_site):
    other = new_site().install()
    with other.controller:
        pass
    assert busy.log.verify("--key", busy.log.folder / "vkey").returncode == 0
    assert busy.log.verify("--key", other.log.folder / "vkey").returncode == 3


def test_secret_is_in_the_log_as_a_keyed_hash_only(site):
    word = "correct-horse-battery-staple"
    site.deploy({"app/secret.yaml": text(obj("v1", "Secret", "secret", stringData={"password": word}))})
    everything = b"".join(p.read_bytes() for p in site.controller.data.rglob("*") if p.is_file())
    assert b"Secret" in everything and word.encode() not in everything
    assert base64.b64encode(word.encode()) not in everything
    assert hashlib.sha256(word.encode()).hexdigest().encode() not in everything, "a plain hash of a secret can be guessed"


def test_authority_and_credential_that_change_are_recorded_without_what_is_secret(site):
    site.deploy({"app/c.yaml": text(config_map("c"))})
    since = site.log.next_seq()
    login = obj("v1", "Secret", "forge", site.system, stringData={"url": "https://forge.example/x", "password": "canary-hunter2"})
    login["metadata"]["labels"] = {"countersign.dev/secret-type": "repository"}
    trusted = obj("v1", "ConfigMap", "countersign-tls-certs", site.system, data={"forge.example": "one"})
    site.kube.apply(login, obj("v1", "Secret", "of-somebody-else", site.system, stringData={"a": "b"}), trusted)
    site.kube.apply({**trusted, "data": {"forge.example": "another"}})
    site.kube.delete("v1", "Secret", site.system, "forge")
    changes = until("four changes", lambda: site.log.records("config.change", since=since), lambda found: len(found) == 4)
    told = [c["config"] for c in changes]
    assert sorted((c["kind"], c["name"], c["op"]) for c in told) == [
        ("ConfigMap", "countersign-tls-certs", "create"), ("ConfigMap", "countersign-tls-certs", "update"),
        ("Secret", "forge", "create"), ("Secret", "forge", "delete")]
    assert len({c.get("data_sha256") for c in told if c["kind"] == "ConfigMap"}) == 2
    assert not any("sha256" in key for c in told for key in c if c["kind"] == "Secret") and "canary" not in str(site.log.records(since=since))


def test_settings_that_changed_while_no_controller_ran_are_told_when_one_starts(site):
    site.deploy({"app/c.yaml": text(config_map("c"))})
    told = lambda since: {(c["config"]["kind"], c["config"]["name"]): c for c in site.log.records("config.change", since=since) if c["config"]["op"] == "found"}
    before = told(0)
    policy = ("ImagePolicy", "release")
    assert {kind for kind, _ in before} >= {"ImagePolicy", "Project"} and policy in before, before
    site.controller.stop()
    since = site.log.next_seq()
    site.kube.patch("countersign.dev/v1alpha1", policy[0], site.system, policy[1], {"spec": {"mode": "warn"}}, manager="somebody")
    site.controller.start()
    after = until("all of them", lambda: told(since), lambda found: len(found) == len(before))
    assert {key for key in before if before[key]["config"].get("spec_sha256") != after[key]["config"].get("spec_sha256")} == {policy}
    assert after[policy]["actor"]["user"] == "somebody"


def test_restart_goes_on_in_the_same_log_with_a_new_term(site):
    site.deploy({"app/a.yaml": text(config_map("a"))})
    before = site.log.records()
    site.controller.restart()
    after = site.log.records()
    assert after[:len(before)] == before
    assert not any("repaired_files" in r for r in after), "after an orderly stop there is nothing to repair, and a new log is made"
    kinds = [r["kind"] for r in after[len(before):]]
    assert kinds[:2] == ["term.end", "log.stop"] or {"term.end", "log.stop"} <= set(kinds), kinds
    assert kinds.count("log.start") == 1 and kinds.count("term.start") == 1
    assert site.log.verify().returncode == 0


def test_update_that_a_crash_kept_back_is_not_said_to_have_been_done(site):
    later = lambda value: text(wave(config_map("later", key=value), 1))
    repo = site.deploy({"app/a.yaml": text(config_map("a")), "app/later.yaml": later("old")})
    since = site.log.next_seq()
    waits = obj("v1", "Service", "waits", spec={"type": "LoadBalancer", "ports": [{"port": 80}]})
    repo.push("more", {"app/a.yaml": text(config_map("a", key="new")), "app/s.yaml": text(waits), "app/later.yaml": later("new")})
    site.wait_condition("Synced", "Unknown", "app", reason="WaitingForHealth")
    site.controller.kill()
    site.controller.start()
    result = until("the result", lambda: site.records("sync.result", since, "app"))[0]
    assert {o["name"]: o["outcome"] for o in result["objects"]} == {"a": "ok", "waits": "ok", "later": "not-done"}
    assert site.find("v1", "ConfigMap", "later")["data"]["key"] == "old"


def test_new_volume_says_that_the_predecessor_is_lost(site):
    site.deploy({"app/a.yaml": text(config_map("a"))})
    site.controller.stop()
    shutil.move(site.log.folder, site.folder / "lost")
    site.controller.start()
    kinds = [r["kind"] for r in site.log.records()]
    assert "log.lost" in kinds, kinds


def test_tampered_log_keeps_the_controller_from_acting(site):
    site.deploy({"app/a.yaml": text(config_map("a"))})
    site.controller.stop()
    bundle = next(p for p in (site.log.folder / "tile/entries").rglob("*") if p.is_file())
    data = bytearray(bundle.read_bytes())
    data[40] ^= 1
    bundle.write_bytes(bytes(data))
    site.controller.start(wait=False)
    site.controller.process.wait(20)
    assert site.controller.process.returncode != 0
    assert bundle.name.split(".")[0] in site.controller.tail() or "entries" in site.controller.tail(), site.controller.tail()


def test_commit_message_cannot_forge_a_line(site):
    repo = site.repo()
    repo.push('evil"}\n{"kind":"sync.result","seq":0', {"app/a.yaml": text(config_map("a"))})
    site.kube.apply(site.team.application("app", repo, "app"))
    site.settled("app")
    lines = cli("audit", "log", site.log.folder, "-o", "json", check=True).stdout.splitlines()
    assert [json.loads(line)["seq"] for line in lines] == list(range(len(lines)))
