"""Row 4: a moved tag and a restart roll nothing: what a tag named when it was first seen is remembered."""

from harness.auditlog import told
from harness.kube import images
from harness.wait import stays


def row04_moved_tag_and_restart_roll_nothing(world, say):
    say.row(4, "Move a tag to an unsigned image; restart the controller")
    world.deployed()
    world.settled("shop", "ledger")
    before = world.web()
    good = world.images["web", "1"]
    with say("crane tag: shop/web:1 is now another, unsigned image") as step:
        evil = world.image("web", "evil")
        evil.retag("1")
        assert world.registry.digest("shop/web", "1") == evil.digest != good.digest
        step.answer = evil.digest[:19]
    try:
        world.requests.mark()
        asked = len(world.stack.registry_requests(r"/shop/web/manifests/1 "))
        with say("SIGTERM, and started again") as step:
            code = world.controller.stop()
            assert code == 0, f"expected exit 0 after SIGTERM, saw {code}:\n{world.controller.tail()}"
            world.controller.start()
            step.answer = "exit 0"
        with say("nothing rolls") as step:
            stays("nothing is sent", lambda: [told(e) for e in world.sent()], lambda sent: sent == [], seconds=2)
            after = world.web()
            assert images(after) == images(before), f"expected {images(before)}, saw {images(after)}"
            assert after["metadata"]["generation"] == before["metadata"]["generation"]
            world.settled("shop", "ledger")
            step.answer = "pinned to " + good.digest[:19]
        with say("the tag was not even asked for") as step:
            now = world.stack.registry_requests(r"/shop/web/manifests/1 ")
            assert len(now) == asked, f"expected no request for the tag, saw {now[asked:]}"
            step.answer = "0 requests"
    finally:
        good.retag("1")
