"""Publishing a finished run on the Hugging Face hub: `push_to_hub=true`, or `push_to_hub=OWNER/NAME`."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from hrm.config.errors import ConfigError, UserError
from hrm.training.run_folder import CONFIG, METRICS, RESULT, WEIGHTS

CARD = "README.md"
PUBLISHED = (CARD, CONFIG, METRICS, RESULT, WEIGHTS)
"""The files that others need; the checkpoint is only for resuming."""
_REPO_NAME = re.compile(r"([\w.-]+/)?[\w.-]+", re.ASCII)


class PublishError(UserError):
    """The hub has not accepted a run, which is complete in its folder."""


@dataclass(frozen=True, kw_only=True)
class Publication:
    """Where a run is to be published."""

    repo: str
    """`NAME`, then in the token's own account, or `OWNER/NAME`."""
    token: str = field(repr=False)

    @classmethod
    def prepare(cls, push_to_hub: bool | str, preset_repo: str | None) -> Publication | None:
        """Check before the training that the run can be published; None if it is not asked for.

        Args:
            push_to_hub: the option's value.
            preset_repo: the repository's name in the preset, if it has one.

        Raises:
            ConfigError: there is no name, or no token.
        """
        if push_to_hub is False:
            return None
        name = preset_repo if push_to_hub is True else push_to_hub
        hint = "Give push_to_hub=NAME or OWNER/NAME"
        if name is None:
            rule = "needs a name, and only documented presets have one"
            raise ConfigError("push_to_hub", push_to_hub, rule, hint)
        if not _REPO_NAME.fullmatch(name):
            rule = "must be true, false or the name of a repository"
            raise ConfigError("push_to_hub", push_to_hub, rule, hint)
        from huggingface_hub import get_token

        token = get_token()
        if token is None:
            rule = f"publishing as {name} needs a Hugging Face token, and there is none"
            hint = "Set HF_TOKEN to a token with write access, or log in with `hf auth login`"
            raise ConfigError("push_to_hub", push_to_hub, rule, hint)
        return cls(repo=name, token=token)

    def publish(self, folder: Path, title: str) -> str:
        """Upload the files of a finished run and return the address.

        Args:
            folder: the run's.
            title: of the model card.

        Raises:
            PublishError: the hub cannot be reached or refuses; the run is complete, and nothing is lost.
        """
        from huggingface_hub import HfApi
        from huggingface_hub.errors import HTTPError

        (folder / CARD).write_text(_write_card(title), encoding="utf-8")
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
            rule = f"the hub has not accepted it: {' '.join(str(error).split())[:300]}"
            raise PublishError("push_to_hub", self.repo, rule, f"The run is complete in {folder}") from None
        return str(repo)


def _write_card(title: str) -> str:
    return (
        f"# {title}\n\n"
        "Trained by HRM Sweeps. `config.yaml` holds every setting (`python -m hrm.train config=config.yaml` "
        "trains it again), `metrics.jsonl` the metrics of each validation, `result.json` the last ones, and "
        "`weights.pt` a PyTorch `state_dict`.\n"
    )
