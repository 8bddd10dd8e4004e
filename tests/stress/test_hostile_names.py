"""Names of files and cells of tables, thousands of them."""

import time

import pytest
from hypothesis import HealthCheck, given, settings
from stress import hostile_names

EXAMPLES = 1500  # of each check


CHECKS = {
    "names in a zip": (hostile_names.NAMES, lambda names: hostile_names.check_archive(names, "zip")),
    "names in a tar": (hostile_names.NAMES, lambda names: hostile_names.check_archive(names, "tar")),
    "names of class folders": (hostile_names.NAMES, hostile_names.check_folders),
    "cells of a csv, quoted": (hostile_names.ROWS, lambda rows: hostile_names.check_table(rows, raw=False)),
    "cells of a csv, not quoted": (hostile_names.ROWS, lambda rows: hostile_names.check_table(rows, raw=True)),
}


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", CHECKS)
def test_any_name_is_right_or_told(name, share, figure):
    strategy, check = CHECKS[name]
    count, start = share(EXAMPLES), time.monotonic()

    @settings(max_examples=count, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(strategy)
    def all_of_them(example):
        check(example)

    all_of_them()  # raises with the smallest example that is wrong
    figure(f"faults with hostile {name}", 0, "faults", "0", True, count, seconds=time.monotonic() - start)
