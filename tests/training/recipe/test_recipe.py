import pytest

from fakelens.errors import UserError
from fakelens.training.recipe.recipe import load_recipe


@pytest.fixture
def write(tmp_path):
    def write(text):
        path = tmp_path / "mine.yaml"
        path.write_text(text)
        return path

    return write


def test_keys_reach_their_dataclasses_and_overrides_win(write):
    path = write(
        "architecture: resnet_se\nlearning_rate: 1e-4\nphases:\n  - {name: a, steps: 3}\n  - {name: b, epochs: 2}\n"
    )
    recipe = load_recipe(
        path, ["--learning_rate", "5e-3", "--phases.1.epochs=0.5", "--data", "some/where", "--seed", "7"]
    )
    assert recipe.model.architecture == "resnet_se"
    assert recipe.run.learning_rate == 5e-3
    assert recipe.data.data == "some/where"
    assert [(p.name, p.steps, p.epochs) for p in recipe.phases] == [("a", 3, None), ("b", None, 0.5)]
    assert recipe.run.seed == recipe.keys["seed"] == 7
    assert recipe.run.output_dir == "runs/mine"


def test_a_recipe_without_phases_has_one(write):
    assert len(load_recipe(write("architecture: custom_cnn\n")).phases) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("learning_rte: 1e-3\n", "unknown key 'learning_rte'. Did you mean learning_rate"),
        ("phases: [{trainble: head}]\n", "phases.0: unknown key 'trainble'. Did you mean trainable"),
        ("phases: [{adversarial: {fracton: 0.3}}]\n", "fraction"),
        ("phases: [{trainable: some}]\n", "trainable is 'some'"),
        ("phases: [{trainable: -3}]\n", "trainable is -3"),
        ("phases: [{steps: 3, epochs: 1}]\n", "both epochs and steps"),
        ("phases: [{monitor: luck}]\n", "monitor is 'luck'"),
        ("phases: [{label_smoothing: 1}]\n", "label_smoothing"),
        ("phases: [{early_stopping: 0}]\n", "early_stopping"),
        ("phases: [{adversarial: {fraction: 0.3, eps: [2.0]}}]\n", "eps"),
        ("decision_threshold: 1.5\n", "decision_threshold"),
        ("holdout: 2\n", "holdout is 2"),
        ("classes: cats\n", "verdict or generator"),
        ("protocol: openfakes\n", "no protocol 'openfakes'. Did you mean openfake"),
        ("only_generators: []\n", "names none"),
        ("protocol: openfake\nonly_generators: Veo 3\n", "names Veo 3, which protocol or exclude_generators leaves"),
        ("rehearsal: sample\n", "rehearsal needs start_from"),
        ("start_from: a\nimage_size: 64\n", "brings its own network and processor: leave image_size out"),
        ("start_from: a\nrehearsal_fraction: 1\n", "rehearsal_fraction is 1"),
        ("start_from: a\nrehearsal: b\nextra_data: c\nextra_fraction: 0.5\n", "add up to 1"),
        ("lr_scheduler_type: zigzag\n", "does not fit"),
        ("- a\n- b\n", "not a mapping"),
        ("a: [\n", "not YAML"),
    ],
)
def test_bad_recipes_name_the_key_and_the_way_out(write, text, message):
    with pytest.raises(UserError, match=message) as caught:
        load_recipe(write(text))
    assert "\n" not in str(caught.value)


def test_a_missing_recipe_is_named(tmp_path):
    with pytest.raises(UserError, match="nowhere.yaml cannot be read"):
        load_recipe(tmp_path / "nowhere.yaml")


@pytest.mark.parametrize(
    "overrides", [["learning_rate", "1"], ["--learning_rate"], ["--phases.7.steps", "1"], ["--learning_rat", "1"]]
)
def test_bad_overrides_are_refused(write, overrides):
    with pytest.raises(UserError):
        load_recipe(write("architecture: custom_cnn\nphases: [{steps: 1}]\n"), overrides)


def test_half_precision_without_a_gpu_falls_back_and_says_so(write, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    recipe = load_recipe(write("fp16: true\n"))
    assert recipe.run.fp16 is False and "fp16 needs a CUDA device" in recipe.notes[0]


def test_keys_of_older_recipes_are_read_under_their_names_now(write):
    old = write(
        "extra_data: a\nextra_share: 0.3\ndegradations: [{name: crop, share: [0.4, 0.7]}, {name: jpeg}]\n"
        "phases: [{adversarial: {share: 0.2, eps: [0.05]}}, {steps: 2}]\n"
    )
    recipe = load_recipe(old, ["--phases.0.adversarial.share", "0.4", "--degradations.0.share", "0.5"])
    assert recipe.data.extra_fraction == recipe.keys["extra_fraction"] == 0.3
    assert recipe.data.degradations == [{"name": "crop", "fraction": 0.5}, {"name": "jpeg"}]
    assert recipe.phases[0].adversarial.fraction == 0.4 and recipe.phases[1].adversarial is None
    assert load_recipe(old, ["--extra-share=0.1"]).data.extra_fraction == 0.1
    continued = load_recipe(write("start_from: a\nrehearsal: b\nrehearsal_share: 0.2\n"))
    assert continued.data.rehearsal_fraction == 0.2
    with pytest.raises(UserError, match="both extra_share and extra_fraction"):
        load_recipe(write("extra_share: 0.3\nextra_fraction: 0.3\n"))
