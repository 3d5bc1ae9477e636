"""The faults that the whole loop meets: each with the verb it strikes and what its user must see."""

from __future__ import annotations

from dataclasses import dataclass, replace

from loop_project import MODEL, SLUG

from kit.remote.pulling import published
from local_kaggle import faults
from local_kaggle.faults import NAMED, Fault, Json

BARE = ["push.json"]
WHOLE = ["kernel.log", "outputs.json", "pull.json", "push.json", "run.json", "submission.csv"]


@dataclass(frozen=True)
class Case:
    """A fault, the verb that meets it, and what the user sees of it."""

    name: str
    verb: str
    fault: Fault
    status: int
    message: str
    files: list[str]
    """In the run's folder afterwards; empty where no run was recorded."""


OTHER_BUNDLE = faults.run_instead(
    "import os\nopen(os.environ['KIT_WORKING_DIR'] + '/run.json', 'w').write('{\"bundle_hash\": \"00\"}')"
)
BROKEN = ["kernel.log", "pull.json", "push.json"]
SCORED = [*WHOLE, "submission.json"]
LOG = "GetKernelSessionLogsStream"
STATUS = "GetKernelSessionStatus"
LISTING = "ListKernelSessionOutput"

PARTIAL = [name for name in WHOLE if name != "submission.csv"]


def _drop(name: str) -> Fault:
    """List every output but one."""

    def edit(_: Json, payload: Json) -> Json:
        return payload | {"files": [file for file in payload["files"] if file["fileName"] != name]}

    return Fault(LISTING, 9999, edit_answer=edit)


def _add(name: str) -> Fault:
    """List another output, under this name."""

    def edit(_: Json, payload: Json) -> Json:
        more = [{"fileName": name, "url": file["url"]} for file in payload["files"][:1]]
        return payload | {"files": [*payload["files"], *more]}

    return Fault(LISTING, 9999, edit_answer=edit)


def _with(name: str) -> list[str]:
    """Return a whole run's files and where the kit puts one that Kaggle lists besides."""
    name = name.encode("utf-8", "replace").decode()
    return sorted([*WHOLE, published.places([name], [])[name]])


ODD = ["../../x", "/etc/x", "..\\x", "push.json", "push.json/x", "kernel.log", "kernel.log/x", "x" * 5000,
       "half \ud83d", "a/" * 1000 + "x", "report.html", "__script__.py", "tab\tand \x1b[31m"]  # fmt: skip
NO_LOG = replace(NAMED["late-log"], times=9999)
STATUS_FAULTS = {
    "status 403 for a while": faults.status(STATUS, 403, times=30),
    "status 404 always": faults.status(STATUS, 404, times=9999),
    "status 500 always": faults.status(STATUS, 500, times=9999),
    "status is a page": faults.html(STATUS, times=9999),
    "unknown state": faults.amend(STATUS, {"status": "PERHAPS"}, times=9999),
    "status takes no version": Fault(
        STATUS, 9999, edit_request=lambda asked: asked | {"versionLabel": asked.get("versionLabel", "")[1:]}
    ),
}
ODD_EVENTS = [
    {"data": f'{{"event": "step", "step": 1, "steps": {number}}}\n'}
    for number in ("1e999", "NaN", "1" + "0" * 400)
]
LOG_FAULTS = {
    "log as plain text": faults.raw(LOG, b"just words\nand more", "text/plain", times=9999),
    "log of no objects": faults.answer(LOG, [1, "words", None, {"data": 7}, {"data": "\ud83d"}], times=9999),
    "log with bad bytes": faults.raw(LOG, b"\xff\xfe\x00 words", "text/plain", times=9999),
    "200,000 brackets": faults.raw(LOG, b"[" * 200_000, "application/json", times=9999),
    "5,000 digits": faults.raw(LOG, b"[" + b"1" * 5000 + b"]", "application/json", times=9999),
    "odd events": faults.answer(LOG, ODD_EVENTS, times=9999),
    "control characters": faults.answer(LOG, [{"data": "\x1b[2J\x07\x9b31m\rsafe\n"}], times=9999),
    "empty stream": faults.raw(LOG, b"", "text/event-stream", times=3),
}
PASSING_FAULTS = {
    "half published": faults.half_published("run.json", "submission.csv", times=4),
    "files are null": faults.answer(LISTING, {"files": None}, times=3),
    "listing 403 for a while": faults.status(LISTING, 403, times=4),
    "late log": NAMED["late-log"],
    "cut every 40 bytes": Fault("signed", 60, keep_bytes=40),
    "cut, no ranges": Fault("signed", 8, keep_bytes=40, ignore_range=True),
    "another part": NAMED["middle-part"],
    "gzipped": NAMED["gzip"],
    "length abc": Fault("signed", 99, headers={"Content-Length": "abc"}),
    "length 1, 1": Fault("signed", 2, headers={"Content-Length": "1, 1"}),
    "no length": Fault("signed", 99, headers={"Content-Length": ""}),
    "drip": Fault("signed", 99, seconds_per_byte=0.001),
}

