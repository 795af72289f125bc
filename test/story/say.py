"""Narration: one line a step, with what was done, what the controller answered, and how long it took.

    with say("patched replicas of the Deployment to 7") as step:
        …
        step.answer = "healed"

A step that fails is a line too, with what was expected and what was seen.
"""

import contextlib
import sys
import time

WIDTH = 78


class Step:
    """One line to be. `answer` is what is told of it; `seconds` replaces the step's own duration when that is not the point."""

    def __init__(self):
        self.answer, self.seconds = "ok", None


class Say:
    def __init__(self, out=None):
        self.out = out or sys.stdout
        self.began = time.monotonic()
        self.last_error = None  # what a failed step has told already

    def row(self, number, title):
        self._line(f"\n{number:>2}  {title}")

    def note(self, text):
        for line in text.splitlines() or [""]:
            self._line(f"      {line}".rstrip())

    @contextlib.contextmanager
    def __call__(self, what):
        step, began = Step(), time.monotonic()
        try:
            yield step
        except BaseException as error:
            self.last_error = error
            self._told(what, "FAILED", time.monotonic() - began)
            for line in str(error).splitlines() or [type(error).__name__]:
                self._line(f"        {line}")
            raise
        self._told(what, step.answer, time.monotonic() - began if step.seconds is None else step.seconds)

    def _told(self, what, answer, seconds):
        self._line(f"    {what:<{WIDTH}} {answer:<34} {seconds:6.2f} s")

    def _line(self, text):
        print(text, file=self.out, flush=True)
