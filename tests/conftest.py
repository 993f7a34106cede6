"""For all tests: in continuous integration nothing is skipped, for a skipped test proves nothing.

And which run side by side, for they are several processes': those that start the same servers stay together.
"""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadScopeScheduling

TESTS = Path(__file__).parent
STRICT = os.environ.get("CI") == "true"

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # Whom a shell runs in the background ignores ^C, and so would the clients that are interrupted here.
    signal.signal(signal.SIGINT, signal.default_int_handler)

# How fast an example runs says more about the machine's other work than about the code.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")

FIRST = ("kernel", "probe", "contract", "clients", "door", "unit")
"""The order of the directories: what takes longest in one piece begins first."""
APART = re.compile(
    r"tests/(?:contract|clients)/.*?\[([^-\]]*)"  # the server, or the client
    r"|tests/probe/test_crash_points.*?\[([^,\]]*)"  # the change that is made
)
"""Where what a module's tests have in common is told by the beginning of their parameters, that is how."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the long ones first."""
    items.sort(key=lambda item: FIRST.index(item.path.relative_to(TESTS).parts[0]))


class Shares(LoadScopeScheduling):  # type: ignore[misc]  # it has no types
    """What several processes get to do: tests that start the same servers stay in one of them."""

    def _split_scope(self, nodeid: str) -> str:
        """Name those with whom a test stays."""
        module, _, _ = nodeid.partition("::")
        if module.startswith(f"{TESTS.name}/kernel/"):
            return "the guest"
        if found := APART.match(nodeid):
            return f"{module} {found[1] or found[2]}"
        return module


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """Share the tests out, where there are several processes."""
    return Shares(config, log)


def _as_failure(report: pytest.TestReport | pytest.CollectReport) -> None:
    if STRICT and report.outcome == "skipped" and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"with CI=true nothing may be skipped: {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let a skipped test fail."""
    report = yield
    _as_failure(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Let a skipped module fail."""
    report = yield
    _as_failure(report)
    return report
