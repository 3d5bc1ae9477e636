"""The competition's methods: rules, data, uploads, submissions and their limits."""

from pathlib import Path

from kagglesdk.competitions.types import competition_api_service as c
from kagglesdk.competitions.types.submission_status import SubmissionStatus
from kagglesdk.kaggle_object import KaggleObject

from local_kaggle import submissions
from local_kaggle.routes.answers import Json, Service, fill, listed, moment, payload
from local_kaggle.scoring import METRICS
from local_kaggle.state import Refused, Submission

UPLOAD_LIMIT_BYTES = 1 << 28


class Competition(Service):
    """Rules, data, uploads, submissions and their limits."""

    def get_competition(self, _: KaggleObject) -> KaggleObject:
        settings, address = self.settings, f"{self.state.base_url}/competitions/{self.settings.slug}"
        told = {"id": 1, "ref": address, "url": address, "title": self.title, "category": "Community"}
        return fill(
            c.ApiCompetition(),
            **told,
            evaluation_metric=METRICS[settings.metric].title,
            max_daily_submissions=settings.max_daily_submissions,
            is_kernels_submissions_only=settings.notebooks_only,
            user_has_entered=settings.joined,
        )

    def list_data_files(self, request: KaggleObject) -> KaggleObject:
        folder = self.state.competition_folder
        shown, token = self._page(sorted(folder.iterdir()), request)
        files = listed(c.ApiDataFile, folder, shown)
        return fill(c.ApiListDataFilesResponse(), files=files, next_page_token=token)

    def download_data_file(self, request: KaggleObject) -> str:
        if request.file_name not in {path.name for path in self.state.competition_folder.iterdir()}:
            raise Refused(404, f"File {request.file_name!r} was not found")
        return self._download(self.state.competition_folder / request.file_name)

    def download_data_files(self, _: KaggleObject) -> str:
        return self._download(self.state.bundle, f"{self.settings.slug}.zip")

    def _download(self, file: Path, name: str = "") -> str:
        if not self.settings.joined:
            words = "You must accept this competition's rules before you'll be able to download files."
            raise Refused(403, words)
        return self.state.signed(f"/signed/competitions/{name or file.name}", file)

    def start_submission_upload(self, request: KaggleObject) -> KaggleObject:
        if not 0 <= request.content_length <= UPLOAD_LIMIT_BYTES:
            raise Refused(400, f"The upload must have at most {UPLOAD_LIMIT_BYTES} bytes.")
        return self._upload(c.ApiStartSubmissionUploadResponse, request.file_name, request.content_length)

    def create_submission(self, request: KaggleObject) -> KaggleObject:
        token, words = request.blob_file_tokens, request.submission_description
        made = submissions.submit_file(self.state, token, words)
        message = f"Successfully submitted to {self.title}"
        return fill(c.ApiCreateSubmissionResponse(), message=message, ref=made.ref)

    def create_code_submission(self, request: KaggleObject) -> KaggleObject:
        label = f"v{request.kernel_version}"
        try:
            version = self.state.version(request.kernel_owner, request.kernel_slug, label)
        except Refused as refused:
            raise Refused(403, "Permission 'kernelSessions.get' was denied") from refused
        name, words = request.file_name, request.submission_description
        made = submissions.submit_version(self.state, self.sessions, version, name, words)
        message = f"Successfully submitted to {self.title}"
        return fill(c.ApiCreateCodeSubmissionResponse(), message=message, ref=made.ref)

    def get_submission(self, request: KaggleObject) -> KaggleObject:
        submission = next((one for one in self.state.submissions if one.ref == request.ref), None)
        if submission is None:
            raise Refused(404, f"Submission {request.ref} was not found")
        return self._submission(submission)

    def list_submissions(self, request: KaggleObject) -> Json:
        shown, token = self._page(list(reversed(self.state.submissions)), request)
        response = fill(c.ApiListSubmissionsResponse(), next_page_token=token)
        entries = [payload(self._submission(entry), self.state) for entry in shown]
        return payload(response, self.state) | {"submissions": entries}

    def get_submission_limits(self, _: KaggleObject) -> KaggleObject:
        today, total = submissions.today(self.state), len(self.state.submissions)
        left = max(0, self.settings.max_daily_submissions - today)
        return fill(c.ApiSubmissionLimits(), num_today=today, num_total=total, num_allowed_now=left)

    def _submission(self, submission: Submission) -> KaggleObject:
        status, user = submissions.poll(self.state, submission), self.settings.user
        names = ("ref", "file_name", "description", "total_bytes")
        same = {name: getattr(submission, name) for name in names}
        entry = fill(c.ApiSubmission(), **same, submitted_by=user, submitted_by_ref=user, team_name=user)
        fill(entry, date=moment(submission.date), status=SubmissionStatus[status])
        if status == "COMPLETE":
            entry.public_score = f"{submission.score:.5f}"
        if status == "ERROR":
            entry.error_description = submission.error
        return entry


ROUTES = Competition.routes("competitions.CompetitionApiService", c)
