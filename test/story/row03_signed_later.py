"""Row 3: sign the image, commit nothing: the waiting revision goes through by itself."""

from row02_unsigned import push_unsigned


def row03_signing_the_image_lets_the_revision_through(world, say):
    say.row(3, "Sign that image, commit nothing")
    world.deployed()
    commit, image = world.denied or push_unsigned(world)
    world.wait_condition("Verified", "False", "shop", said=image.digest)
    with say("cosign sign shop/migrate:2, no commit, no refresh") as step:
        image.sign(world.keys["release"])
        world.synced_at(commit, "shop", seconds=90)
        step.answer = f"{commit[:12]} applied at the next check"
    with say("the Deployment runs it") as step:
        init = world.web()["spec"]["template"]["spec"]["initContainers"][0]["image"]
        assert init.endswith("@" + image.digest), f"expected {image.digest}, saw {init}"
        step.answer = image.digest[:19]
    world.denied = None
