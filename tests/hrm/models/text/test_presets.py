"""The text presets carry every row of the document's tables, and none writes where another does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hrm.config.errors import ConfigError
from hrm.config.presets import DocumentedSettings, list_presets, load_preset, shorten_dataset_name
from hrm.config.run_config import RunConfig, merge_overrides
from hrm.config.schema import build_config
from hrm.models.text.config import TextHRMConfig
from hrm.models.text.counting import count
from hrm.training.request import preset_folder

DOCUMENT: dict[str, dict[str, Any]] = {
    "text_tiny_50m": {
        "script": "hrm_training_tiny_50m.py", "n_embd": 384, "n_head": 6, "n_layers": 8, "d_ff": 1536,
        "seq_len": 256, "batch_size": 4, "accumulation": 8, "epochs": 2, "h_update_period": 2,
        "subset_percent": 100, "eval_steps": 500, "output_dir": "hrm_text1_c4_small_50m_output",
        "hub_repo": "HRM-Text1-c4-50M", "vram_gb": "2-4", "training_hours": "1-2", "reported_params": "~50M",
        "halt_max_steps": 6, "batch_size_multi_gpu": None,
    },
    "text_medium_350m": {
        "script": "hrm_training_medium_350m.py", "n_embd": 768, "n_head": 12, "n_layers": 16, "d_ff": 3072,
        "seq_len": 1024, "batch_size": 4, "accumulation": 2, "epochs": 3, "h_update_period": 4,
        "subset_percent": 0.1, "eval_steps": 1000, "output_dir": "hrm_text1_c4_medium_350m_output",
        "hub_repo": "HRM-Text1-c4-350M", "vram_gb": "8", "training_hours": "6-8", "reported_params": "~350M",
        "halt_max_steps": 10, "batch_size_multi_gpu": None,
    },
    "text_large_1b": {
        "script": "hrm_training_large_1b.py", "n_embd": 1536, "n_head": 24, "n_layers": 24, "d_ff": 6144,
        "seq_len": 2048, "batch_size": 8, "accumulation": 2, "epochs": 3, "h_update_period": 5,
        "subset_percent": 0.01, "eval_steps": 1000, "output_dir": "hrm_text1_c4_1b_output",
        "hub_repo": "HRM-Text1-c4-1B", "vram_gb": "16+", "training_hours": "12-24", "reported_params": "~1B",
        "halt_max_steps": 12, "batch_size_multi_gpu": 24,
    },
}  # fmt: skip
COMMON = {
    "lr": 2e-3, "beta1": 0.9, "beta2": 0.95, "weight_decay": 0.1, "clip_norm": 1.0, "warmup": 0.1,
    "dropout": 0.1, "ponder_loss_weight": 1e-2, "halt_bias_init": -2.2,
}  # fmt: skip


def run_of(name: str) -> RunConfig:
    preset = load_preset(name)
    sections = {"model": preset.model, "train": preset.train, "task": preset.task}
    return RunConfig.from_dict(merge_overrides({"family": preset.family, **sections}, {}))


@pytest.mark.parametrize("name", DOCUMENT)
def test_every_row_of_the_document_is_there(name: str) -> None:
    run, preset = run_of(name), load_preset(name)
    documented = preset.documented
    assert documented is not None and documented.use_case
    found = vars(documented) | vars(run.model) | vars(run.train) | {"reported_params": preset.reported_params}
    found["warmup"] = run.train.lr_warmup_fraction
    found |= {
        "output_dir": documented.format_output_dir("allenai/c4"),
        "hub_repo": documented.format_hub_repo("allenai/c4"),
    }
    expected = DOCUMENT[name] | COMMON
    assert {field: found[field] for field in expected} == expected
    assert run.model.seq_len == run.task.seq_len


def test_two_presets_never_write_to_one_directory() -> None:
    for dataset in (None, "allenai/c4"):
        folders = []
        for name in list_presets("text"):
            run = run_of(name).replace(**{"task.dataset": dataset}) if dataset else run_of(name)
            folders.append(preset_folder(load_preset(name), run, Path("base")))
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
