"""Nothing unrecorded is done: with a log that cannot be written nothing is applied, and it goes on by itself when it can be again.

The fault is made by a fault point, which only the sanitized build has (COUNTERSIGN=build/asan/countersign, as make test sets it).
"""

import pytest

from harness.controller import binary
from harness.manifests import config_map, text
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
