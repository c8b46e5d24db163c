"""Continue a prompt with a trained text model: `python -m hrm.generate run=DIR prompt="To be"`."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from hrm.config.command_line import asks_for_help, format_options, read_field_docs, run_cli
from hrm.config.errors import ConfigError
from hrm.config.run_config import RunConfig
from hrm.config.schema import build_config, parse_dotlist
from hrm.config.validation import SEED, at_least, check, each
from hrm.data.text.task import TextDataset
from hrm.models.text.generation import Sampling, generate
from hrm.training.checkpoint import load_checkpoint
from hrm.training.run import open_data
from hrm.training.trainer import Trainer

_USAGE = """\
Continues a prompt with a text model that `python -m hrm.train` has trained.

  python -m hrm.generate run=DIR prompt="To be, or"
  python -m hrm.generate run=DIR prompt="To be, or" temperature=0.8 top_p=0.9 seed=1

"""


@dataclass(frozen=True, kw_only=True)
class GenerateConfig(Sampling):
    """The prompt to continue, and how.

    Raises:
        ConfigError: a value is out of range.
    """

    run: str = ""
    """Folder of the trained run."""
    prompt: str = ""
    """Text to continue; none starts a document."""
    max_new_tokens: int | None = None
    """Most tokens to add; null fills the context."""
    seed: int = 0
    """Decides the tokens that are drawn."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check(self, RULES)


RULES = (
    *each(["run"], bool, "must be the folder of a trained run"),
    *at_least(1, "max_new_tokens", null=""),
    *SEED,
)


def main(arguments: list[str]) -> int:
    """Print the prompt and its continuation; return 0.

    Raises:
        UserError: the command line, the run or its data are at fault.
    """
    if asks_for_help(arguments):
        own = format_options(GenerateConfig, skip=read_field_docs(Sampling))
        print(f"{_USAGE}{own}\n{format_options(Sampling)}")
        return 0
    config = build_config(GenerateConfig, parse_dotlist(arguments), "generate")
    print(config.prompt + continue_prompt(load_trainer(Path(config.run)), config))
    return 0


def load_trainer(folder: Path) -> Trainer:
    """Return the trainer of a text run as it was saved.

    Raises:
        UserError: the folder holds no run of a text model, or its data are missing.
    """
    config = RunConfig.from_dict(load_checkpoint(folder)["config"])
    if config.family != "text":
        raise ConfigError("run", str(folder), f"is of family={config.family}, and only text can be continued")
    return Trainer.resume(folder, open_data(config))


def continue_prompt(trainer: Trainer, config: GenerateConfig) -> str:
    """Return the text that a run's model adds to a prompt, up to the end of a document.

    Raises:
        ConfigError: the prompt leaves no room in the context, or too many tokens are asked for.
    """
    assert isinstance(trainer.dataset, TextDataset)
    tokenizer, context = trainer.dataset.tokenizer, trainer.config.model.seq_len
    start = [tokenizer.end, *tokenizer.encode(config.prompt.encode("utf-8", "replace"))[0].tolist()]
    if len(start) >= context:
        rule = f"has {len(start) - 1} tokens, and the context of {context} holds the start and one more"
        raise ConfigError("prompt", config.prompt, rule, "Shorten it")
    model: Any = trainer.model
    model.load_state_dict(trainer.get_evaluation_weights())
    model.eval()
    generator = torch.Generator(trainer.device)
    generator.manual_seed(config.seed)
    prompt = torch.tensor([start], device=trainer.device)
    num_tokens = config.max_new_tokens or context - len(start)
    tokens = generate(model, prompt, num_tokens, config, generator=generator)[0].tolist()
    end = tokens.index(tokenizer.end) if tokenizer.end in tokens else len(tokens)
    return tokenizer.decode(tokens[:end])


if __name__ == "__main__":
    sys.exit(run_cli(main))
