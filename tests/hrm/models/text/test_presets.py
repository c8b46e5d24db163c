"""The text presets carry every row of the document's tables, and none writes where another does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from hrm.config.errors import ConfigError
from hrm.config.presets import DocumentedSettings, list_presets, load_preset, shorten_dataset_name
from hrm.config.run_config import RunConfig, merge_overrides
from hrm.config.schema import build_config
from hrm.models.text.config import TextHRMConfig
from hrm.models.text.counting import count
from hrm.training.options import RunOptions
from hrm.training.run import choose_folder

DOCUMENT = """
preset                text_tiny_50m                  text_medium_350m                  text_large_1b
script                hrm_training_tiny_50m.py       hrm_training_medium_350m.py       hrm_training_large_1b.py
n_embd                384                            768                               1536
n_head                6                              12                                24
n_layers              8                              16                                24
d_ff                  1536                           3072                              6144
halt_max_steps        6                              10                                12
h_update_period       2                              4                                 5
seq_len               256                            1024                              2048
batch_size            4                              4                                 8
batch_size_multi_gpu  null                           null                              24
accumulation          8                              2                                 2
epochs                2                              3                                 3
eval_steps            500                            1000                              1000
subset_percent        100                            0.1                               0.01
output_dir            hrm_text1_c4_small_50m_output  hrm_text1_c4_medium_350m_output   hrm_text1_c4_1b_output
hub_repo              HRM-Text1-c4-50M               HRM-Text1-c4-350M                 HRM-Text1-c4-1B
vram_gb               '2-4'                          '8'                               '16+'
training_hours        '1-2'                          '6-8'                             '12-24'
reported_params       ~50M                           ~350M                             ~1B
lr                    0.002                          0.002                             0.002
beta1                 0.9                            0.9                               0.9
beta2                 0.95                           0.95                              0.95
weight_decay          0.1                            0.1                               0.1
clip_norm             1.0                            1.0                               1.0
lr_warmup_fraction    0.1                            0.1                               0.1
dropout               0.1                            0.1                               0.1
ponder_loss_weight    0.01                           0.01                              0.01
halt_bias_init        -2.2                           -2.2                              -2.2
"""
"""The tables of "Model Configurations Summary", for C4."""
FIELDS, *COLUMNS = zip(*(line.split() for line in DOCUMENT.strip().splitlines()))


def run_of(name: str) -> RunConfig:
    preset = load_preset(name)
    sections = {"model": preset.model, "train": preset.train, "task": preset.task}
    return RunConfig.from_dict(merge_overrides({"family": preset.family, **sections}, {}))


@pytest.mark.parametrize("column", COLUMNS, ids=lambda column: column[0])
def test_every_row_of_the_document_is_there(column: tuple[str, ...]) -> None:
    run, preset = run_of(column[0]), load_preset(column[0])
    documented = preset.documented
    assert documented is not None and documented.use_case
    found: dict[str, Any] = vars(documented) | vars(run.model) | vars(run.train) | vars(preset)
    found |= {
        "preset": preset.name,
        "output_dir": documented.format_output_dir("allenai/c4"),
        "hub_repo": documented.format_hub_repo("allenai/c4"),
    }
    for field, cell in zip(FIELDS, column):
        assert found[field] == yaml.safe_load(cell), field
    assert run.model.seq_len == run.task.seq_len


def test_two_presets_never_write_to_one_directory() -> None:
    for dataset in (None, "allenai/c4"):
        folders = []
        for name in list_presets("text"):
            run = run_of(name).replace(**{"task.dataset": dataset}) if dataset else run_of(name)
            folders.append(choose_folder(RunOptions(output_base="base"), load_preset(name).documented, run))
        named = [folder for folder in folders if folder is not None]
        assert len(named) >= 5 and len(set(named)) == len(named)
        assert all(folder.parent == Path("base") for folder in named)


def test_our_own_small_ones_keep_to_their_names() -> None:
    for name, most in (("text_1m", 1_000_000), ("text_10m", 10_000_000)):
        run = run_of(name)
        deeper = TextHRMConfig(**vars(run.model) | {"n_layers": run.model.n_layers + 1})
        assert count(run.model).params <= most < count(deeper).params


def test_the_50m_model_on_bytes_is_38m() -> None:
    model = run_of("text_tiny_50m").model
    assert count(TextHRMConfig(**vars(model) | {"vocab_size": 258})).params == 38_160_792


@pytest.mark.parametrize(
    ("sequences", "steps", "reports"), [(20_000, 1250, 2), (16, 1, 1), (3, 1, 1), (800_000, 50_000, 100)]
)
def test_epochs_decide_steps_and_validations(sequences: int, steps: int, reports: int) -> None:
    documented = load_preset("text_tiny_50m").documented
    assert documented is not None
    assert documented.compute_run_length(sequences, 32) == {"steps": steps, "num_reports": reports}


def test_names_of_data_sets() -> None:
    assert shorten_dataset_name("allenai/c4") == "c4"
    assert shorten_dataset_name("/books/my plays*.txt") == "my-plays-.txt"
    with pytest.raises(ConfigError, match=r"output_dir: given 'out'; must hold \{dataset\}"):
        build_config(DocumentedSettings, {"output_dir": "out", "hub_repo": "{dataset}"}, "document")
