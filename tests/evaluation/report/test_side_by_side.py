"""Several detectors on one data set, in one run and one table."""

import json
import shlex
import shutil

import pytest

from fakelens.cli.script import dataclass_parser, parse_all
from fakelens.cli.verbs.evaluation.compare import CompareArguments, command_of
from fakelens.data.sources.label_rules import LabelRules
from fakelens.data.sources.opening import ReadOptions
from fakelens.errors import UserError
from fakelens.evaluation.compare import compare_models
from fakelens.evaluation.report.board import MARK, check_board, write_board
from fakelens.evaluation.report.side_by_side import print_side_by_side, side_by_side
from fakelens.evaluation.run import Options, short_names
from fakelens.inference.detector import load_detector
from tests.evaluation.conftest import make_image
from tests.readme import ROOT


@pytest.fixture(scope="module")
def foreign(tmp_path_factory, learned):
    """The learned network with its classes the other way round and under other names, as a stranger's would be."""
    home = tmp_path_factory.mktemp("foreign") / "stranger"
    shutil.copytree(learned, home)
    config = json.loads((home / "config.json").read_text())
    config |= {"id2label": {"0": "LABEL_0", "1": "LABEL_1"}, "label2id": {"LABEL_0": 0, "LABEL_1": 1}}
    (home / "config.json").write_text(json.dumps(config))
    return home


@pytest.fixture(scope="module")
def compared(tmp_path_factory, learned, foreign, tiny_data):
    output = tmp_path_factory.mktemp("out") / "compared"
    read = ReadOptions.parse("real=LABEL_1,fake=LABEL_0", is_strict=False)
    options = Options(device="cpu", robustness=True, robustness_limit=2, audit=False, gallery=0, read=read)
    return output, compare_models([str(learned), str(foreign)], str(tiny_data), output, options=options)


def test_the_table_has_a_column_a_detector_and_the_report_stands_beside_it(compared):
    output, report = compared
    header, rows = side_by_side(report, "test")
    assert header == ["", *(model["name"] for model in report["models"])]
    measures = [row[0] for row in rows]
    assert measures == [
        "parameters", "input, pixels", "images/s", "AUROC, raw", "AUROC, normalised", "macro over generators",
        "worst generator", "recall at 5 % FPR", "recall at 1 % FPR", "verdict", "recall", "false positives",
        "accuracy, two verdicts", "ECE", "verdict stability", "AUROC less the first's",
    ]  # fmt: skip
    assert all(len(row) == 3 for row in rows)
    page = (output / "compare.md").read_text()
    assert "| AUROC, raw |" in page and "`LABEL_1` is real, `LABEL_0` is fake" in page.replace(
        "`LABEL_0` is fake, `LABEL_1` is real", "`LABEL_1` is real, `LABEL_0` is fake"
    )
    assert json.loads((output / "report.json").read_text()) == report


def test_a_network_that_answers_the_other_way_round_is_as_bad_as_the_first_is_good(compared):
    _, report = compared
    first, second = (model["results"]["test"]["raw"]["overall"]["auroc"] for model in report["models"])
    assert first > 0.8 and second == pytest.approx(1 - first, abs=1e-9)
    row = next(row for row in side_by_side(report, "test")[1] if row[0] == "AUROC less the first's")
    assert row[1] == "–" and row[2].startswith(f"{second - first:+.3f}")


def test_what_the_user_said_stands_in_the_report(compared):
    _, report = compared
    assert report["data"]["read_as"] == {"label_map": {"real": ["label_1"], "fake": ["label_0"]}}
    assert [model["labels"] for model in report["models"]] == [
        {"real": "real", "fake": "fake"},
        {"LABEL_0": "fake", "LABEL_1": "real"},
    ]


def test_the_table_is_printed_within_a_hundred_columns_however_many_detectors_there_are(compared, capsys):
    report = compared[1]
    many = report | {"models": report["models"] * 4}
    for shown, blocks in ((report, 1), (many, 3)):
        print_side_by_side(shown)
        said = capsys.readouterr().out
        assert said.count("│ false positives ") == blocks and max(map(len, said.splitlines())) <= 100
        auroc = side_by_side(shown, "test")[1][3]
        assert auroc[0] == "AUROC, raw" and all(cell in said for cell in auroc[1:])  # in one line each


