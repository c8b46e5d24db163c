"""Continues a prompt with a trained text model: `python -m hrm.generate run=DIR prompt="To be"`; `--help`."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hrm.config.command_line import run_cli
from hrm.config.errors import ConfigError
from hrm.config.schema import build_config, parse_dotlist
from hrm.config.validation import SEED, at_least, check, each
from hrm.models.text.generation import Sampling

if TYPE_CHECKING:
    from hrm.training.trainer import Trainer

_USAGE = """\
Continues a prompt with a text model that `python -m hrm.train` has trained.

  python -m hrm.generate run=DIR prompt="To be, or"
  python -m hrm.generate run=DIR prompt="To be, or" temperature=0.8 top_p=0.9 seed=1

"""


@dataclass(frozen=True, kw_only=True)
class GenerateConfig(Sampling):
    """What to continue, and how.

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
    """Of what is drawn."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check(self, RULES)


RULES = (
    *each(["run"], bool, "must be the folder of a trained run"),
    *at_least(1, "max_new_tokens", null=""),
    *SEED,
)


def main(arguments: list[str]) -> int:
    """Prints the prompt and its continuation. Returns 0.

    Raises:
        UserError: the command line, the run or its data are at fault.
    """
    if not arguments or {"-h", "--help"} & set(arguments):
        from hrm.config.command_line import format_options, read_field_docs

        own = format_options(GenerateConfig, skip=read_field_docs(Sampling))
        print(f"{_USAGE}{own}\n{format_options(Sampling)}")
        return 0
    asked = build_config(GenerateConfig, parse_dotlist(arguments), "generate")
    print(asked.prompt + continuation(_trained(Path(asked.run)), asked))
    return 0


def continuation(trainer: Trainer, asked: GenerateConfig) -> str:
    """The text that a run's model adds to a prompt, up to the end of a document.

    Raises:
        ConfigError: a value is out of range, or the prompt leaves no room in the context.
    """
    import torch

    from hrm.data.text.task import TextDataset
    from hrm.models.text.generation import generate

    assert isinstance(trainer.dataset, TextDataset)
    tokenizer = trainer.dataset.tokenizer
    start = [tokenizer.end, *tokenizer.encode(asked.prompt.encode("utf-8", "replace"))[0].tolist()]
    room = trainer.config.model.seq_len - len(start)
    if room < 1:
        rule = f"has {len(start) - 1} tokens, and the context of {room + len(start)} holds the start and one more"
        raise ConfigError("prompt", asked.prompt, rule, "Shorten it")
    model: Any = trainer.model
    model.load_state_dict(trainer.get_evaluation_weights())
    model.eval()
    generator = torch.Generator(trainer.device)
    generator.manual_seed(asked.seed)
    prompt = torch.tensor([start], device=trainer.device)
    made = generate(model, prompt, asked.max_new_tokens or room, asked, generator=generator)[0].tolist()
    end = made.index(tokenizer.end) if tokenizer.end in made else len(made)
    return tokenizer.decode(made[:end])


def _trained(folder: Path) -> Trainer:
    """The trainer of a run of a text model, as it was saved."""
    from hrm.config.run_config import RunConfig
    from hrm.training import checkpoint
    from hrm.training.request import open_data
    from hrm.training.trainer import Trainer

    config = RunConfig.from_dict(checkpoint.load(folder)["config"])
    if config.family != "text":
        raise ConfigError("run", str(folder), f"is of family={config.family}, and only text can be continued")
    return Trainer.resume(folder, open_data(config))


if __name__ == "__main__":
    sys.exit(run_cli(main))
