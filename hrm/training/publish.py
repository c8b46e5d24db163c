"""Publishing a finished run on the Hugging Face hub: `push_to_hub=true`, or `push_to_hub=OWNER/NAME`."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from hrm.config.errors import ConfigError, UserError
from hrm.training import run_folder

CARD = "README.md"
PUBLISHED = (CARD, run_folder.CONFIG, run_folder.METRICS, run_folder.RESULT, run_folder.WEIGHTS)
"""What others need; a checkpoint is for going on here."""
_NAME = re.compile(r"([\w.-]+/)?[\w.-]+", re.ASCII)
_GIVE = "Give push_to_hub=NAME or OWNER/NAME"


class PublishError(UserError):
    """The hub has not taken a run, which is whole in its folder."""


@dataclass(frozen=True, kw_only=True)
class Publication:
    """Where a run is to be published."""

    repo: str
    """`NAME`, then in the token's own account, or `OWNER/NAME`."""
    token: str = field(repr=False)

    @classmethod
    def ask(cls, wish: object, own_name: str | None) -> Publication | None:
        """What `push_to_hub` asks for, refused before training rather than after it; None for false.

        Args:
            wish: the option's value.
            own_name: the repository's name in the preset, if it has one.

        Raises:
            ConfigError: there is no name, or no token.
        """
        if wish is False:
            return None
        name = own_name if wish is True else wish
        if name is None:
            raise ConfigError(
                "push_to_hub", wish, "needs a name, and only documented presets bring one", _GIVE
            )
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise ConfigError("push_to_hub", wish, "must be true, false or the name of a repository", _GIVE)
        from huggingface_hub import get_token

        token = get_token()
        if token is None:
            raise ConfigError(
                "push_to_hub", wish, f"publishing as {name} needs a Hugging Face token, and there is none",
                "Set HF_TOKEN to a token that may write, or log in with `hf auth login`",
            )  # fmt: skip
        return cls(repo=name, token=token)

    def publish(self, folder: Path, title: str) -> str:
        """Uploads what a finished run left in its folder; returns the address.

        Args:
            title: of the model card.

        Raises:
            PublishError: the hub cannot be reached or refuses; the run is whole, and nothing is lost.
        """
        from huggingface_hub import HfApi
        from huggingface_hub.errors import HTTPError

        (folder / CARD).write_text(_card(title), encoding="utf-8")
        api = HfApi(token=self.token)
        try:
            repo = api.create_repo(self.repo, exist_ok=True)
            api.upload_folder(
                repo_id=repo.repo_id,
                folder_path=folder,
                allow_patterns=list(PUBLISHED),
                commit_message=f"Publish {title}",
            )
        except (HTTPError, OSError, ValueError) as error:
            reason = " ".join(str(error).split())[:300]
            raise PublishError("push_to_hub", self.repo, f"the hub has not taken it: {reason}",
                               f"The run is whole in {folder}") from None  # fmt: skip
        return str(repo)


def _card(title: str) -> str:
    return (
        f"# {title}\n\n"
        "Trained by HRM Sweeps. `config.yaml` holds every setting (`python -m hrm.train config=config.yaml` "
        "trains it again), `metrics.jsonl` its course, `result.json` its last figures, `weights.pt` a PyTorch "
        "`state_dict`.\n"
    )
