"""Things that go wrong between a client and Kaggle, as values that a test arms on a running server.

A fault names the route it strikes, how many requests it lets pass, how many it spoils, and what it does to
them. It changes answers, not the records behind them. `times=ALWAYS` never ends, and
`replace(fault, skip=N)` begins later. NAMED holds the common ones for the command line.
"""

import gzip
import json
import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from local_kaggle.state import REASONS

ALWAYS = 1 << 30

Json = dict[str, Any]

_ERROR_PAGE = (
    b"<!DOCTYPE html><html><head><title>Kaggle</title></head><body>Please try again later.</body></html>"
)


@dataclass(frozen=True)
class Fault:
    """One fault. What is set is done, in the order of the fields."""

    route: str
    """API methods ("SaveKernel") or links ("output", "signed", "upload"), between commas; "*" is any."""
    times: int = 1
    """Requests that it spoils."""
    skip: int = 0
    """Requests that it lets pass first."""
    delay_seconds: float = 0.0
    drop: Literal["", "before", "after"] = ""
    """Reset the connection before the work, or after it: then the work is done and its answer is lost."""
    status: int = 0
    """Answer this instead of doing the work, with `headers` and `body`."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Replace headers of the answer; an empty value leaves one out."""
    body: bytes = b""
    edit_request: Callable[[Json], Json] | None = None
    edit_answer: Callable[[Json, Json], Json] | None = None
    """Change an answer (second argument), knowing the request (first) as the client sent it."""
    edit_body: Callable[[bytes], bytes] | None = None
    """Change the bytes of a file or of an answer; Content-Length fits the result."""
    keep_bytes: int | None = None
    """Announce the whole body, send this much of it and cut the connection."""
    seconds_per_byte: float = 0.0
    endless: bool = False
    """Send the body again and again until the client leaves."""
    ignore_range: bool = False
    """Send the whole file whatever part was asked for."""
    cut_after_events: int | None = None
    """Cut a live log stream after so many events, without its end mark."""


class Faults:
    """The faults armed on one server. Several may strike the same request."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._armed: list[tuple[Fault, list[int]]] = []

    def arm(self, fault: Fault) -> Fault:
        """Arm a fault and give it back, to ask `struck` about it later."""
        self._armed.append((fault, [0]))
        return fault

    def clear(self) -> None:
        self._armed.clear()

    def take(self, route: str) -> list[Fault]:
        """Give the faults that strike this request and count it for each."""
        with self._lock:
            met = [one for one in self._armed if {"*", route}.intersection(one[0].route.split(","))]
            for _, seen in met:
                seen[0] += 1
        return [fault for fault, (seen,) in met if fault.skip < seen <= fault.skip + fault.times]

    def struck(self, fault: Fault) -> int:
        """Count the requests that this very fault has spoiled."""
        seen = next(count[0] for armed, count in self._armed if armed is fault)
        return max(0, min(seen - fault.skip, fault.times))


def status(
    route: str, code: int, message: str = "injected failure", *,
    retry_after_seconds: float | str | None = None, nested: bool = False, times: int = 1,
) -> Fault:  # fmt: skip
    """Answer an HTTP error with one of Kaggle's JSON bodies; Retry-After may also be a date or nonsense."""
    body: Json = {"code": code, "message": message}
    if nested:
        body = {"error": body | {"status": REASONS.get(code, "UNKNOWN")}}
    fault = answer(route, body, times=times)
    after = {} if retry_after_seconds is None else {"Retry-After": str(retry_after_seconds)}
    return replace(fault, status=code, headers={**fault.headers, **after})


def raw(
    route: str, body: bytes, content_type: str = "application/json", *, code: int = 200, times: int = 1
) -> Fault:
    """Answer these bytes instead of doing the work."""
    return Fault(route, times, status=code, headers={"Content-Type": content_type}, body=body)


def html(route: str, code: int = 200, *, content_type: str = "text/html", times: int = 1) -> Fault:
    """Answer with a web page where JSON or a file is due."""
    return raw(route, _ERROR_PAGE, content_type, code=code, times=times)


def answer(route: str, payload: object, *, times: int = 1) -> Fault:
    """Answer this JSON instead of doing the work."""
    return raw(route, json.dumps(payload).encode(), times=times)


def forget(route: str, *names: str, times: int = 1) -> Fault:
    """Overlook fields of the request: without `versionLabel` the newest version answers."""
    return Fault(route, times, edit_request=lambda request: _without(request, names))


def amend(route: str, changes: Json, *, times: int = 1) -> Fault:
    """Do the work, then overwrite fields of the answer."""
    return Fault(route, times, edit_answer=lambda _, payload: payload | changes)


def leave_out(route: str, *names: str, times: int = 1) -> Fault:
    """Do the work, then drop fields of the answer."""
    return Fault(route, times, edit_answer=lambda _, payload: _without(payload, names))


def judge(changes: Json) -> Fault:
    """Overwrite fields of every submission that is looked at, alone or in a list."""

    def edit(_: Json, payload: Json) -> Json:
        listed = [one | changes for one in payload.get("submissions", [])]
        return payload | changes | {"submissions": listed}

    return Fault("GetSubmission,ListSubmissions", ALWAYS, edit_answer=edit)


