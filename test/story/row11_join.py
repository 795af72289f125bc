"""Row 11: every governed write in the API server's own audit log is explained by ours, and the other way round."""

from harness.wait import until


def row11_every_governed_write_is_matched(world, say):
    say.row(11, "Join our log with the API server's own audit log")
    world.deployed()
    world.settled("shop", "ledger")
    with say("countersign audit join") as step:
        def joined():
            done, counts = world.log.join(world.stack.audit_log)
            assert done.returncode == 0, f"exit {done.returncode}\n{done.stdout}{done.stderr}"
            return counts

        counts = until("the two logs to agree", joined, seconds=5)
        assert counts["writes"] == counts["matched"] > 0, counts
        assert counts["unrecorded"] == counts["unsent"] == counts["foreign"] == 0, counts
        step.answer = f"{counts['writes']} writes, all matched"
    with say("the count is that of the API server's log, counted here") as step:
        world.requests.offset = 0
        log_id = world.log.records("sync.intent")[0]["objects"][0]["audit_id"].split(".")[0]
        governed = [e for e in world.requests.governed() if e["auditID"].startswith(log_id + ".")]
        assert len(governed) == counts["writes"], f"{len(governed)} governed writes in the API server's log, {counts}"
        assert len({e["auditID"] for e in governed}) == len(governed), "an Audit-ID was used twice"
        step.answer = f"{len(governed)} distinct Audit-IDs"
