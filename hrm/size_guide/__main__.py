"""Writes the document: `python -m hrm.size_guide docs/size-guide.md`; without a path it is printed."""

from __future__ import annotations

import sys
from pathlib import Path

from hrm.config.command_line import run_cli
from hrm.config.errors import ConfigError
from hrm.size_guide.document import document

_USAGE = (
    "usage: python -m hrm.size_guide [PATH]   checks every claim of the size guide; prints, or writes PATH"
)


def main(arguments: list[str]) -> int:
    """Prints the document or writes it to the path given. Returns 0.

    Raises:
        ConfigError: there is more than one path, or it cannot be written.
    """
    if {"-h", "--help"} & set(arguments):
        print(_USAGE)
        return 0
    if len(arguments) > 1:
        raise ConfigError("command line", " ".join(arguments), "must be one path or none")
    if not arguments:
        print(document(), end="")
        return 0
    path = Path(arguments[0])
    try:
        path.write_text(document(), encoding="utf-8")
    except OSError as error:
        raise ConfigError("path", str(path), f"cannot be written: {error.strerror}") from None
    return 0


if __name__ == "__main__":
    sys.exit(run_cli(main))
