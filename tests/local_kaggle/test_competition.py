"""The competition through the real SDK: rules, data, uploads, submissions and their limits."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest
import requests
from kaggle_fixtures import SLUG, StartKaggle
from kagglesdk.competitions.types.submission_status import SubmissionStatus
from kagglesdk.kaggle_object import KaggleObject
from sdk_client import Competitions, ask, connect, rpc

from local_kaggle import faults
from local_kaggle.server import Server

PERFECT = b"ID,label\nt0,Positive\nt1,Negative\nt2,Positive\nt3,Negative\n"
ALL_POSITIVE = b"ID,label\nt0,Positive\nt1,Positive\nt2,Positive\nt3,Positive\n"


def upload(competitions: Competitions, body: bytes) -> str:
    """Upload a file in one go and give its token."""
    named = {"competition_name": SLUG, "file_name": "submission.csv", "last_modified_epoch_seconds": 1}
    started = ask(competitions.start_submission_upload, **named, content_length=len(body))
    assert requests.put(started.create_url, data=body, timeout=10).status_code == 200
    token: str = started.token
    return token


def submit(competitions: Competitions, body: bytes, description: str = "a try") -> KaggleObject:
    """Upload and submit a file."""
    token = {"competition_name": SLUG, "blob_file_tokens": upload(competitions, body)}
    return ask(competitions.create_submission, **token, submission_description=description)


def test_a_competition_tells_whether_its_rules_are_accepted(start_kaggle: StartKaggle) -> None:
    """The flag is written out in both cases; the data and submissions of one not joined are forbidden."""
    kaggle = start_kaggle(joined=False)
    competitions = connect(kaggle).competitions.competition_api_client
    raw = rpc(kaggle, "GetCompetition", {"competitionName": SLUG}).json()
    assert raw["userHasEntered"] is False
    found = ask(competitions.get_competition, competition_name=SLUG)
    assert (found.max_daily_submissions, found.submissions_disabled) == (5, False)
    with pytest.raises(requests.HTTPError, match="accept this competition's rules"):
        ask(competitions.download_data_file, competition_name=SLUG, file_name="train.csv")
    with pytest.raises(requests.HTTPError, match="accept this competition's rules"):
        submit(competitions, PERFECT)


@pytest.mark.parametrize(
    "method",
    ["GetCompetition", "ListDataFiles", "DownloadDataFile", "ListSubmissions", "GetSubmissionLimits"],
)
def test_another_competition_does_not_exist(kaggle: Server, method: str) -> None:
    """Only the served one is known."""
    assert rpc(kaggle, method, {"competitionName": "titanic"}).status_code == 404


def test_data_files_are_listed_and_downloaded_without_the_solution(competitions: Competitions) -> None:
    """A download is redirected to a signed link whose path ends in the file's name."""
    files = ask(competitions.list_data_files, competition_name=SLUG).files
    assert [file.name for file in files] == ["sample_submission.csv", "test.csv", "train.csv"]
    for file in files:
        answer = ask(competitions.download_data_file, competition_name=SLUG, file_name=file.name)
        assert len(answer.content) == file.total_bytes == int(answer.headers["Content-Length"])
        assert answer.request.url.partition("?")[0].endswith(f"/{file.name}")
    for name in ("solution.csv", "../competition/train.csv"):
        with pytest.raises(requests.HTTPError, match="not found"):
            ask(competitions.download_data_file, competition_name=SLUG, file_name=name)
    whole = ask(competitions.download_data_files, competition_name=SLUG)
    with zipfile.ZipFile(io.BytesIO(whole.content)) as archive:
        assert sorted(archive.namelist()) == [file.name for file in files]


def test_a_competition_that_lies_where_its_copy_goes_is_not_cleared_away(
    start_kaggle: StartKaggle, competition_folder: Path
) -> None:
    """The server does not start."""
    folder = competition_folder.rename(competition_folder.with_name("competition"))
    with pytest.raises(FileExistsError, match="cannot hold the originals"):
        start_kaggle(folder.parent, competition=folder)
    assert (folder / "solution.csv").exists()


