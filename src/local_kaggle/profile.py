"""How this Kaggle behaves, as frozen records of values: what it serves and its limits, and how kind it is.

The profile OBSERVED holds what public transcripts show, with times scaled down; GENTLE what the documentation
lets one expect. docs/fidelity.md names the source of each value. What goes wrong only sometimes is a fault.
"""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, Self


@dataclass(frozen=True)
class Profile:
    """One behaviour."""

    name: str = "observed"
    writes_defaults: bool = False
    """Whether QUEUED, PENDING, zero and false are written where the SDK would leave them out."""
    error_envelope: bool = True
    """Errors come as `{"error": {code, message, status}}`, else as `{code, message}`."""
    forbids_bad_bearer: bool = True
    """A wrong token is a 403 on kernel methods, and a KGAT token is refused as the key of a Basic login."""
    true_file_list: bool = False
    """ListKernelFiles tells sizes; else lengths of links, and every fourth answer is empty, another null."""
    status_after_seconds: float = 2.0
    """After a push the status is 404 for this long."""
    labels_on_status: bool = True
    refusal_leaves_shell: bool = True
    """A refused first push leaves a kernel without a version, which blocks its slug until it is deleted."""
    replaces_earlier_session: bool = False
    queued_log: Literal["wait", "empty", "end", "404", "429"] = "empty"
    silent_log: bool = False
    runner_lines: bool = True
    """Every log ends with what Kaggle's own conversion to HTML says."""
    trailing_seconds: float = 1.0
    """The session stays RUNNING for this long after the script has ended."""
    log_after_seconds: float = 1.5
    dataset_after_seconds: float = 2.0
    """A new dataset is denied for this long."""
    names_container: bool = True
    """Whether the kernel's environment holds KAGGLE_CONTAINER_NAME, which ends in the session's number."""
    attaches_pages: bool = True
    """The outputs of an attached kernel also hold the files of its web page."""
    starts_in: Literal["working", "src"] = "working"
    layout: Literal["2026", "old", "mixed"] = "mixed"
    quick_calls: int = 25
    """More API calls than this within `quick_seconds` earn a 429 on all methods for `throttle_seconds`."""
    quick_seconds: float = 1.5
    throttle_seconds: float = 3.0

    def without_waiting(self) -> Self:
        """Give the same behaviour with every time at zero and no throttling."""
        return replace(
            self, status_after_seconds=0, trailing_seconds=0, log_after_seconds=0, dataset_after_seconds=0,
            quick_calls=1 << 30,
        )  # fmt: skip


OBSERVED = Profile()
GENTLE = Profile(
    name="gentle", writes_defaults=True, error_envelope=False, forbids_bad_bearer=False, true_file_list=True,
    refusal_leaves_shell=False, queued_log="wait", runner_lines=False, attaches_pages=False, starts_in="src",
    layout="2026",
).without_waiting()  # fmt: skip
PROFILES: Mapping[str, Profile] = {profile.name: profile for profile in (OBSERVED, GENTLE)}


@dataclass(frozen=True)
class Settings:
    """How one local Kaggle behaves; the defaults are Kaggle's own limits where those are known."""

    user: str = "rehearsal"
    token: str = field(default_factory=lambda: secrets.token_hex(16), repr=False)
    """Accepted as API token and as key; random, because every user of this machine reaches the port."""
    profile: Profile = OBSERVED
    slug: str = "sample-sentiment"
    competition: Path = Path(__file__).parent / "competition"
    """Folder of the competition's files; its solution.csv is used for scoring and never served."""
    joined: bool = True
    """Whether the user has accepted the competition's rules."""
    notebooks_only: bool = False
    """Whether this is a code competition, which takes no files and runs versions again."""
    hidden: Path | None = None
    """Folder of the files that take the public ones' place in a rerun, and of the solution that scores it."""
    rerun_limit_seconds: float = 9 * 3600
    metric: str = "macro_f1"
    """A name of scoring.METRICS."""
    models: Path | None = None
    """Folder `<owner>/<model>/<framework>/<variation>/<version>` of the models that exist here."""
    child_env: Mapping[str, str] = field(default_factory=dict)
    network: bool = False
    """Whether a kernel that asks for the internet gets it."""
    visible: Sequence[Path] = ()
    """Folders of this machine that kernels may read besides their own."""
    python: Path | None = None
    wheels: Path | None = None
    """Folder of wheels: every session starts in an empty environment whose pip installs from here only."""
    time_limit_seconds: float = 12 * 3600
    parallel_sessions: int = 2
    """More wait as QUEUED."""
    gpu_quota_seconds: int = 30 * 3600
    gpu_seconds_used: int = 0
    """GPU time that counts as used this week before any session of this server."""
    max_daily_submissions: int = 5
    pending_polls: int = 1
    """Polls that still see a submission as PENDING."""
    page_size: int = 100
    """Most entries of one page, whatever the client asks for."""
    link_seconds: int = 600
    stream_idle_seconds: float = 180.0
    """A log stream without news is cut after this time, as Kaggle's load balancer does."""
