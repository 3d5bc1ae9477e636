"""A bundle under torchrun and with DataLoader workers: what a launcher starts sees the tree too."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest
from probe_package import plant
from test_script_runs import alone, bundled

pytestmark = [
    pytest.mark.slow,
    pytest.mark.train,
    pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="torch is not installed"),
]

RANK = b"""
import os
import sys

import torch
import torch.distributed as dist

from pkg.boom import chain

dist.init_process_group("gloo")
total = torch.ones(1)
dist.all_reduce(total)
os.write(1, f"rank {dist.get_rank()} sum {total.item()} {sys.argv[1:]}\\n".encode())  # in one piece
dist.destroy_process_group()
if sys.argv[1:] == ["fail"]:
    chain()
"""

LAUNCH = """
import subprocess
import sys

torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--standalone"]
sys.exit(subprocess.run([*torchrun, *TARGET, *sys.argv[1:]]).returncode)
"""

WORKERS = """
import torch.utils.data

from pkg.work import Point


class Squares(torch.utils.data.Dataset):
    def __len__(self):
        return 4

    def __getitem__(self, index):
        return Point(index).x ** 2


if __name__ == "__main__":
    for context in "fork", "spawn":
        options = {"num_workers": 1, "multiprocessing_context": context}
        loader = torch.utils.data.DataLoader(Squares(), batch_size=2, **options)
        print([batch.tolist() for batch in loader])
"""


def script(tmp_path: Path, entry: str) -> Path:
    """Bundle the probes' tree with this entry and with pkg.rank."""
    plant(tmp_path / "tree", entry)
    (tmp_path / "tree/src/pkg/rank.py").write_bytes(RANK)
    made = bundled(tmp_path / "tree", tmp_path / "script.py")
    (tmp_path / "tree").rename(tmp_path / "gone")
    return made


@pytest.mark.parametrize(
    "target", ['["-m", "pkg.rank"]', '[__file__.replace("kernel/main.py", "src/pkg/rank.py")]']
)
def test_torchrun(target: str, tmp_path: Path) -> None:
    """torchrun started by the script runs two ranks of a module, or of a file, of the tree."""
    made = script(tmp_path, LAUNCH.replace("TARGET", target))
    status, out, errors = alone(sys.executable, made, "go", top=tmp_path)
    assert status == 0, errors
    assert sorted(out.splitlines()) == ["rank 0 sum 2.0 ['go']", "rank 1 sum 2.0 ['go']"]
    assert list((tmp_path / "away").iterdir()) == []


def test_a_rank_that_fails(tmp_path: Path) -> None:
    """Its traceback names the file of the tree, and the script fails with it."""
    made = script(tmp_path, LAUNCH.replace("TARGET", '["-m", "pkg.rank"]'))
    status, _, errors = alone(sys.executable, made, "fail", top=tmp_path)
    assert status == 1
    assert '/src/pkg/boom.py", line ' in errors
    assert 'raise KeyError("second") from error' in errors


def test_data_loader_workers(tmp_path: Path) -> None:
    """Workers of a DataLoader, forked or spawned, unpickle a dataset that the script defines."""
    made = script(tmp_path, WORKERS)
    status, out, errors = alone(sys.executable, made, top=tmp_path)
    assert (status, out) == (0, "[[0, 1], [4, 9]]\n" * 2), errors
