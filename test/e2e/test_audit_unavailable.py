"""Nothing unrecorded is done: with a log that cannot be written nothing is applied, and it goes on by itself when it can be again.

The fault is made by a fault point, which only the sanitized build has (COUNTERSIGN=build/asan/countersign, as make test sets it).
"""

import pytest

from harness.controller import binary
from harness.manifests import config_map, text, wave
from harness.tenant import obj
from harness.wait import until


@pytest.fixture
def breaking_site(new_site):
    if "asan" not in str(binary()):
        pytest.skip("fault points are only in the sanitized build: COUNTERSIGN=build/asan/countersign")
    site = new_site(fault="log.fdatasync:eio:7").install()
    site.controller.start()
    return site


def test_nothing_is_applied_while_the_log_cannot_be_written_and_it_recovers_by_itself(breaking_site):
    site = breaking_site
    repo = site.deploy({"app/config.yaml": text(config_map("config", key="0"))}, wait=False)
    seen = None
    for n in range(1, 30):
        seen = next((c for c in (site.kube.find_application(site.system, "app") or {}).get("status", {}).get("conditions", [])
                     if c["reason"] == "AuditUnavailable"), None)
        if seen:
            break
        repo.push(f"change {n}", {"app/config.yaml": text(config_map("config", key=str(n)))})
        until("the change, or a log that broke", lambda: True if any(
            c["reason"] == "AuditUnavailable" for c in site.app("app").get("status", {}).get("conditions", [])) else
            (site.find("v1", "ConfigMap", "config") or {"data": {}})["data"].get("key") == str(n), seconds=20)
    assert seen, "the fault never showed"
    assert "Input/output error" in seen["message"], seen["message"]
    repo.push("last", {"app/config.yaml": text(config_map("config", key="last"))})
    until("the last change to be applied once the log can be written", lambda: site.find("v1", "ConfigMap", "config")["data"]["key"],
          lambda key: key == "last", seconds=30)
    site.controller.stop()
    assert site.log.verify().returncode == 0
    done, counts = site.log.join(site.stack.audit_log)
    assert counts["unrecorded"] == 0, done.stdout


def waiting(name):
    """Until its status names an address, a later wave waits for it."""
    return obj("v1", "Service", name, spec={"type": "LoadBalancer", "ports": [{"port": 80}]})


def test_intent_that_a_broken_log_left_is_resolved_before_its_application_runs_anew(new_site):
    """One Application waits for health all the while; the log breaks, and is back before that one has ended."""
    if "asan" not in str(binary()):
        pytest.skip("fault points are only in the sanitized build: COUNTERSIGN=build/asan/countersign")
    site = new_site(fault="log.fdatasync:eio:18").install()
    site.controller.start()
    for name in ("patient", "app"):
        site.deploy({f"{name}/s.yaml": text(waiting(name)), f"{name}/later.yaml": text(wave(config_map(f"later-{name}"), 1))}, name, name, wait=False)
        site.wait_condition("Synced", "Unknown", name, reason="WaitingForHealth")
    (left,) = site.records("sync.intent", 0, "app")
    other = site.deploy({"other/a.yaml": text(config_map("a", key="0"))}, "other", "other")
    for n in range(1, 20):
        other.push(f"change {n}", {"other/a.yaml": text(config_map("a", key=str(n)))})
        if until("the change, or a log that broke", lambda: "broken" if "the audit log cannot be written" in site.controller.output.read_text() else
                 "changed" if site.find("v1", "ConfigMap", "a")["data"]["key"] == str(n) else None, seconds=20) == "broken":
            break
    site.kube.patch("v1", "Service", site.namespace, "app", {"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}}, subresource="status")
    result = until("the result of what the broken log left", lambda: [r for r in site.records("sync.result", 0, "app") if r["intent"] == left["seq"]])[0]
    assert result["outcome"] == "unknown", result
    assert [r for r in site.records("sync.intent", 0, "app") if r["seq"] < result["seq"]] == [left]
    assert site.records("sync.result", 0, "patient") == []
    site.settled("app")
    site.kube.patch("v1", "Service", site.namespace, "patient", {"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.2"}]}}}, subresource="status")
    site.settled("patient")
    (result,) = site.records("sync.result", 0, "patient")
    assert result["outcome"] == "ok", result
