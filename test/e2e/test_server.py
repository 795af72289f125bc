"""Probes and metrics: they tell the truth, in the formats that others read, and nobody who reaches the port can do harm."""

import contextlib
import re
import socket
import time

import pytest

from harness.controller import binary, process_status
from harness.manifests import config_map, deployment, text
from harness.site import Site
from harness.wait import until
from harness.web import Web, free_port, promtool, total


@pytest.fixture(scope="module")
def served(request, stack, kube, registry, keys, tmp_path_factory):
    """One installation for the file, whose controller listens."""
    web = Web(free_port())
    site = Site(stack, kube, registry, keys, tmp_path_factory.mktemp("served"), request.module.__name__, listen=web.address).install()
    site.requests.mark()
    site.web = web
    site.controller.start()
    until("the controller to be ready", lambda: web.get("/readyz"), lambda got: got[0] == 200)
    yield site
    site.close()


def test_probes_answer_as_those_of_kubernetes_do(served):
    web = served.web
    assert web.get("/livez") == (200, "ok") and web.get("/readyz") == (200, "ok")
    status, said = web.get("/readyz?verbose")
    assert status == 200 and said.endswith("readyz check passed\n")
    names = [line.split()[0] for line in said.splitlines()[:-1]]
    assert names == ["[+]ping", "[+]sandbox", "[+]audit-log", "[+]api-server", "[+]leader", "[+]watches", "[+]shutdown"], said
    assert "seccomp, no-new-privileges" in said and "leads" in said and served.kube.server in said
    assert "[+]leader excluded: ok" in web.get("/readyz?verbose&exclude=leader")[1]
    assert web.get("/readyz/leader") == (200, "ok") and web.get("/readyz/moon")[0] == 404
    assert web.get("/livez?verbose")[1].splitlines()[-1] == "livez check passed"
    assert web.get("/livez", "HEAD") == (200, "")
    assert web.get("/metrics", "POST")[0] == 405 and web.get("/")[0] == 404


def test_metrics_count_what_happened(served):
    before = served.web.metrics()
    image, evil = served.image("web"), served.image("evil", signed=False)
    repo = served.deploy({"app/web.yaml": text(deployment("web", image.ref)), "app/c.yaml": text(config_map("c"))}, name="counted")
    commit = repo.push("denied", {"app/evil.yaml": text(deployment("evil", evil.ref))})
    served.compared_at(commit, "counted")
    served.wait_condition("Verified", "False", "counted", said="evil")
    commit = repo.push("gone", {"app/evil.yaml": None, "app/c.yaml": text(config_map("c", key="2"))})
    served.synced_at(commit, "counted", seconds=30)

    def settled():
        # the log and the numbers are read at two moments; nothing happens between two equal readings
        one, records, two = served.web.metrics(), len(served.log.records()), served.web.metrics()
        assert one["countersign_audit_log_records", frozenset()] == two["countersign_audit_log_records", frozenset()] == records
        return two

    now = until("metrics that agree with the log", settled, seconds=20)
    spec = served.app("counted")["spec"]
    app = {"namespace": served.system, "name": "counted", "project": "red"}
    assert total(now, "argocd_app_info", **app, autosync_enabled="true", repo=repo.url.removesuffix(".git").lower(), operation="",
                 dest_server=spec["destination"]["server"], dest_namespace=served.namespace, sync_status="Synced",
                 health_status="Healthy") == 1
    synced = [r for r in served.records("sync.result", 0, "counted") if r["outcome"] == "ok"]
    assert total(now, "argocd_app_sync_total", **app, phase="Succeeded", dry_run="false", dest_server=spec["destination"]["server"]) == len(synced) == 2
    assert total(now, "countersign_commit_to_live_seconds_count") - total(before, "countersign_commit_to_live_seconds_count") == 2
    assert total(now, "countersign_verifications_total", result="allow") >= 2
    assert 100_000 < total(now, "countersign_core_heap_bytes") < 100_000_000
    denied = total(now, "countersign_verifications_total", result="deny")
    assert denied >= 1 and total(now, "countersign_verifications_total", result="deny", reason="") == 0
    assert total(now, "countersign_runs_total", result="denied") >= 1 and total(now, "countersign_runs_total", result="done") >= 2
    assert total(now, "countersign_cache_requests_total", cache="claims", result="hit") >= 1
    assert total(now, "countersign_worker_jobs_total", role="render", result="done") >= 3
    assert total(now, "countersign_worker_jobs_total", role="verify", result="done") >= 2
    assert total(now, "countersign_leader") == 1 and total(now, "countersign_audit_log_writable") == 1
    assert 0 <= time.time() - total(now, "countersign_audit_log_last_durable_timestamp_seconds") < 60
    assert total(now, "countersign_worker_crashes_total") == total(before, "countersign_worker_crashes_total")


