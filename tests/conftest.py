"""Fences around every test, before anything is imported: no real credentials, home or network."""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import tempfile
from pathlib import Path

import hypothesis
import pytest

_HOME = tempfile.mkdtemp(prefix="kit-tests-home-")
atexit.register(shutil.rmtree, _HOME, ignore_errors=True)
_DEAD = "http://127.0.0.1:9"
"""Port 9 is discard: a request that slips out fails at once."""

for _name in (
    "KAGGLE_API_TOKEN",
    "KAGGLE_CONFIG_DIR",
    "KIT_KAGGLE_ENDPOINT",
    "KIT_INPUT_DIR",
    "KIT_WORKING_DIR",
):
    os.environ.pop(_name, None)
os.environ |= {
    "HOME": _HOME,
    "KAGGLE_USERNAME": "tester",
    "KAGGLE_KEY": "0" * 32,
    "HTTP_PROXY": _DEAD,
    "HTTPS_PROXY": _DEAD,
    "NO_PROXY": "127.0.0.1,localhost",
    "HF_HUB_OFFLINE": "1",
    "HF_HOME": f"{_HOME}/huggingface",
    "TOKENIZERS_PARALLELISM": "false",
    "OMP_WAIT_POLICY": "passive",
}

# A job in the background ignores these, and so would every child that a test sends them to.
for _number in (signal.SIGINT, signal.SIGHUP):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, lambda *_: None)

# A machine that runs other things too must not fail a property; a continuous run repeats the same cases.
hypothesis.settings.register_profile("kit", deadline=None, derandomize=bool(os.environ.get("CI")))
hypothesis.settings.load_profile("kit")

pytest_plugins = ["kaggle_fixtures"]

TABLES = {
    "test_a_fault_is_borne_or_said": {
        *("push refuse-push", "push lose-answer", "push drop-model", "watch cut-stream", "watch never-ends"),
        *("watch status 404 always", "watch control characters", "pull expired links", "pull truncate"),
        *("pull html file", "pull half published", "pull lost file", "pull name '../../x'", "submit limit"),
        *("submit lose-answer", "submit score-error", "all none", "all dead-rank", "all wrong-bundle"),
    },
    "test_the_command_ends_and_leaves_what_it_does": {"push lose-answer", "output html file"},
    "test_a_clock_that_is_too_short_gives_what_can_be_had_in_it": {"0.5-training"},
    "test_what_hangs_while_loading_is_stopped": set(),
    "test_a_killed_rank_costs_what_both_had_learned_and_two_seeds_take_its_place": set(),
    "test_a_killed_member_costs_its_own_answers_only": set(),
    "test_a_killed_kernel_leaves_no_process_and_what_resume_needs": {""},
    "test_sigterm_leaves_the_record_and_as_the_last_file_the_list_of_outputs": {'training-"event": "step"'},
    "test_a_download_that_hangs_ends_the_run_with_the_way_out": set(),
    "test_a_run_whose_only_member_learns_no_number_fails": set(),
    "test_one_member_on_two_ranks_answers_every_row_and_learns_the_same": set(),
    "test_a_sweep_that_runs_out_of_time_names_the_points_that_it_skipped": set(),
    "test_a_verb_survives_kills_and_full_disks": {"push", "pull", "submit", "init"},
    "test_the_next_verb_mends_it": {"interrupted", "pins changed"},
    "test_an_odd_competition_is_scored": {"imperfect"},
    "test_two_of_each_verb_at_once": set(),
    "test_a_full_disk_leaves_nothing_half_written": set(),
    "test_five_hundred_pulls_under_random_faults_end_whole_or_refused": {"observed"},
}
"""Tables of many faults, by test: the cases that `make test` runs. `make e2e` runs them whole."""


def pytest_xdist_auto_num_workers() -> int:
    """Two workers a core: about half of the tests wait for servers and children."""
    return 2 * len(os.sched_getaffinity(0))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what talks to a Kaggle on this machine or starts many processes, and the tables of faults."""
    for item in items:
        if (telling := TABLES.get(getattr(item, "originalname", item.name))) is not None:
            case = item.callspec.id if hasattr(item, "callspec") else ""
            item.add_marker("table")
            if case not in telling:
                item.add_marker("more")
        if {"local_kaggle", "remote", "e2e"} & set(item.path.parts):
            item.add_marker("loop")


@pytest.fixture(scope="session")
def tiny_model() -> Path:
    """The tiny model of the dry run, made once and kept in models/."""
    from kit.fetch import inputs, tiny_model

    folder = inputs.MODELS / inputs.TINY
    tiny_model.make(folder)
    return folder
