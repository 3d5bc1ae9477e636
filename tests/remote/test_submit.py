"""A submission is made once, scored, and kept beside its run."""

import json
import shutil
from io import BytesIO
from typing import Any

import pytest
from kaggle_fixtures import SLUG, StartKaggle
from makers import MakeClient, MakeRun

from kit.errors import InputInvalid, KitError, NotYet
from kit.remote import runs, submit
from kit.remote.runs import Run
from kit.remote.wire import transfer
from kit.remote.wire.client import Client
from kit.remote.wire.transport import KaggleError
from local_kaggle import faults
from local_kaggle.faults import NAMED, Fault
from local_kaggle.server import Server


def record(run: Run) -> dict[str, Any]:
    return runs.read_json(run.folder / submit.RECORD)


def test_a_submission_is_scored_and_recorded(
    kaggle: Server, client: Client, pulled: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    """The day's allowance is shown, the run's name is the message, the score stands beside the run."""
    submitted = submit.submit(client, pulled, "first try")
    assert submitted.public_score == "1.00000"
    assert capsys.readouterr().out == f"5 submissions to {SLUG} are left today\n"
    made = kaggle.state.submissions[0]
    assert made.description.endswith(" first try little-kernel-tiny/v1")
    assert made.total_bytes == (pulled.folder / "submission.csv").stat().st_size
    told = record(pulled)
    assert (told["ref"], told["status"], told["public_score"]) == (made.ref, "COMPLETE", "1.00000")
    assert told["competition"] == SLUG


def test_the_same_file_is_not_submitted_twice(kaggle: Server, client: Client, pulled: Run) -> None:
    """A second submit looks the first one up, record or not; another file is another submission."""
    first = submit.submit(client, pulled)
    for damage in (None, "{", "[]"):
        if damage:
            (pulled.folder / submit.RECORD).write_text(damage)
        again = submit.submit(client, pulled)
        assert (again.ref, again.public_score, again.earlier) == (first.ref, first.public_score, True)
    assert len(kaggle.state.submissions) == 1
    path = pulled.folder / "submission.csv"
    path.write_text(path.read_text().replace("t0,Positive", "t0,Negative"))
    assert submit.submit(client, pulled).public_score < "1"
    assert len(kaggle.state.submissions) == 2


def test_what_was_made_at_home_is_submitted_like_a_run(kaggle: Server, client: Client, pulled: Run) -> None:
    """A blend or a baseline has made.json in place of push.json, and the folder's name for its words."""
    folder = pulled.folder.parent / "baseline-little"
    folder.mkdir()
    shutil.copy(pulled.folder / "submission.csv", folder)
    told = json.loads((pulled.folder / "push.json").read_text()) | {"slug": folder.name, "version": 0}
    (folder / "made.json").write_text(json.dumps(told))
    assert submit.submit(client, runs.load(folder)).public_score == "1.00000"
    assert kaggle.state.submissions[0].description.endswith(" baseline-little")


@pytest.mark.parametrize(
    "fault",
    [
        Fault("CreateSubmission", drop="after"),
        faults.status("CreateSubmission", 429),
        Fault("upload", drop="before"),
        Fault("upload", drop="after"),
        faults.status("upload", 503, times=2),
        faults.status("GetSubmission", 404, times=99),
        faults.answer("GetSubmission", {}),
        NAMED["reset"],
        NAMED["http-429"],
    ],
    ids=lambda fault: f"{fault.route} {fault.status or fault.drop}",
)
def test_one_submission_is_made_whatever_happens_to_its_answers(
    kaggle: Server, client: Client, pulled: Run, fault: Fault
) -> None:
    """A lost answer is looked up by its words before anything is sent again."""
    kaggle.faults.arm(fault)
    assert submit.submit(client, pulled).public_score == "1.00000"
    assert kaggle.faults.struck(fault)
    assert len(kaggle.state.submissions) == 1


LOST = {
    "request": Fault("CreateSubmission", drop="before"),
    "gateway": faults.status("CreateSubmission", 502),
    "page": faults.html("CreateSubmission"),
    "answer": Fault("CreateSubmission", drop="after"),
}


@pytest.mark.parametrize("fault", LOST.values(), ids=LOST)
@pytest.mark.parametrize("is_listed", [True, False], ids=["listed", "list lags"])
def test_a_submission_without_an_answer_is_not_made_again_before_a_look(
    kaggle: Server, client: Client, pulled: Run, fault: Fault, is_listed: bool
) -> None:
    """The first command leaves its intent; the next one waits until the list has had its time."""
    kaggle.faults.arm(fault)
    if not is_listed:
        kaggle.faults.arm(faults.status("ListSubmissions", 403, times=8))
    if not is_listed or fault is not LOST["answer"]:
        with pytest.raises(KaggleError, match="may have been made"):
            submit.submit(client, pulled)
        assert (record(pulled)["status"], kaggle.requests.count("CreateSubmission")) == ("UNKNOWN", 1)
    assert submit.submit(client, pulled).public_score == "1.00000"
    assert len(kaggle.state.submissions) == 1


def test_a_list_that_does_not_answer_is_no_leave_to_submit_again(
    kaggle: Server, client: Client, pulled: Run
) -> None:
    """What was begun is neither forgotten nor repeated."""
    kaggle.faults.arm(LOST["answer"])
    kaggle.faults.arm(faults.status("ListSubmissions", 403, times=99))
    for _ in range(2):
        with pytest.raises(KaggleError):
            submit.submit(client, pulled)
    assert record(pulled)["status"] == "UNKNOWN"
    kaggle.faults.clear()
    assert submit.submit(client, pulled).earlier
    assert len(kaggle.state.submissions) == 1


@pytest.mark.parametrize(
    ("changes", "score"),
    [({"publicScore": ""}, ""), ({"publicScore": None}, ""), ({"publicScore": "nan"}, "nan")],
)
def test_a_score_that_is_none_is_told_as_that(
    kaggle: Server, client: Client, pulled: Run, changes: dict[str, Any], score: str
) -> None:
    """Kaggle scores some submissions later, or with no number."""
    kaggle.faults.arm(faults.judge(changes))
    submitted = submit.submit(client, pulled)
    assert submitted.public_score == score
    assert "no score" in submitted.words


def test_a_state_that_is_not_known_is_waited_for(kaggle: Server, client: Client, pulled: Run) -> None:
    """It is no verdict."""
    kaggle.faults.arm(faults.judge({"status": "REVIEWED_BY_HAND"}))
    with pytest.raises(NotYet, match="without a score after"):
        submit.submit(client, pulled, deadline_seconds=30)


def test_a_score_is_waited_for_while_kaggle_does_not_answer(
    kaggle: Server, client: Client, pulled: Run
) -> None:
    """A rerun takes hours, and an outage some minutes."""
    kaggle.faults.arm(faults.status("GetSubmission", 500, times=2))
    kaggle.faults.arm(faults.status("ListSubmissions", 500, times=14))
    assert submit.submit(client, pulled).public_score == "1.00000"


def test_an_upload_goes_on_where_it_was_cut(
    kaggle: Server, client: Client, pulled: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the bytes that the server has not got are sent again."""
    body = (pulled.folder / "submission.csv").read_bytes()
    token = kaggle.state.start_upload("submission.csv", len(body))
    kaggle.state.upload_path(token).write_bytes(body[:20])
    kaggle.faults.arm(Fault("upload", drop="before"))
    sent: list[int] = []
    link = client.link

    def counting(verb: str, url: str, **options: Any) -> Any:
        data = options.get("data")
        sent.append(len(body) - data.tell() if data else 0)
        return link(verb, url, **options)

    monkeypatch.setattr(client, "link", counting)
    transfer.send(client, f"{kaggle.url}/upload/{token}", BytesIO(body), len(body))
    assert kaggle.state.upload_path(token).read_bytes() == body
    assert sent == [len(body), 0, len(body) - 20], "the lost one, the question, the rest"


NONE_LEFT = faults.answer("GetSubmissionLimits", {"numAllowedNow": 0})
NOTEBOOKS = "This competition only accepts Submissions from Notebooks."
REFUSALS = {
    "limit": (NAMED["submission-limit"], r"daily Submission allowance \(5\)", "tomorrow", None),
    "unknown": (faults.status("CreateSubmission", 403, "because"), "because", "/submissions", None),
    "error": (NAMED["score-error"], "cannot score .*: injected failure", "make validate", "ERROR"),
    "pending": (NAMED["score-pending"], "without a score after", "submit again, which only looks", "PENDING"),
    "none left": (NONE_LEFT, "no submission to .* is left today", "tomorrow", None),
    "no upload": (faults.status("StartSubmissionUpload", 500, times=99), "answers 500", "same command", None),
    "upload gone": (faults.status("upload", 404, times=99), "a file's link with 404", "/submissions", None),
    "code": (faults.status("CreateSubmission", 400, NOTEBOOKS), NOTEBOOKS, 'competition.kind = "code"', None),
}


@pytest.mark.parametrize(("fault", "message", "hint", "status"), REFUSALS.values(), ids=REFUSALS)
def test_a_refused_submission_says_what_to_do(
    kaggle: Server, client: Client, pulled: Run, fault: Fault, message: str, hint: str, status: str | None
) -> None:
    """Nothing is recorded that Kaggle has not got; the pending is looked at, the failed may come again."""
    kaggle.faults.arm(fault)
    with pytest.raises(KitError, match=message) as caught:
        submit.submit(client, pulled, deadline_seconds=60)
    assert hint in caught.value.hint
    assert record(pulled).get("status") == status
    if status:
        kaggle.faults.clear()
        assert submit.submit(client, pulled).earlier == (status == "PENDING")
        assert len(kaggle.state.submissions) == 1 + (status == "ERROR")


def test_a_run_of_some_test_rows_is_not_submitted(kaggle: Server, client: Client, pulled: Run) -> None:
    """Kaggle would refuse it anyway."""
    pulled.config["data"]["test_rows"] = 16
    with pytest.raises(KaggleError, match="answered 16 test rows on purpose"):
        submit.submit(client, pulled)
    assert "StartSubmissionUpload" not in kaggle.requests


def test_a_run_without_a_submission_names_the_pull(client: Client, finished: MakeRun) -> None:
    """There is nothing to submit before a pull."""
    with pytest.raises(InputInvalid, match=r"submission\.csv cannot be read") as caught:
        submit.submit(client, finished())
    assert caught.value.hint == "make pull RUN=little-kernel-tiny/v1"


def test_rules_that_are_not_accepted_are_said(
    start_kaggle: StartKaggle, make_client: MakeClient, kaggle: Server, pulled: Run
) -> None:
    """Joining comes before submitting."""
    kaggle.close()
    with pytest.raises(KaggleError, match="accept this competition's rules"):
        submit.submit(make_client(start_kaggle(joined=False)), pulled)
