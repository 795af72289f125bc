"""Repositories on the stack's Git server, changed as a developer changes them: commit, push over HTTP."""

import calendar
import pathlib
import shutil
import time

from .stack import run

IDENTITY = {"GIT_AUTHOR_NAME": "Dana Developer", "GIT_AUTHOR_EMAIL": "dana@example.org", "GIT_COMMITTER_NAME": "Dana Developer",
            "GIT_COMMITTER_EMAIL": "dana@example.org", "GIT_TERMINAL_PROMPT": "0", "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null"}


class Repo:
    """One repository: `url` is what an Application names; `open/NAME` needs no credentials, see hack/stack/servers/gitserver."""

    def __init__(self, stack, work_folder, name, folder="open", tls=False, branch="main"):
        self.stack, self.name, self.branch = stack, name, branch
        self.bare = pathlib.Path(stack.git_root) / folder / f"{name}.git"
        self.url = f"{stack.git_url_tls if tls else stack.git_url}/{folder}/{name}.git"
        self.path_on_server = f"/{folder}/{name}.git"
        self.work = pathlib.Path(work_folder)
        shutil.rmtree(self.bare, ignore_errors=True)
        run("git", "init", "-q", "--bare", f"--initial-branch={branch}", self.bare)
        run("git", "init", "-q", f"--initial-branch={branch}", self.work)
        self.pushed_at = 0.0

    def git(self, *arguments, check=True):
        return run("git", *arguments, cwd=self.work, env=IDENTITY, check=check).stdout.strip()

    def write(self, files):
        """Puts files into the working tree: path → text; None removes the file."""
        for path, text in files.items():
            file = self.work / path
            if text is None:
                file.unlink()
                continue
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)

    def commit(self, message, files=None):
        """Writes the files, commits all that changed, and returns the commit's id without pushing."""
        self.write(files or {})
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")

    def push(self, message, files=None):
        """Commits and pushes; returns the commit's id. `pushed_at` is the time just after the push."""
        commit = self.commit(message, files)
        self.git("push", "-q", str(self._push_url()), f"HEAD:refs/heads/{self.branch}")
        self.pushed_at = time.time()
        return commit

    def _push_url(self):
        # The test pushes to the folder itself where the door asks for credentials: what is tested is the controller's way in.
        return self.url if "/open/" in self.url and self.url.startswith("http:") else self.bare

    def force_push(self):
        self.git("push", "-q", "--force", str(self._push_url()), f"HEAD:refs/heads/{self.branch}")
        self.pushed_at = time.time()

    def read(self, path):
        return (self.work / path).read_text()

    def replace(self, path, old, new):
        """The file's text with `old` replaced, which must be in it."""
        text = self.read(path)
        assert old in text, f"{path} has no {old!r}"
        return {path: text.replace(old, new)}

    def remove_all(self, folder):
        """path → None for every file below the folder: what push() takes to empty it."""
        return {str(p.relative_to(self.work)): None for p in (self.work / folder).rglob("*") if p.is_file()}

    def requests(self, pattern=""):
        """Requests that the server had for this repository."""
        return [r for r in self.stack.git_requests(pattern) if f" {self.path_on_server}" in r]

    def noticed_after_push(self):
        """Unix time of the first request for this repository after the last push; LookupError while there is none."""
        for line in self.requests():
            stamp = parse_time(line.split(" ", 1)[0])
            if stamp >= self.pushed_at and "git-receive-pack" not in line:
                return stamp
        raise LookupError(f"nobody has asked for {self.url} since the last push")

    def destroy(self):
        shutil.rmtree(self.bare, ignore_errors=True)
        shutil.rmtree(self.work, ignore_errors=True)


def parse_time(text):
    """Unix time of an RFC 3339 time in UTC with up to nine decimals."""
    whole, _, fraction = text.rstrip("Z").partition(".")
    return calendar.timegm(time.strptime(whole, "%Y-%m-%dT%H:%M:%S")) + (float("0." + fraction) if fraction else 0.0)
