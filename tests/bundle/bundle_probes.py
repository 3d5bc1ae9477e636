"""Scripts that show whether a bundler lost something of the tree of `probe_package`.

Each probe is the text of an entry, `kernel/main.py`; its imports start at `src`. No assertion stands here:
a probe's output, exit status and traceback are compared between the tree and its bundle.
"""

from __future__ import annotations

_POOL = """
import concurrent.futures
import multiprocessing
import traceback

from pkg.work import Point, double, refuse


class Mine(Point):
    pass


def triple(point):
    return Mine(3 * point.x)


def fail(point):
    raise RuntimeError(f"main cannot take {point}")


if __name__ == "__main__":
    context = multiprocessing.get_context("START")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
        print(list(pool.map(double, [Point(1), Point(2)])), list(pool.map(triple, [Point(3), Mine(4)])))
        print(pool.submit(triple, Mine(5)).result() == Mine(15))
        for broken in refuse, fail:
            # Not result(), whose own line in a traceback depends on who is faster.
            traceback.print_exception(pool.submit(broken, Point(1)).exception())
    process = context.Process(target=fail, args=(Mine(6),), name="child")
    process.start()
    process.join()
    print(process.exitcode)
"""

PROBES: dict[str, str] = {
    "imports": """
import importlib
import sys

import pkg.latin
import sibling
import space.part.thing
from pkg import DEPTH, future, no_newline

print(DEPTH(), pkg.latin.WORD, sibling.WORD, space.part.thing.THING, future.NOTES, no_newline.END)
print(importlib.import_module("pkg.crlf_module").whole().encode())
print(importlib.import_module(".work", "pkg").__name__)
print(type(space.__path__).__name__, pkg.__spec__.submodule_search_locations == pkg.__path__)
try:
    from . import nothing
except ImportError as error:
    print(error)
try:
    import pkg.absent
except ModuleNotFoundError as error:
    print(error)
""",
    "resources": """
import hashlib
import importlib.resources
import pkgutil
from pathlib import Path

import pkg
import pkg.inner

files = importlib.resources.files(pkg)
for path in sorted(path for path in files.iterdir() if path.is_file()):
    print(ascii(path.name), hashlib.sha256(path.read_bytes()).hexdigest())
print(files.joinpath("data.txt").read_text("utf-8"), pkgutil.get_data("pkg", "crlf.txt"))
with importlib.resources.as_file(files / "raw.bin") as path:
    print(path.stat().st_size)
print(Path(__file__).with_name("beside.txt").read_text(), Path(pkg.__file__).parent.name)
print(sorted(module.name for module in pkgutil.walk_packages(pkg.__path__, "pkg.")))
""",
    "source": """
import inspect

import pkg.boom
import pkg.crlf_module
from pkg.work import Point, double


class Here:
    '''A class of the script.'''


def here():
    text = '''with
    lines'''
    return text


for thing in (double, Point, Point.__eq__, pkg.boom, pkg.boom.later, pkg.crlf_module.whole, Here, here):
    print(inspect.getsource(thing))
print(inspect.getmodule(double).__name__, inspect.getsourcelines(here)[1], repr(pkg.boom.LATER))
""",
    "globals": """
import sys

print(sorted(globals()), __name__, __doc__, __package__, __cached__)
print(sys.modules["__main__"].__dict__ is globals(), sys.argv[1:], __annotations__, __builtins__.__name__)
x: int = 1
print(__annotations__, [name for name in sys.modules if "bundle" in name])
""",
    "stdin": """
print(input(), input())
import sys
print(sys.stdin.read())
""",
    "exit status": "import sys\nprint('out')\nsys.exit(3)\n",
    "exit with text": "import sys\nsys.exit('gone: ünïcödé')\n",
    "exit with nothing": "raise SystemExit\n",
    "exit at once": "import os\nos._exit(7)\n",
    "exit handlers": """
import atexit
import sys

atexit.register(lambda: print("last", sys.exc_info()))
atexit.register(print, "first")
raise RuntimeError("in between")
""",
    "interrupt": "import signal\nsignal.raise_signal(signal.SIGINT)\n",
    "terminated": "import os, signal\nos.kill(os.getpid(), signal.SIGTERM)\n",
    "killed": "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n",
    "traceback": "import pkg.boom\n\n\ndef run():\n    pkg.boom.raise_it('ä')\n\n\nrun()\n",
    "chained traceback": "from pkg.boom import chain\n\nchain()\n",
    "traceback of a group": "from pkg.boom import group\n\ngroup()\n",
    "traceback of a coroutine": "import asyncio\n\nfrom pkg.boom import later\n\nasyncio.run(later())\n",
    "traceback of an import": "import pkg.inner\nimport pkg.work\n\npkg.work.Point.nothing\n",
    "traceback as text": """
import logging
import traceback
import warnings

from pkg.boom import chain

try:
    chain()
except KeyError:
    print(traceback.format_exc())
    logging.exception("logged")
warnings.warn("the script warns")
eval("1 +")
""",
    "traceback through a hook": """
import sys
import traceback

from pkg.boom import chain


def show(kind, value, trace):
    print(kind.__name__, len(traceback.extract_tb(trace)), value.__traceback__ is trace)
    sys.__stderr__.write("".join(traceback.format_exception(value)))


sys.excepthook = show
chain()
""",
    "traceback of a thread": """
import threading

from pkg.boom import chain

thread = threading.Thread(target=chain, name="one")
thread.start()
thread.join()
thread = threading.Thread(target=exit, name="two")
thread.start()
thread.join()
print("still here")
""",
    "python -m": """
import subprocess
import sys

print(subprocess.run([sys.executable, "-m", "pkg.child", "a", "b"]).returncode, flush=True)
print(subprocess.run([sys.executable, "-c", "import pkg.boom; pkg.boom.chain()"]).returncode)
""",
    "itself again": """
import os
import subprocess
import sys

print(sys.argv[1:], flush=True)
if len(sys.argv) < 3:
    for script in sys.argv[0], os.path.abspath(__file__):
        print(subprocess.run([sys.executable, script, "once", "more"]).returncode, flush=True)
""",
    "pool by spawn": _POOL.replace("START", "spawn"),
    "pool by forkserver": _POOL.replace("START", "forkserver"),
    "pool by fork": _POOL.replace("START", "fork"),
}
