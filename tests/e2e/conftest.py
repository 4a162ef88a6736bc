import os
import pathlib
import random
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from harness.daemon import Daemon, Home  # noqa: E402
from harness.provider import Provider  # noqa: E402


def pytest_report_header():
    return f"MPD_TEST_SEED={SEED}"


# A case that cannot run is reported with its reason; where CI is set it fails, so that none is lost unseen.
CI = bool(os.environ.get("CI"))


def fail_if_skipped(report):
    if CI and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        report.outcome = "failed"
        report.longrepr = f"a skip is a failure here (CI is set): {reason}"


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    fail_if_skipped((yield).get_result())


@pytest.hookimpl(hookwrapper=True)
def pytest_make_collect_report(collector):
    fail_if_skipped((yield).get_result())


SEED = int(os.environ.get("MPD_TEST_SEED") or random.randrange(1 << 32))


@pytest.fixture
def rng():
    """Random, but repeatable with MPD_TEST_SEED."""
    return random.Random(SEED)


@pytest.fixture
def daemon():
    d = Daemon()
    yield d
    d.close()


@pytest.fixture
def home():
    """A person's folders without a daemon; whatever was started on them is stopped."""
    h = Home()
    yield h
    h.mpc("daemon", "stop", "--now")
    h.remove()


@pytest.fixture
def make_daemon():
    made = []

    def make(*args, **kw):
        made.append(Daemon(*args, **kw))
        return made[-1]

    yield make
    for d in made:
        d.close()


@pytest.fixture
def provider():
    p = Provider()
    yield p
    p.close()


@pytest.fixture
def make_provider():
    made = []

    def make(*args, **kw):
        made.append(Provider(*args, **kw))
        return made[-1]

    yield make
    for p in made:
        p.close()
