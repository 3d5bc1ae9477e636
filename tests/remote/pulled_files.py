"""What a pull of GOOD_SCRIPT brings home."""

import json

from kit.remote.runs import Run

BARE = ["little-kernel-tiny/v1/push.json"]  # what stands there before a pull, and after one that was refused


WHOLE = [
    f"little-kernel-tiny/v1/{name}"
    for name in ("adapter/weights.bin", "kernel.log", "outputs.json", "pull.json", "push.json", "run.json",
                 "submission.csv")
]  # fmt: skip


WEIGHTS = bytes(range(256)) * 40


LISTING = "ListKernelSessionOutput"


def is_right(run: Run) -> bool:
    """Tell whether the outputs are byte for byte what the kernel wrote."""
    return (
        (run.folder / "adapter" / "weights.bin").read_bytes() == WEIGHTS
        and json.loads((run.folder / "run.json").read_text())["bundle_hash"] == run.bundle_hash
        and len((run.folder / "submission.csv").read_text().splitlines()) == 5
    )
