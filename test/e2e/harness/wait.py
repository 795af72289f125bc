"""Waiting for the world to come to a state, with a deadline; a wait that ends in vain says what was seen last."""

import json
import os
import time

# A build with sanitizers is slower than what is shipped: COUNTERSIGN_TIME_SCALE=3 widens every limit, for that build only.
SCALE = float(os.environ.get("COUNTERSIGN_TIME_SCALE", "1"))


class Late(AssertionError):
    """What was awaited did not come in time."""


def shown(value, limit=4000):
    """Text of a value for a person: JSON where that is possible, cut to `limit` characters."""
    try:
        text = value if isinstance(value, str) else json.dumps(value, indent=1, default=str)
    except (TypeError, ValueError):
        text = repr(value)
    return text if len(text) <= limit else text[:limit] + f"… ({len(text)} characters)"


def until(what, probe, good=bool, seconds=10.0, every=0.05):
    """Calls `probe` until `good` accepts what it returns, and returns that; raises Late after `seconds`.

    A probe may raise AssertionError or LookupError to say "not yet": its text is what was seen last.
    """
    deadline = time.monotonic() + seconds * SCALE
    seen = None
    while True:
        try:
            seen = probe()
            if good(seen):
                return seen
        except (AssertionError, LookupError) as error:
            seen = f"{type(error).__name__}: {error}"
        if time.monotonic() >= deadline:
            raise Late(f"not within {seconds * SCALE:g} s: {what}\nlast seen: {shown(seen)}")
        time.sleep(every)


def stays(what, probe, good=bool, seconds=2.0, every=0.1):
    """Checks that `good` accepts what `probe` returns for the whole of `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        seen = probe()
        if not good(seen):
            raise AssertionError(f"did not stay so: {what}\nseen: {shown(seen)}")
        time.sleep(every)