def test_api_requests_agree_with_the_servers_own_audit_log(served):
    """Changes by verb and code, as the API server wrote them down for our account, whoever it acted as."""
    verbs = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}

    def compare():
        metrics = served.web.metrics()
        events = [e for e in served.requests.writes(user=f":{served.system}:countersign-controller")]
        for method, verb in verbs.items():
            for code in {e["responseStatus"]["code"] for e in events}:
                theirs = sum(e["verb"] == verb and e["responseStatus"]["code"] == code for e in events)
                # a server-side apply that makes an object is a PATCH for us and for the server
                assert total(metrics, "countersign_api_requests_total", verb=method, code=str(code)) == theirs, (method, code, theirs)
        return len(events)

    assert until("both to agree", compare, seconds=20) > 5


FAMILIES = {
    "build_info": "gauge", "leader": "gauge", "runs_total": "counter", "run_duration_seconds": "histogram", "runs_active": "gauge",
    "queue_depth": "gauge", "queue_wait_seconds": "histogram", "commit_to_live_seconds": "histogram", "api_requests_total": "counter",
    "api_request_duration_seconds": "histogram", "verifications_total": "counter", "cache_requests_total": "counter", "audit_log_records": "gauge",
    "audit_log_written_bytes_total": "counter", "audit_log_writable": "gauge", "audit_log_last_durable_timestamp_seconds": "gauge",
    "audit_checkpoint_age_seconds": "gauge", "audit_log_sync_duration_seconds": "histogram",
    "worker_jobs_total": "counter", "worker_crashes_total": "counter", "worker_queue_depth": "gauge",
    "processes": "gauge", "process_resident_memory_bytes": "gauge", "core_heap_bytes": "gauge", "process_cpu_seconds_total": "counter", "metric_series_dropped_total": "counter",
}


def test_families_keep_their_names_and_units(served):
    """Dashboards and alerts of others name them."""
    told = dict(re.findall(r"(?m)^# TYPE (\S+) (\S+)$", served.web.get("/metrics")[1]))
    assert told == {f"countersign_{name}": kind for name, kind in FAMILIES.items()} | {"argocd_app_info": "gauge", "argocd_app_sync_total": "counter"}


def test_each_fdatasync_of_the_log_is_timed(served):
    """From the first record of the process on; how slow the volume may be is told by an alert on it."""
    metrics, name = served.web.metrics(), "countersign_audit_log_sync_duration_seconds"
    assert 0 < total(metrics, name + "_count") <= total(metrics, "countersign_audit_log_records")
    assert 0 < total(metrics, name + "_sum") < 60


def test_promtool_accepts_the_metrics(served):
    code, said = promtool("check", "metrics", text=served.web.get("/metrics")[1])
    # Argo CD's own names and labels are as they are
    own = [line for line in said.splitlines() if line and not line.startswith("argocd_")]
    assert code in (0, 3) and own == [], said


def test_numbers_of_processes_are_those_of_the_system(served):
    metrics = served.web.metrics()
    for role in ("core", "supervisor", "web"):
        pids = served.controller.pids(role)
        assert total(metrics, "countersign_processes", role=role) == len(pids) == 1
        resident = int(process_status(pids[0])["VmRSS"].split()[0]) * 1024
        assert 0.5 * resident < total(metrics, "countersign_process_resident_memory_bytes", role=role) < 2 * resident
    assert total(metrics, "countersign_process_cpu_seconds_total", role="core") > 0
    # ended workers go on to count
    assert total(metrics, "countersign_process_cpu_seconds_total", role="fetch") > 0


def test_role_web_holds_nothing(served):
    (pid,) = served.controller.pids("web")
    status = process_status(pid)
    assert status["Seccomp"] == "2" and status["NoNewPrivs"] == "1"
    words = open(f"/proc/{pid}/environ", "rb").read()
    assert b"TOKEN" not in words


# --- strangers at the door -------------------------------------------------------------------------------------------

@contextlib.contextmanager
def nothing_happens_to(site, may_lose=()):
    """Inside the block core goes on as if nothing were: same processes, and a commit is applied in the usual time."""
    before = {r: site.controller.pids(r) for r in ("core", "supervisor", "web")}
    yield
    after = {r: site.controller.pids(r) for r in ("core", "supervisor", "web")}
    assert before == after


def probe_works(site, seconds=3):
    began = time.monotonic()
    assert until("the probe to be answered", lambda: site.web.get("/livez", seconds=2), lambda got: got == (200, "ok"), seconds=seconds)
    return time.monotonic() - began


def connect(site):
    s = socket.socket()
    s.settimeout(10)
    s.connect(("127.0.0.1", site.web.port))
    return s


