"""A bundle, unpacked in an empty folder, gives the same rows, the same report and the same study."""

import io
import json
import math
import tracemalloc
from dataclasses import replace
from pathlib import Path
from zipfile import ZipFile

import pytest

from studies.errors import BundleError
from studies.records.csv import series_of
from studies.records.rows import Limit, Rows
from studies.reporting.builder import build_report
from studies.reporting.bundle.archive import read_rows, read_spec, write_bundle
from studies.reporting.bundle.rebuild import rebuild_report
from studies.reporting.render import render
from studies.spec.definition import StudyDefinition
from tests.support.planted_studies import OUTCOMES, planted_rows, planted_spec, provenance

pytestmark = pytest.mark.heavy

SPEC = planted_spec(OUTCOMES)
ROWS = planted_rows(SPEC, OUTCOMES)


def bundled(rows: Rows) -> bytes:
    files = render(build_report(SPEC, rows, provenance(SPEC)), rows) | {"constraints.txt": b"torch==2.13.0\n"}
    file = io.BytesIO()
    write_bundle(file, spec=SPEC, rows=rows, series=series_of(rows.runs), files=files)
    return file.getvalue()


def unpacked(content: bytes, folder: Path) -> Path:
    with ZipFile(io.BytesIO(content)) as archive:
        archive.extractall(folder)
    return folder


@pytest.fixture(scope="module")
def content() -> bytes:
    """The bundle of the planted study."""
    return bundled(ROWS)


def test_every_row_is_read_back_exactly(content: bytes, tmp_path: Path) -> None:
    folder = unpacked(content, tmp_path)
    assert read_spec(folder) == SPEC
    runs = tuple(replace(run, metrics=dict(sorted(run.metrics.items()))) for run in ROWS.runs)
    # as text, since NaN is not equal to itself
    assert repr(read_rows(folder)) == repr(replace(ROWS, runs=runs))


@pytest.mark.slow
def test_what_is_hard_to_write_is_read_back_exactly(tmp_path: Path) -> None:
    (first, *others), (pack, *packs) = ROWS.runs, ROWS.packs
    odd = replace(first, rungs=(math.inf, 0.1 + 0.2), metrics={"validation_loss": math.nan, "test_loss": -math.inf})
    rows = replace(
        ROWS,
        runs=(odd, *others),
        packs=(replace(pack, done=False, seconds=None, host='GPU, "A" of\nhere', width=8), *packs),
        reached=Limit.GPU_HOURS,
    )
    found = read_rows(unpacked(bundled(rows), tmp_path))
    assert dict(found.runs[0].metrics).keys() == {"validation_loss", "test_loss"}
    assert repr(found.packs) == repr(rows.packs)
    assert (found.runs[0].rungs, found.reached) == (odd.rungs, Limit.GPU_HOURS)
    assert math.isnan(found.runs[0].metrics["validation_loss"])


def test_series_are_read_a_point_at_a_time(content: bytes, tmp_path: Path) -> None:
    # one series of many points, the next, and so on: what is kept of them is small beside their file
    folder = unpacked(content, tmp_path)
    path = folder / "rows" / "series.csv"
    pack, lane = ROWS.runs[0].pack, ROWS.runs[0].lane
    with path.open("w") as file:
        file.write("pack,lane,series,step,value\n")
        file.writelines(f"{pack},{lane},train_loss,{step % 200},{'0' * 400}1.0\n" for step in range(50_000))
    tracemalloc.start()
    found = read_rows(folder)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(found.runs[0].series[0].values) == 50_000
    assert peak < path.stat().st_size / 2


def test_the_report_computed_again_is_the_same_in_every_form(content: bytes, tmp_path: Path) -> None:
    folder = unpacked(content, tmp_path)
    again = rebuild_report(folder)
    assert {path.name for path in (folder / "report").iterdir()} == set(again)
    for name, found in again.items():
        assert found == (folder / "report" / name).read_bytes(), name


def test_it_is_the_same_zip_each_time_and_says_how_to_use_it(content: bytes, tmp_path: Path) -> None:
    assert bundled(ROWS) == content
    folder = unpacked(content, tmp_path)
    readme = (folder / "README.md").read_text()
    assert "l4-studies rebuild" in readme
    assert "l4-studies submit" in readme
    assert SPEC.content_hash in readme
    assert (folder / "constraints.txt").read_text() == "torch==2.13.0\n"
    assert StudyDefinition.model_validate(json.loads((folder / "study.json").read_text())).name == SPEC.name


def test_a_changed_row_gives_another_report(content: bytes, tmp_path: Path) -> None:
    folder = unpacked(content, tmp_path)
    runs = folder / "rows" / "runs.csv"
    runs.write_text(runs.read_text().replace("confirm,FINISHED,200", "confirm,FINISHED,199"))
    assert rebuild_report(folder)["report.json"] != (folder / "report" / "report.json").read_bytes()


@pytest.mark.parametrize("name", ["spec.json", "provenance.json", "rows/about.json", "rows/series.csv"])
def test_a_folder_that_is_no_bundle_is_refused_by_name(content: bytes, tmp_path: Path, name: str) -> None:
    folder = unpacked(content, tmp_path)
    (folder / name).unlink()
    with pytest.raises(BundleError, match=name):
        rebuild_report(folder)


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [("spec.json", '"arms"', '"arm"'), ("rows/packs.csv", "eager", "eagle"), ("rows/about.json", "1", "2")],
)
def test_a_file_that_cannot_be_read_is_refused(
    content: bytes, tmp_path: Path, name: str, before: str, after: str
) -> None:
    path = unpacked(content, tmp_path) / name
    path.write_text(path.read_text().replace(before, after))
    with pytest.raises(BundleError, match=r"spec|rows"):
        rebuild_report(tmp_path)


@pytest.mark.parametrize("of", ["workload", "arm", "study"])
@pytest.mark.parametrize("name", ["/tmp/elsewhere", "../elsewhere", "..", "a\nb"])
def test_a_spec_with_a_name_that_no_study_may_have_is_refused(
    content: bytes, tmp_path: Path, of: str, name: str
) -> None:
    path = unpacked(content, tmp_path) / "spec.json"
    spec = json.loads(path.read_text())
    named = {"workload": spec["workloads"][0], "arm": spec["arms"][0], "study": spec}
    named[of]["name"] = name
    path.write_text(json.dumps(spec))
    with pytest.raises(BundleError, match="name"):
        read_spec(tmp_path)
