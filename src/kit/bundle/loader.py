"""Unpack a bundle, run its entry as the script, show child processes the same tree.

This text, less its comments and types, stands in every bundle and, as sitecustomize, beside every unpacked
tree: it stays small and needs the standard library alone. It does not choose what is bundled, and does
nothing when imported.
"""

# Importing pathlib would slow every child.
# ruff: noqa: PTH100, PTH103, PTH104, PTH112, PTH120, PTH122, PTH123
from __future__ import annotations

import os
import sys
from importlib import import_module, machinery
from types import CodeType


def manifest(files: dict[str, bytes], entry: str, source_root: str, config: object) -> dict[str, object]:
    """Return what bundle.json says; bundle_hash covers paths, bytes, entry and config, nothing else.

    `config` is JSON values with sorted keys.
    """
    import json
    from hashlib import sha256

    hashes = {path: sha256(files[path]).hexdigest() for path in sorted(files)}
    digest = sha256(json.dumps([entry, config, hashes]).encode()).hexdigest()
    head = {"schema": 1, "bundle_hash": digest, "entry": entry, "source_root": source_root}
    return {**head, "config": config, "files": hashes}


def _home() -> str:
    for parent in filter(os.path.isdir, (os.environ.get("TMPDIR", ""), "/tmp", "/var/tmp")):  # noqa: S108
        home = f"{os.path.realpath(parent)}/bundles-{os.getuid()}"
        try:
            os.makedirs(home, 0o700, exist_ok=True)
            found = os.lstat(home)
        except OSError:
            continue
        # A link, or a folder that others own or may write, could change under us.
        if found.st_mode & 0o170077 == 0o40000 and found.st_uid == os.getuid():
            return home
    raise OSError("no private temporary folder: set TMPDIR")


def _holds(folder: str, files: dict[str, bytes]) -> bool:
    try:
        for path, data in files.items():
            with open(f"{folder}/{path}", "rb") as file:
                if file.read() != data:
                    return False
    except OSError:
        return False
    return True


