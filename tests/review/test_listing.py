"""`make runs` is a scan of the folders below runs/: one table a competition, and nothing vanishes."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from made_run import dump, write

from kit.review import listing

JUDGED = {"rows": 40, "log_loss": 0.25, "macro_f1": 0.9, "accuracy": 0.91}
PUSH = {"version": 3, "commit": "c" * 40, "dirty": True, "note": "a lower rate"}


def shown(root: Path, capsys: pytest.CaptureFixture[str]) -> str:
    listing.show(listing.scan(root)[0])
    return capsys.readouterr().out


def test_a_line_says_where_a_run_came_from_and_what_it_is_worth(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Held-out figure and leaderboard score stand side by side, with rows, cost, commit and note."""
    folder = write(tmp_path / "slug" / "v3", push=PUSH, judged=JUDGED)
    dump(folder / "submission.json", public_score="0.53214")
    said = shown(tmp_path, capsys)
    assert "reviews, by held-out Macro F1" in said
    row = next(line.split() for line in said.splitlines() if "slug/v3" in line)
    assert " ".join(row[:-2]) == "slug/v3: a lower rate 40 0.900 0.250 0.532 0 tiny ccccccc*"


def test_every_folder_is_listed_and_none_twice(tmp_path: Path) -> None:
    """Pulled runs, pushed ones, dry runs and blends; a link and what lies inside a run are no runs."""
    pulled = write(tmp_path / "slug" / "v3", push=PUSH)
    write(tmp_path / "dry-run" / "tiny-1" / "members" / "old")
    write(tmp_path / "dry-run" / "tiny-1" / "x")
    for name, copy in (
        ("run.json", "dry-run/tiny-1/run.json"),
        ("push.json", "dry-run/tiny-2/dry-run.json"),
        ("push.json", "slug/v4/push.json"),
    ):
        (tmp_path / copy).parent.mkdir(exist_ok=True)
        shutil.copy(pulled / name, tmp_path / copy)
    write(tmp_path / "rehearsal" / "slug" / "v1", push=PUSH)
    write(tmp_path / ".blend.part")
    (tmp_path / "latest").symlink_to(pulled)
    lines, broken = listing.scan(tmp_path)
    assert [(one.run, one.state) for one in lines] == [
        ("dry-run/tiny-1", "complete"),
        ("dry-run/tiny-2", "failed"),
        ("slug/v3", "complete"),
        ("slug/v4", "not pulled"),
    ]
    assert broken == []
    every, _ = listing.scan(tmp_path, rehearsals=True)
    assert {one.run for one in every} - {one.run for one in lines} == {"rehearsal/slug/v1"}


def test_each_competition_has_a_table_by_its_own_metric(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Higher or lower first, as the metric wants it, with the distance to the best."""
    for slug, metric in (("kappas", "qwk"), ("losses", "log_loss")):
        for at, value in enumerate((0.3, 0.5)):
            asked = {"slug": slug, "labels": ["Positive", "Negative"], "metric": metric}
            figures = {**JUDGED, metric: value}
            write(tmp_path / f"{slug}-{at}", settings={"competition": asked}, judged=figures)
    said = shown(tmp_path, capsys)
    order = [line.split()[0] for line in said.splitlines() if line.strip()[:6] in ("kappas", "losses")]
    tables = {order[0]: order[1:3], order[3]: order[4:6]}
    assert tables == {"kappas,": ["kappas-1", "kappas-0"], "losses,": ["losses-0", "losses-1"]}
    assert "-0.200" in said
    assert "+0.200" in said


def test_a_figure_of_few_rows_is_marked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With why, so that a lucky three rows do not lead the list unseen."""
    write(tmp_path / "three", judged={**JUDGED, "rows": 3, "macro_f1": 1.0})
    write(tmp_path / "forty", judged=JUDGED)
    said = shown(tmp_path, capsys)
    assert "3?" in said
    assert "40?" not in said
    assert "fewer than 30 held-out rows" in said


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("run.json", "{half a line"),
        ("run.json", "[" * 100_000),
        ("run.json", '{"schema": 1, "a": ' * 2_000 + "1" + "}" * 2_000),
        ("run.json", '{"schema": ' + "9" * 5_000 + "}"),
        ("run.json", '{"schema": 1, "config": {"competition": {"slug": 1e999}}}'),
        ("metrics.json", "[]"),
        ("push.json", "null"),
        ("submission.json", "\\x00"),
    ],
)
def test_a_damaged_run_costs_its_own_line_only(tmp_path: Path, name: str, content: str) -> None:
    """It is named with what is wrong, in one line."""
    write(tmp_path / "good", judged=JUDGED)
    bad = write(tmp_path / "bad", judged=JUDGED)
    (bad / name).write_text(content)
    lines, broken = listing.scan(tmp_path)
    assert [one.run for one in lines] == ["good"]
    assert len(broken) == 1
    assert broken[0].startswith("bad: ")
    assert len(broken[0]) < 600


def test_hostile_numbers_are_figures_that_are_absent(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A NaN, an infinity and an integer that no float holds."""
    for at, value in enumerate((float("nan"), float("inf"), 10**400)):
        figures = {**JUDGED, "macro_f1": value, "log_loss": value}
        write(tmp_path / str(at), judged=figures, cards=[{}], timings={"train": value})
    said = shown(tmp_path, capsys)
    assert [line.split()[:4] for line in said.splitlines() if line.strip()[:1] in "012" and line.strip()] == [
        [str(at), "40", "–", "–"] for at in range(3)
    ]


def test_the_minutes_come_from_the_end_of_the_log(tmp_path: Path) -> None:
    """And from the stages where no log was kept; a run on a CPU costs no quota."""
    cards, timings = [{"name": "Tesla T4"}], {"install": 60, "train": 600}
    folder = write(tmp_path / "a", cards=cards, timings=timings)
    (folder / "kernel.log").write_text("x" * 200_000 + '\n{"event": "end", "seconds": 1140}\n')
    write(tmp_path / "b", cards=cards, timings=timings)
    write(tmp_path / "c", timings=timings)
    assert [one.gpu_minutes for one in listing.scan(tmp_path)[0]] == [20.0, 11.0, 0.0]


def test_the_list_reads_no_log_and_no_steps(tmp_path: Path) -> None:
    """They are most of a run, and two hundred runs should be listed in a second."""
    folder = write(tmp_path / "r", judged=JUDGED)
    dump(folder / "metrics.json", held_out=JUDGED, history={"a": "no steps"})
    (folder / "kernel.log").mkdir()
    lines, broken = listing.scan(tmp_path)
    assert (len(lines), list(broken)) == (1, [])
