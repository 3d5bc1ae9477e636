"""Run a notebook as Kaggle does: every cell in turn, its output as it comes, the first error ends it.

Given to the kernel's interpreter as text, `python -c TEXT NOTEBOOK FOLDER`, since the sandbox hides this
file. Leaves `__notebook__.ipynb` with the outputs in the folder it works in.
"""

import os
import sys
import tempfile
from pathlib import Path

for name in ("JUPYTER_RUNTIME_DIR", "JUPYTER_DATA_DIR", "IPYTHONDIR", "MPLCONFIGDIR"):
    os.environ[name] = tempfile.mkdtemp()

import nbformat  # noqa: E402
from nbclient import NotebookClient  # noqa: E402
from nbclient.exceptions import CellExecutionError  # noqa: E402


class Streaming(NotebookClient):  # type: ignore[misc]  # nbclient is untyped
    """Shows what a cell prints while it prints it."""

    def process_message(self, msg: dict[str, dict[str, str]], cell: object, cell_index: int) -> object:
        """Pass a stream's text on, then let nbclient keep it."""
        said = msg["content"]
        if stream := {"stdout": sys.stdout, "stderr": sys.stderr}.get(said.get("name", "")):
            print(said["text"], end="", file=stream, flush=True)
        return super().process_message(msg, cell, cell_index)


def main(path: str, folder: str) -> int:
    """Execute and return the exit status."""
    made = nbformat.read(path, as_version=4)
    client = Streaming(made, timeout=None, resources={"metadata": {"path": folder}})
    client.km = client.create_kernel_manager()
    client.km.transport = "ipc"  # a sandbox may have no network, not even its own
    try:
        client.execute()
    except CellExecutionError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    finally:
        nbformat.write(made, Path(folder, "__notebook__.ipynb"))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