def unpack(files: dict[str, bytes], name: str) -> str:
    """Return a private folder that holds these bytes, written anew where it is missing or damaged."""
    import fcntl

    home = _home()
    folder = f"{home}/{name}"
    if _holds(folder, files):
        return folder
    with open(f"{home}/lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        # Of many ranks that start at once, one writes.
        if not _holds(folder, files):
            fresh = f"{folder}-{os.urandom(8).hex()}"
            for path, data in files.items():
                os.makedirs(os.path.dirname(f"{fresh}/{path}"), exist_ok=True)
                with open(f"{fresh}/{path}", "wb") as file:
                    file.write(data)
            # Set aside and not deleted: a process may still be running from it.
            if os.path.lexists(folder):
                os.rename(folder, f"{fresh}-damaged")
            os.rename(fresh, folder)
    return folder


def _renamed(code: CodeType, name: str) -> CodeType:
    inner = [_renamed(value, name) if isinstance(value, CodeType) else value for value in code.co_consts]
    return code.replace(co_filename=name, co_consts=tuple(inner))


def install(tree: str) -> type[machinery.SourceFileLoader]:
    """Give code below `tree` its path there as its name in tracebacks; return the loader that does it.

    `__file__` stays absolute, so data beside a module is found; `inspect.getfile` of a function is relative.
    Neither a relative entry of sys.path nor a cached pyc keeps such a name, hence the loader. A file that a
    child runs by its path keeps that path.
    """

    class Loader(machinery.SourceFileLoader):
        def get_code(self, fullname: str) -> CodeType | None:
            import linecache

            code, name = super().get_code(fullname), os.path.relpath(self.path, tree)
            # A time of None keeps the entry: a file of that name below the working directory is another one.
            linecache.cache[name] = 0, None, linecache.getlines(self.path), self.path
            return code and _renamed(code, name)

    def hook(path: str) -> machinery.FileFinder:
        if not f"{path}/".startswith(f"{tree}/") or not os.path.isdir(path):
            raise ImportError
        extension = machinery.ExtensionFileLoader, machinery.EXTENSION_SUFFIXES
        return machinery.FileFinder(path, extension, (Loader, machinery.SOURCE_SUFFIXES))

    sys.path_hooks.insert(0, hook)
    sys.path_importer_cache.clear()
    # The printers below 3.13 look for source text by base name alone.
    if sys.version_info < (3, 13) and sys.excepthook is sys.__excepthook__:
        # Imported now: done while an interrupt is being printed, it would change the exit status.
        import threading
        import traceback

        def in_thread(args: threading.ExceptHookArgs) -> None:
            if args.exc_type is not SystemExit:
                print(f"Exception in thread {args.thread and args.thread.name}:", file=sys.stderr)
                traceback.print_exception(*args[:3])

        sys.excepthook, threading.excepthook = traceback.print_exception, in_thread
    return Loader


def as_sitecustomize(file: str, entry: str) -> None:
    """In a child, install the hook, step aside and let the next sitecustomize run.

    A child started with -I, -E or -S, or without PYTHONPATH, does without: it finds no module of the tree by
    itself, as it would not at home.
    """
    folder = os.path.dirname(os.path.abspath(file))
    tree = f"{os.path.dirname(folder)}/tree"
    install(tree)
    sys.path[:] = [path for path in sys.path if path != folder]
    # Last, so that it hides nothing: launchers start `python -m` with the name of the script's spec.
    sys.path.append(os.path.dirname(f"{tree}/{entry}"))
    del sys.modules["sitecustomize"]
    import_module("sitecustomize")


def start(scope: dict[str, object], stored: dict[str, str | bytes], *words: str) -> None:
    """Run the entry in `scope`, the script's globals; with --manifest alone, print what is inside instead.

    `stored` holds text after one line feed, or bytes; `words` are the config as JSON, this text, the entry
    and the import root.
    """
    import json
    from hashlib import sha256

    config, text, entry, source_root = words
    files = {path: data[1:].encode() if isinstance(data, str) else data for path, data in stored.items()}
    listing = json.dumps(manifest(files, entry, source_root, json.loads(config)), indent=1)
    if sys.argv[1:] == ["--manifest"]:
        print(listing)
        return
    files["bundle.json"] = listing.encode()
    # Names are UTF-8 whatever the locale says.
    files = {f"tree/{os.fsdecode(path.encode())}": data for path, data in files.items()}
    entry, source_root = os.fsdecode(entry.encode()), os.fsdecode(source_root.encode())
    files["hook/sitecustomize.py"] = f"{text}\nas_sitecustomize(__file__, {entry!a})\n".encode()
    root = unpack(files, sha256((listing + text).encode()).hexdigest()[:32])
    source = os.path.normpath(f"{root}/tree/{source_root}")
    paths = f"{root}/hook", source, os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = ":".join(filter(None, paths))
    _run(scope, f"{root}/tree/{entry}", source, install(f"{root}/tree"))


def _run(scope: dict[str, object], path: str, source: str, load: type[machinery.SourceFileLoader]) -> None:
    folder, name = os.path.split(path)
    name = os.path.splitext(name)[0]
    # As for any script: its folder first, unless the interpreter was told otherwise.
    own = [] if sys.flags.safe_path else [folder]
    sys.path[: len(own)] = [*own, source]
    # A spawned child imports the entry by the name of its spec; where that finds another, by __file__.
    spec = machinery.PathFinder.find_spec(name)
    if spec and (spec.origin != path or name in {"__main__", *sys.stdlib_module_names}):
        spec = None
    for key in scope.keys() - {"__name__", "__builtins__", "__annotations__"}:
        del scope[key]
    loader = load(name, path)
    scope.update(
        __doc__=None, __package__=None, __loader__=loader, __spec__=spec, __file__=path, __cached__=None
    )
    code = loader.get_code(name)
    try:
        exec(code, scope)  # type: ignore[arg-type]  # noqa: S102  (a file always has code)
    except BaseException as error:
        # Whatever hook the script has set by now, it sees the script's own frames and no others.
        trace = error.__traceback__
        while trace and trace.tb_frame.f_code is not code:
            trace = trace.tb_next
        show = sys.excepthook
        sys.excepthook = lambda kind, value, _: show(kind, value.with_traceback(trace), trace)
        raise
