"""One line per check, a bounded run, and an exit status: what the scripts of this folder have in common.

They need what no build needs (npm, a model server) and are run by hand; the tests that ctest runs are beside them."""
import contextlib
import os
import pathlib
import sys
import threading
import time
import traceback

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests"))


def use_programs(folder=None):
    """Where modelpd and modelpc of this tree lie: before anything of harness is imported."""
    choices = [folder] if folder else [TOP / "build" / name / "bin" for name in ("release", "dev", "bench")]
    for b in map(pathlib.Path, choices):
        if (b / "modelpd").exists():
            os.environ["MPD_BIN_DIR"] = str(b.resolve())
            return b
    sys.exit(f"no modelpd in {', '.join(map(str, choices))}: build first, or name its folder with --bin")


class Checks:
    def __init__(self):
        self.failed = self.passed = 0

    @contextlib.contextmanager
    def check(self, name):
        """`with checks.check("...") as say: say("a figure")`: what raises inside is a failed check, not the end."""
        said = []
        start = time.monotonic()
        try:
            yield said.append
        except Exception as e:  # pylint: disable=broad-except
            self.failed += 1
            at = traceback.extract_tb(e.__traceback__)[-1]
            why = (str(e) or type(e).__name__).splitlines()[0][:300]
            print(f"FAIL  {name}: {why} ({pathlib.Path(at.filename).name}:{at.lineno})", flush=True)
        else:
            self.passed += 1
            more = f": {', '.join(said)[:160]}" if said else ""
            print(f"ok    {name}{more}  [{time.monotonic() - start:.1f} s]", flush=True)

    def end(self):
        print(f"{self.passed} passed, {self.failed} failed")
        return 1 if self.failed else 0


def equal(got, wanted):
    assert got == wanted, f"{got!r} instead of {wanted!r}"


def until(condition, seconds, what):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        time.sleep(0.02)


def bounded(seconds):
    """Whatever hangs, ends."""
    def end():
        print(f"not done within {seconds} s", flush=True)
        os._exit(2)
    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