def test_a_submission_is_pending_then_scored(kaggle: Server, competitions: Competitions) -> None:
    """PENDING, the SDK's default, is written out; the score, five decimals, appears with COMPLETE only."""
    ref = submit(competitions, ALL_POSITIVE, "run v3").ref
    listed = rpc(kaggle, "ListSubmissions", {"competitionName": SLUG}).json()["submissions"]
    assert [(entry["ref"], entry["status"], entry.get("publicScore", "")) for entry in listed] == [
        (ref, "PENDING", "")
    ]
    scored = ask(competitions.get_submission, ref=ref)
    assert (scored.status, scored.public_score) == (SubmissionStatus.COMPLETE, "0.33333")
    assert (scored.description, scored.file_name) == ("run v3", "submission.csv")
    listed = ask(competitions.list_submissions, competition_name=SLUG).submissions
    assert [(entry.ref, entry.public_score) for entry in listed] == [(ref, "0.33333")]


def test_a_malformed_submission_is_taken_and_ends_in_error(competitions: Competitions) -> None:
    """The reason is in the description, and the day's allowance is not charged."""
    ref = submit(competitions, b"ID,label\nt0,Positive\n").ref
    _, ended = (ask(competitions.get_submission, ref=ref) for _ in range(2))
    assert ended.status == SubmissionStatus.ERROR
    assert ended.error_description == "Evaluation Exception: Submission must have 4 rows"
    limits = ask(competitions.get_submission_limits, competition_name=SLUG)
    assert (limits.num_today, limits.num_total, limits.num_allowed_now) == (0, 1, 5)


def test_the_daily_allowance_is_kept(start_kaggle: StartKaggle) -> None:
    """The submission beyond it is refused with Kaggle's words."""
    competitions = connect(start_kaggle(max_daily_submissions=2)).competitions.competition_api_client
    for _ in range(2):
        submit(competitions, PERFECT)
    limits = ask(competitions.get_submission_limits, competition_name=SLUG)
    assert (limits.num_today, limits.num_allowed_now) == (2, 0)
    with pytest.raises(requests.HTTPError, match=r"daily Submission allowance \(2\) today"):
        submit(competitions, PERFECT)


def test_an_upload_can_be_resumed(kaggle: Server, competitions: Competitions) -> None:
    """After a failure too: 308 tells how much arrived; the rest is appended; only a whole file counts."""
    asked = {"competition_name": SLUG, "file_name": "submission.csv", "content_length": len(PERFECT)}
    started = ask(competitions.start_submission_upload, **asked)
    look = {"Content-Length": "0", "Content-Range": f"bytes */{len(PERFECT)}"}
    empty = requests.put(started.create_url, headers=look, timeout=10, allow_redirects=False)
    assert (empty.status_code, empty.headers.get("Range")) == (308, None)
    kaggle.faults.arm(faults.status("upload", 503))  # an early answer, after which the connection is usable
    with requests.Session() as session:
        assert session.put(started.create_url, data=PERFECT[:10], timeout=10).status_code == 503
        part = session.put(started.create_url, data=PERFECT[:10], timeout=10, allow_redirects=False)
    assert (part.status_code, part.headers["Range"]) == (308, "bytes=0-9")
    fields = {"competitionName": SLUG, "blobFileTokens": started.token}
    assert "incomplete" in rpc(kaggle, "CreateSubmission", fields).json()["message"]
    rest = {"Content-Range": f"bytes 10-{len(PERFECT) - 1}/{len(PERFECT)}"}
    whole = requests.put(started.create_url, data=PERFECT[10:], headers=rest, timeout=10)
    assert whole.status_code == 200
    ref = rpc(kaggle, "CreateSubmission", fields).json()["ref"]
    rpc(kaggle, "GetSubmission", {"ref": ref})
    assert rpc(kaggle, "GetSubmission", {"ref": ref}).json()["publicScore"] == "1.00000"
    assert requests.put(started.create_url, data=b"x", timeout=10).status_code == 404


def test_submissions_survive_a_restart(start_kaggle: StartKaggle) -> None:
    """Scores and the day's count are on disk."""
    kaggle = start_kaggle(pending_polls=0)
    submit(connect(kaggle).competitions.competition_api_client, PERFECT)
    kaggle.close()
    again = connect(start_kaggle()).competitions.competition_api_client
    listed = ask(again.list_submissions, competition_name=SLUG)
    assert [entry.public_score for entry in listed.submissions] == ["1.00000"]


def test_without_a_solution_a_submission_ends_in_an_error(
    competition_folder: Path, start_kaggle: StartKaggle
) -> None:
    """Data alone are enough to rehearse everything but the score."""
    (competition_folder / "solution.csv").unlink()
    kaggle = start_kaggle(pending_polls=0)
    ref = submit(connect(kaggle).competitions.competition_api_client, PERFECT).ref
    assert "there is no" in rpc(kaggle, "GetSubmission", {"ref": ref}).json()["errorDescription"]