def test_one_models_map_is_its_own(tmp_path, foreign, tiny_data):
    other = shutil.copytree(foreign, tmp_path / "other")
    own = {str(foreign): "real=LABEL_1,fake=LABEL_0", str(other): "real=LABEL_0,fake=LABEL_1"}
    rules = {model: LabelRules.parse(label_map) for model, label_map in own.items()}
    options = Options(["raw"], device="cpu", audit=False, gallery=0, model_rules=rules)
    report = compare_models(list(own), str(tiny_data), tmp_path / "out", options=options)
    first, second = (model["results"]["test"]["raw"]["overall"]["auroc"] for model in report["models"])
    assert first < 0.2 and second == pytest.approx(1 - first, abs=1e-9)
    assert [model["labels"]["LABEL_0"] for model in report["models"]] == ["fake", "real"]


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({}, "stranger has the classes LABEL_0, LABEL_1, and none is known.*--label-map real=LABEL_0"),
        ({"fake": "robot"}, "stranger has the classes LABEL_0, LABEL_1; the label map names 'robot'"),
    ],
)
def test_what_a_later_models_classes_mean_is_asked_before_the_first_scores(
    tmp_path, tiny_model, foreign, tiny_data, rules, message
):
    own = {str(foreign): LabelRules.parse(rules)} if rules else {}
    options = Options(["raw"], device="cpu", audit=False, gallery=0, model_rules=own)
    with pytest.raises(UserError, match=message):
        compare_models([str(tiny_model), str(foreign)], str(tiny_data), tmp_path / "out", options=options)
    assert not list(tmp_path.iterdir())  # nothing was scored


def test_cameras_are_collections_of_the_data(compared):
    with pytest.raises(UserError, match="--cameras names my_phone, which is no collection of split 'test'"):
        side_by_side(compared[1], "test", ["my_phone"])


def test_false_positives_on_cameras(tmp_path, tiny_model, parquet):
    models = [str(tiny_model), str(shutil.copytree(tiny_model, tmp_path / "other"))]
    options = Options(["raw"], device="cpu", audit=False, gallery=0)
    report = compare_models(models, str(parquet), tmp_path / "out", options=options, cameras=["first"])
    rows = side_by_side(report, "test", ["first"])[1]
    names = [row[0] for row in rows]
    assert names[names.index("... of cameras") - 1] == "false positives"
    row = rows[names.index("... of cameras")]
    numbers = report["models"][0]["results"]["test"]["raw"]["per_source"]["first"]
    assert row[1].endswith(f"({numbers['verdicts']['real']['fake']} of {numbers['real']})")
    assert load_detector(tiny_model, "cpu").scores([make_image(1)]).shape == (1,)


def test_one_detector_alone_is_no_comparison(tmp_path, tiny_model, parquet):
    with pytest.raises(UserError, match="needs two models or more, not 1"):
        compare_models([str(tiny_model)], str(parquet), tmp_path / "out")


def test_a_map_that_names_a_class_of_neither_data_nor_models_is_refused_before_the_work(tmp_path, tiny_model):
    for number, name in enumerate(("real", "fake")):
        (tmp_path / "d" / "test" / name).mkdir(parents=True)
        make_image(number).save(tmp_path / "d" / "test" / name / "0.png")
    models = [str(tiny_model), str(shutil.copytree(tiny_model, tmp_path / "other"))]
    options = Options(device="cpu", read=ReadOptions.parse("fake=robot", is_strict=False))
    with pytest.raises(UserError, match="names 'robot', which is no class of the data or the models: fake, real"):
        compare_models(models, str(tmp_path / "d"), tmp_path / "out", options=options)


def test_a_board_has_a_row_a_detector_and_keeps_what_people_wrote(tmp_path, compared):
    _, report = compared
    page = tmp_path / "new" / "board.md"
    write_board(report, page, "fakelens compare --model a b")
    page.write_text(page.read_text() + "\nOur own words.\n")
    write_board(report, page, "fakelens compare --model a b c")
    said = page.read_text()
    assert "```bash\nfakelens compare --model a b c\n```" in said and said.count("fakelens compare") == 1
    assert said.endswith(f"{MARK}\n\nOur own words.\n")
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in said.splitlines() if line[:1] == "|"]
    header, rows = side_by_side(report, "test")
    assert lines[0] == ["detector", *(row[0] for row in rows)]
    for number, name in enumerate(header[1:], 1):
        assert lines[1 + number] == [name, *(row[number] for row in rows)]
    assert lines[-1][0] == "**yours**" and "--model" in lines[-1][1]


def test_a_board_never_takes_the_place_of_another_page(tmp_path):
    (tmp_path / "page.md").write_text("# A page")
    with pytest.raises(UserError, match="holds something else than a board.*--board"):
        check_board(tmp_path / "page.md")
    assert check_board(tmp_path / "none.md") == ""


def test_the_published_board_is_what_its_command_writes(compared):
    """The same columns, a row for each detector that the command names, the row for one's own."""
    page = (ROOT / "docs" / "board.md").read_text(encoding="utf-8")
    words = shlex.split(page.split("```bash\n")[1].split("\n```")[0])
    args = parse_all(dataclass_parser(CompareArguments, None), words[2:])
    assert words[:2] == ["fakelens", "compare"] and args.board == "docs/board.md"
    assert shlex.split(command_of(args)) == words
    above = page.split(MARK)[0]
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in above.splitlines() if line[:1] == "|"]
    assert lines[0] == ["detector", *(row[0] for row in side_by_side(compared[1], "test")[1])]
    assert [line[0] for line in lines[2:]] == [*short_names(args.model), "**yours**"]