def of_files(edit: Callable[[Json], list[Json]], *, times: int = ALWAYS, **changes: object) -> Fault:
    """Put others in the place of each output that is listed, and overwrite fields of the answer."""

    def edit_all(_: Json, payload: Json) -> Json:
        return payload | {"files": [new for file in payload.get("files", []) for new in edit(file)]} | changes

    return Fault("ListKernelSessionOutput", times, edit_answer=edit_all)


def half_published(*names: str, times: int = 1) -> Fault:
    """List the outputs without these, and without a log, for some looks."""
    return of_files(lambda file: [file] if file["fileName"] not in names else [], times=times, log="")


def drop_source(kind: str) -> Fault:
    """Run the kernel without its sources of one kind and list them as invalid in the answer."""
    asked, listed = f"{kind}DataSources", f"invalid{kind.capitalize()}Sources"
    return Fault(
        "SaveKernel",
        edit_request=lambda request: _without(request, (asked,)),
        edit_answer=lambda request, payload: payload | {listed: request.get(asked, [])},
    )


def run_instead(script: str) -> Fault:
    """Run another script than the one that was pushed."""
    return Fault("SaveKernel", edit_request=lambda request: request | {"text": script})


def _without(fields: Json, names: Collection[str]) -> Json:
    return {key: value for key, value in fields.items() if key not in names}


_ONE_RANK_DIED = """import sys
print("[rank1]: Traceback (most recent call last):", file=sys.stderr)
print('[rank1]:   File "train.py", line 1, in <module>', file=sys.stderr)
print("[rank1]: RuntimeError: CUDA error: out of memory", file=sys.stderr)
raise RuntimeError("torch.distributed.elastic.multiprocessing.errors.ChildFailedError")
"""

_LIMIT_REACHED = (
    "Submission not allowed: Your team has used its daily Submission allowance (5) today, please try again"
    " tomorrow UTC (4.2 hours from now)."
)

_NOT_SCORED = {"status": "ERROR", "publicScore": ""}

NAMED: Mapping[str, Fault] = {
    "refuse-push": answer("SaveKernel", {"error": "Maximum batch GPU session count of 2 reached."}),
    "no-quota": answer("SaveKernel", {"error": "Maximum weekly GPU quota of 30.00 hours reached."}),
    **{f"drop-{kind}": drop_source(kind) for kind in ("dataset", "competition", "kernel", "model")},
    "lose-answer": Fault("SaveKernel", drop="after"),
    "reset": Fault("*", drop="before"),
    "stale-version": forget("*", "versionLabel", times=ALWAYS),
    "wrong-outputs": forget("ListKernelSessionOutput,ListKernelFiles", "versionLabel", times=ALWAYS),
    **{f"http-{code}": status("*", code) for code in (500, 502, 503)},
    "http-429": status("*", 429, retry_after_seconds=1),
    "unauthorized": status("*", 401),
    "html": html("*"),
    "empty-json": answer("GetKernelSessionStatus", {}),
    "slow": Fault("*", times=ALWAYS, delay_seconds=2.0),
    "status-500": status("GetKernelSessionStatus", 500, nested=True, times=ALWAYS),
    "forbidden": status("*", 403, "Permission 'kernels.get' was denied", nested=True, times=5),
    "no-version": leave_out("SaveKernel", "versionNumber"),
    "half-published": half_published("submission.csv", times=2),
    "late-files": leave_out("ListKernelSessionOutput", "files", times=3),
    "late-log": replace(
        amend("ListKernelSessionOutput,GetKernelSessionLogsStream", {"log": ""}, times=3),
        edit_body=lambda body: b"[]" if body.startswith(b"[") else body,
    ),
    "cut": Fault("signed", ALWAYS, keep_bytes=1 << 20),
    "gzip": Fault("signed", ALWAYS, headers={"Content-Encoding": "gzip"}, edit_body=gzip.compress),
    "middle-part": Fault("signed", 2, status=206, headers={"Content-Range": "bytes 3-8/20"}, body=b"middle"),
    "html-output": html("signed", content_type="TEXT/HTML; Charset=UTF-8"),
    "lagging-list": leave_out("ListSubmissions", "submissions", times=3),
    "cut-stream": Fault("GetKernelSessionLogsStream", cut_after_events=1),
    "expire-output-links": html("output", 404),
    "expire-signed-links": html("signed", 403),
    "truncate": Fault("signed", keep_bytes=10),
    "wrong-length": Fault("signed", edit_body=lambda body: body[: len(body) // 2]),
    "traversal": of_files(lambda file: [file | {"fileName": f"../../{file['fileName']}"}]),
    "repeat-page": forget("ListKernelSessionOutput", "pageToken"),
    "small-pages": Fault("*", ALWAYS, edit_request=lambda request: request | {"pageSize": 1}),
    "error-run": run_instead("raise SystemExit('injected failure')\n"),
    "dead-rank": run_instead(_ONE_RANK_DIED),
    "cancelled": amend("GetKernelSessionStatus", {"status": "CANCEL_ACKNOWLEDGED"}, times=ALWAYS),
    "never-ends": amend("GetKernelSessionStatus", {"status": "RUNNING"}, times=ALWAYS),
    "submission-limit": status("CreateSubmission,CreateCodeSubmission", 400, _LIMIT_REACHED, times=ALWAYS),
    "score-pending": judge({"status": "PENDING", "publicScore": ""}),
    "empty-file": judge(_NOT_SCORED | {"errorDescription": "Submission Format Error"}),
    "score-error": judge(_NOT_SCORED | {"errorDescription": "injected failure"}),
}
