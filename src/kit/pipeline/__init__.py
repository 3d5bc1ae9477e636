"""Answer: train members, score the test rows, leave the files of a run. Runs inside the kernel."""