def test_garbage_is_answered_once_and_cut(served):
    with nothing_happens_to(served):
        for data, status in ((b"\x16\x03\x01\x02\x00\x01" * 50, b"400"), (b"GET /livez HTTP/1.1\r\nA" + b"b" * 20000 + b"\r\n\r\n", b"431"),
                             (b"GET /" + b"a" * 100000, b"4"), (b"\0" * 4096, b"400"), (b"POST /metrics HTTP/1.1\r\nContent-Length: 9\r\n\r\n", b"405"),
                             (b"GET /livez HTTP/1.1\r\n" + b"A: b\r\n" * 5000 + b"\r\n", b"431")):
            answer = served.web.raw(data)
            assert answer.startswith(b"HTTP/1.1 " + status) and answer.count(b"HTTP/1.1 ") == 1, (data[:30], answer[:200])
        # many requests sent ahead of their answers are answered in order
        answer = served.web.raw(b"GET /livez HTTP/1.1\r\n\r\n" * 20 + b"GET /livez HTTP/1.1\r\nConnection: close\r\n\r\n")
        assert answer.count(b"HTTP/1.1 200 OK") == 21
        probe_works(served)


def test_slow_loris_keeps_no_probe_out_and_is_cut(served):
    with nothing_happens_to(served):
        slow = [connect(served) for _ in range(400)]
        try:
            for round in range(4):
                for s in slow:
                    with contextlib.suppress(OSError):
                        s.send(b"GET /livez HTTP/1.1\r\nX-A: b" if round == 0 else b"c")
                assert probe_works(served) < 2
                time.sleep(0.5)

            def cut():
                gone = 0
                for s in slow:
                    s.setblocking(False)
                    try:
                        gone += s.recv(4096) == b""
                    except BlockingIOError:
                        pass
                    except OSError:
                        gone += 1
                return gone

            until("all of them to be cut, though they trickle on", cut, lambda n: n == len(slow), seconds=10)
        finally:
            for s in slow:
                s.close()


def test_ten_thousand_connections_do_no_harm(served):
    image = served.image("web")
    with nothing_happens_to(served):
        held = []
        try:
            for _ in range(10000):
                held.append(connect(served))
            repo = served.deploy({"app/web.yaml": text(deployment("busy", image.ref))}, name="busy", wait=False)
            assert probe_works(served) < 2
            served.settled("busy", seconds=20)
            assert repo
            resident = int(process_status(served.controller.pids("web")[0])["VmRSS"].split()[0])
            # 256 connections of at most some 20 KiB each, above what the program itself takes (more with sanitizers)
            assert resident < (300 if "asan" in str(binary()) else 40) * 1024, f"{resident} KiB"
        finally:
            for s in held:
                s.close()


def test_scrapes_without_end_do_not_make_core_work_for_each(served):
    (core,) = served.controller.pids("core")
    requests = b"GET /metrics HTTP/1.1\r\n\r\n" * 100
    with nothing_happens_to(served):
        sockets = [connect(served) for _ in range(20)]
        began, got = time.monotonic(), 0
        before = cpu(core)
        for s in sockets:
            s.sendall(requests)
        for s in sockets:
            s.shutdown(socket.SHUT_WR)
            with contextlib.suppress(OSError):
                while piece := s.recv(1 << 20):
                    got += len(piece)
            s.close()
        spent = time.monotonic() - began
        assert got > 0 and cpu(core) - before < 0.2 + 0.2 * spent
        probe_works(served)


def cpu(pid):
    fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


def test_web_that_dies_comes_back_and_core_stays(served):
    core = served.controller.pids("core")
    assert served.controller.kill_role("web")
    until("another web role", lambda: served.web.get("/readyz"), lambda got: got == (200, "ok"), seconds=10)
    assert served.controller.pids("core") == core


def test_core_that_hangs_fails_the_probe(served):
    import os
    import signal
    (core,) = served.controller.pids("core")
    os.kill(core, signal.SIGSTOP)
    try:
        status, said = until("the probe to fail", lambda: served.web.get("/livez", seconds=15), lambda got: got[0] == 503, seconds=20)
        assert "core has not answered in time" in said
    finally:
        os.kill(core, signal.SIGCONT)
    until("the probe to pass again", lambda: served.web.get("/livez"), lambda got: got == (200, "ok"), seconds=10)


def test_watches_count_among_the_requests(served):
    """One for each kind that it follows: its own four, Secrets, ConfigMaps, with the first byte of each. Of a kind to which nothing happens that
    is the server's bookmark, within about a minute; last in this file, most of that has passed."""
    until("all watches to be counted", lambda: total(served.web.metrics(), "countersign_api_requests_total", verb="WATCH", code="200"),
          lambda count: count >= 6, seconds=90)
    assert total(served.web.metrics(), "countersign_api_request_duration_seconds_count", verb="WATCH") == 0
