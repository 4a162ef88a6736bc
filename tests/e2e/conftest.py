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


# Only root can give files to somebody else, be another user, or look at /proc of a daemon that hides from its own user.
NEEDS_ROOT = {
    "test_F66_an_unreachable_network", "test_no_descriptor_is_left_after_failures",
    "test_F110_arguments_and_environment_of_every_process", "test_F111_the_same_user_cannot_look_inside",
    "test_F43_another_user_gets_no_byte", "test_F43_root_gets_no_byte_from_another_users_daemon",
    "test_F45_a_replaced_socket_is_noticed_and_refused", "test_F46_mpc_sends_nothing_to_a_server_of_another_user",
    "test_F61_a_client_that_vanishes_cancels_upstream", "test_F64_passed_descriptors_are_not_kept",
    "test_F17_foreign_owner_is_refused", "test_F44_unsafe_runtime_paths_are_refused",
    "test_F120_the_daemon_does_not_inherit_the_shell", "test_F40_closed_standard_descriptors",
    "test_F41_a_hostile_environment_is_dropped", "test_F113_no_copy_of_a_key_is_left",
    "test_F113_without_wiping_the_search_finds_some", "test_F113_a_key_that_came_by_mpc",
    "test_F113_after_lock_there_is_none", "test_F110_nothing_in_proc_during_any_command",
}


def pytest_collection_modifyitems(items):
    if os.geteuid() == 0:
        return
    for item in items:
        if item.originalname in NEEDS_ROOT:
            item.add_marker(pytest.mark.skip(reason="needs root: run it as root to see it"))


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