CASES = [
    Case("refuse-push", "push", NAMED["refuse-push"], 1, "Maximum batch GPU session count of 2", []),
    Case("no-quota", "push", NAMED["no-quota"], 1, "Maximum weekly GPU quota", []),
    Case("drop-competition", "push", NAMED["drop-competition"], 1, f"competition '{SLUG}' was dropped", BARE),
    Case("drop-model", "push", NAMED["drop-model"], 1, f"model '{MODEL}' was dropped", BARE),
    Case("lose-answer", "push", NAMED["lose-answer"], 0, "next: make watch", BARE),
    Case("500 once", "push", faults.status("SaveKernel", 500), 0, "next: make watch", BARE),
    Case("500 always", "push", faults.status("SaveKernel", 500, times=99), 1, "answers 500", []),
    Case("429", "push", faults.status("SaveKernel", 429, retry_after_seconds=9), 0, "next: make watch", BARE),
    Case("html", "push", faults.html("SaveKernel"), 0, "next: make watch", BARE),
    Case("empty-json", "push", faults.answer("SaveKernel", {}), 1, "names no version", []),
    Case("reset", "push", Fault("SaveKernel", drop="before"), 0, "next: make watch", BARE),
    Case("unauthorized", "push", faults.status("*", 401, times=99), 1, "rejects the credentials of", []),
    Case("cut-stream", "watch", Fault(LOG, 3, cut_after_events=1), 0, "COMPLETE", BARE),
    Case("no stream", "watch", faults.status(LOG, 500, times=99), 0, "COMPLETE", BARE),
    Case("empty-json", "watch", NAMED["empty-json"], 0, "COMPLETE", BARE),
    Case("cancelled", "watch", NAMED["cancelled"], 1, "ended as CANCELLED", WHOLE),
    Case("never-ends", "watch", NAMED["never-ends"], 3, "is stuck: over for", BARE),
    Case("silence", "watch", Fault("*", 9999, drop="before"), 3, "no word from Kaggle for", BARE),
    Case("expired links", "pull", NAMED["expire-output-links"], 0, "next: make validate", WHOLE),
    Case("expired always", "pull", faults.html("output", 404, times=99), 1, "a file's link with 404", BARE),
    Case("truncate", "pull", NAMED["truncate"], 0, "next: make validate", WHOLE),
    Case("truncate always", "pull", Fault("signed", 999, keep_bytes=9), 1, "broke the connection", BARE),
    Case("wrong-length", "pull", Fault("signed", 999, edit_body=lambda b: b[1:]), 1, "names no bundle", BARE),
    Case("html file", "pull", faults.html("signed", times=999), 1, "a web page in its place", BARE),
    Case("repeated page", "pull", NAMED["repeat-page"], 0, "next: make validate", WHOLE),
    Case("slow", "pull", Fault("*", 9999, delay_seconds=0.1), 0, "next: make validate", WHOLE),
    *(Case(name, "watch", fault, 0, "COMPLETE", BARE) for name, fault in STATUS_FAULTS.items()),
    *(Case(name, "watch", fault, 0, "COMPLETE", BARE) for name, fault in LOG_FAULTS.items()),
    Case("403 on everything", "watch", faults.status("*", 403, times=9999), 1, "credentials", BARE),
    *(Case(name, "pull", fault, 0, "next: make validate", WHOLE) for name, fault in STATUS_FAULTS.items()),
    *(Case(name, "pull", fault, 0, "next: make validate", WHOLE) for name, fault in PASSING_FAULTS.items()),
    *(Case(f"name {name[:14]!a}", "pull", _add(name), 0, "next: make validate", _with(name)) for name in ODD),
    Case("lost file", "pull", _drop("submission.csv"), 1, "lacks submission.csv", PARTIAL),
    Case("log stays empty", "pull", NO_LOG, 0, "log is still empty", WHOLE),
    Case("endless file", "pull", Fault("signed", 99, endless=True), 1, "run.json cannot be read", BARE),
    *(Case(name, "all", fault, 0, "submission.csv: valid", WHOLE) for name, fault in STATUS_FAULTS.items()),
    Case("limit", "submit", NAMED["submission-limit"], 1, "daily Submission allowance", WHOLE),
    Case(
        "403",
        "submit",
        faults.status("CreateSubmission", 403, "no"),
        1,
        "CreateSubmission with 403: no",
        WHOLE,
    ),
    Case("score-pending", "submit", NAMED["score-pending"], 3, "only looks", SCORED),
    Case("score-error", "submit", NAMED["score-error"], 1, "cannot score", SCORED),
    Case("lose-answer", "submit", Fault("CreateSubmission", drop="after"), 0, "scored", SCORED),
    Case("error-run", "all", NAMED["error-run"], 1, "ended as ERROR", BROKEN),
    Case("dead-rank", "all", NAMED["dead-rank"], 1, "ended as ERROR", BROKEN),
    Case("wrong-bundle", "all", OTHER_BUNDLE, 1, "a push that is not recorded here", BARE),
    Case("none", "all", Fault("none"), 0, "submission.csv: valid", WHOLE),
]
