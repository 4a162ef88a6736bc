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
