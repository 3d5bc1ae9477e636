"""Say what each refusal of a submission and each error of a rerun means, and what to do about it."""

from kit.errors import KitError
from kit.remote.runs import Run

_INFER, _REHEARSE = "make adapters RUN={run}, then make infer FROM={run}", "make rehearse KIND=code"
KNOWN = {
    "only accepts submissions from notebooks": ("", f'competition.kind = "code" in kit.toml, then {_INFER}'),
    "does not accept submissions from notebooks": ("", 'competition.kind = "csv" in kit.toml'),
    "still running": ("", "make watch RUN={run}, then make submit RUN={run}"),
    "did not complete": ("", "make pull RUN={run}, whose log says why"),
    "internet": ("", _INFER),
    "accelerator": ("", "make settings, which names those that kernel.accelerator may be"),
    "must be attached": ("", "the competition in kernel-metadata.json, then make infer again"),
    "file was not found": ("the version holds no submission.csv", "make pull RUN={run} FORCE=1"),
    "must be called": ("", "submission.csv in the working folder, which make infer writes"),
    "daily submission allowance": ("", "tomorrow, after 00:00 UTC"),
    "accept this competition's rules": ("", "{web}/competitions/{slug}/rules"),
    "kernelsessions.get": ("Kaggle shows no such version to this account", "make doctor, and {url}"),
    "submission csv not found": ("the rerun left no submission.csv in its working folder", _REHEARSE),
    "threw exception": (
        "the script failed on the hidden rows, which are others and more, offline",
        _REHEARSE,
    ),
    "exceeded allowed compute": ("memory or disk ran out", "SET=predict.batch_tokens=8192 with make infer"),
    "timeout": (
        "the rerun took longer than the host allows; there may be many more hidden rows",
        "competition.rerun_minutes as the host says, fewer members or templates, then make infer",
    ),
    "scoring error": ("only the ids of the hidden test.csv count, never a fixed number of rows", _REHEARSE),
    "format error": ("it is no submission, or still empty", f"make validate RUN={{run}}, or {_REHEARSE}"),
}
"""By words of Kaggle's text: what it means where that does not say it, and the next command."""


class SubmissionRefused(KitError):
    """Kaggle did not take the submission, or could not score it."""


def explained(said: str, run: Run, web: str, *, hint: str, before: str = "") -> SubmissionRefused:
    """Return a refusal in Kaggle's words with what is known of it; `hint` is for what is not."""
    known = next((known for words, known in KNOWN.items() if words in said.lower()), ("", hint))
    places = {"run": run.name, "url": run.url, "web": web, "slug": run.config["competition"]["slug"]}
    meaning, command = (text.format(**places) for text in known)
    return SubmissionRefused(f"{before}{said}{f': {meaning}' if meaning else ''}", hint=command)
