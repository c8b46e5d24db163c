"""The size guide, checked: `python benchmarks/size_guide.py docs/size-guide.md` writes claims and exact figures.

`size_guide.yaml` holds the text, the claims and the tables. The figures that it names are here: those of a model are
made by `describe_variant`, those of a section by its function in `SECTION_FIGURES`.
"""

from __future__ import annotations

import string
import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import pairwise
from operator import eq, gt, lt
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from hrm.config.command_line import asks_for_help, run_cli
from hrm.config.errors import ConfigError
from hrm.config.presets import list_presets, load_preset
from hrm.config.schema import read_yaml
from hrm.count import estimate_by_size_guide
from hrm.models.puzzle import counting
from hrm.models.puzzle.config import PuzzleHRMConfig
from hrm.models.registry import Counts
from hrm.system.format import format_bytes, format_markdown_table, format_percent, format_scaled

TEXT = Path(__file__).with_suffix(".yaml")
BASE = "base_default"
BATCH_SIZE, OFFICIAL_BATCH_SIZE = 32, 768
TOLERANCE = 0.05
"""Largest relative error at which an approximate claim holds."""
SMALL_GPU_BYTES = 8 * 2**30
EVEN_WIDTHS, EXPANSIONS = range(2, 1025, 2), (1, 2, 3, 4)
CELLS = (16, 36, 81, 900)
COUNTED = ("params", "flops_per_step", "eval_flops_per_batch", "activation_bytes", "total_bytes")
YES, PARTLY, NO = "yes", "partly", "**no**"

Figures = dict[str, Any]
FORMATS: dict[str, Callable[[Any], str]] = {
    "factor": lambda ratio: f"×{ratio:.3g}",
    "change": lambda ratio: format_percent(ratio - 1),
    "scaled": format_scaled,
    "bytes": format_bytes,
}


def build_model(preset: str = BASE, **fields: Any) -> PuzzleHRMConfig:
    """Return a preset with some fields replaced; vocabulary 11, 81 cells and one puzzle, as the guide assumes."""
    return PuzzleHRMConfig(**{**load_preset(preset).model, **fields})


def count_model(preset: str = BASE, batch_size: int = BATCH_SIZE, **fields: Any) -> Counts:
    """Return the counts of `build_model`."""
    return counting.count(build_model(preset, **fields), batch_size)


def get_inner_size(H: int, expansion: float = 4, mlp_multiple: int = 256) -> int:
    """Return the inner width of the feed-forward layer at width H."""
    return build_model(hidden_size=H, num_heads=1, expansion=expansion, mlp_multiple=mlp_multiple).inner_size


def get_saved_share(H: int, mlp_multiple: int = 256) -> float:
    """Return the share of the feed-forward layer that expansion 3 saves against 4 at width H."""
    return 1 - get_inner_size(H, 3, mlp_multiple) / get_inner_size(H, 4, mlp_multiple)


def count_expansions(H: int) -> int:
    """Return how many different models the expansions give at width H."""
    return len({get_inner_size(H, expansion) for expansion in EXPANSIONS})


class Variant(SimpleNamespace):
    """A model that the document shows, with its figures."""


def describe_variant(label: str, change: Figures) -> Variant:
    """Return a model with its figures.

    Args:
        change: the fields that differ from Base, or from `preset` where that is given; also `batch_size`.
    """
    fields = {name: value for name, value in change.items() if name != "batch_size"}
    preset, model, counts = (
        load_preset(change.get("preset", BASE)),
        build_model(**fields),
        count_model(**change),
    )
    base, float32 = count_model(), count_model(**{**change, "forward_dtype": "float32"})
    one, two = (count_model(**{**change, "batch_size": size}).total_bytes for size in (1, 2))
    each, fixed = two - one, 2 * one - two
    claim_ratio = 1 + preset.compare_params(counts.params) if preset.reported_params else None
    return Variant(
        label=label,
        preset=preset,
        overrides=" ".join(f"{name}={value}" for name, value in fields.items() if name != "preset"),
        model=model,
        sizes=counting.get_sizes(model),
        counts=counts,
        ratio=SimpleNamespace(**{name: getattr(counts, name) / getattr(base, name) for name in COUNTED}),
        added_params=counts.params - base.params,
        official=count_model(**{**change, "batch_size": OFFICIAL_BATCH_SIZE}),
        float32=float32,
        float32_ratio=counts.total_bytes / float32.total_bytes,
        bytes_per_sequence=each,
        fixed_bytes=fixed,
        equal_batch=-(-fixed // each),
        largest_batch=(SMALL_GPU_BYTES - fixed) // each,
        claim=preset.reported_params or "",
        claim_ratio=claim_ratio,
        claim_change=FORMATS["change"](claim_ratio) if claim_ratio else "",
        **describe_estimates(model, counts),
        **describe_width(model),
        **describe_flops(model, counts),
    )


def describe_estimates(model: PuzzleHRMConfig, counts: Counts) -> Figures:
    """Return what the guide's code and its formula L · 12H² + 2VH + puzzle + 2H make of a model."""
    H, estimate = model.hidden_size, estimate_by_size_guide(model)
    puzzle = model.num_puzzle_identifiers * model.puzzle_embedding_size
    formula = (model.H_layers + model.L_layers) * 12 * H * H + 2 * model.vocab_size * H + puzzle + 2 * H
    return {
        "estimate": estimate,
        "estimate_error": estimate - counts.params,
        "estimate_ratio": estimate / counts.params,
        "formula": formula,
        "formula_ratio": formula / counts.params,
        "padding": 1 - formula / counts.params,
    }


def describe_width(model: PuzzleHRMConfig) -> Figures:
    """Return the figures that depend on the width alone."""
    H = model.hidden_size
    block = counting.count_block_params(counting.get_sizes(model)) / H**2
    return {
        "inner_ratio": model.inner_size / H,
        "block": block,
        "block_ratio": block / 12,
        "num_expansions": count_expansions(H),
        "saved": get_saved_share(H),
        "saved_with_32": get_saved_share(H, mlp_multiple=32),
    }


def describe_flops(model: PuzzleHRMConfig, counts: Counts) -> Figures:
    """Return the parts of a step's FLOPs, and the guide's laws for them, relative to cycles 1×1."""
    s, H, L = counting.get_sizes(model), model.H_cycles, model.L_cycles
    L_step, H_update = counting.count_module_flops(s, BATCH_SIZE)
    q_head, lm_head = counting.count_head_flops(s, BATCH_SIZE)
    segment = s.L_steps * L_step + s.H_updates * H_update
    recorded = s.gradient_L_steps * L_step + s.gradient_H_updates * H_update
    parts = (segment - recorded, recorded, 2 * recorded, segment, 4 * q_head + 3 * lm_head)
    blocks = [counting.count_block_flops(s._replace(S=cells), 1) for cells in CELLS]
    one = counting.count(replace(model, H_cycles=1, L_cycles=1), BATCH_SIZE)
    return {
        "flops_shares": [part / counts.flops_per_step for part in parts],
        "attention_shares": [scores / (rest + scores) for rest, scores in blocks],
        "cycle_factor": counts.flops_per_step / one.flops_per_step,
        "passes": (s.L_steps + s.H_updates + 2) / 4,
        "product": (1 + H * L) / 2,
        "sum": (1 + H + L) / 3,
    }


def count_estimator_figures(figures: Figures) -> Figures:
    """Compare the guide's code with the exact counts of a grid of models."""
    grid = []
    for H in EVEN_WIDTHS:
        layers = 1 + H // 2 % 7
        shape: Figures = {"hidden_size": H, "num_heads": 1, "H_layers": layers, "vocab_size": layers + 4}
        grid += [PuzzleHRMConfig(**shape, expansion=expansion) for expansion in EXPANSIONS]
    (shortfall,) = {counting.count(model).params - estimate_by_size_guide(model) for model in grid}
    presets = figures["presets"].values()
    ratios = [one.estimate_ratio for one in figures["unseen_options"].values()]
    return {
        "shortfall": shortfall,
        "num_models": len(grid),
        "lowest": min(ratios),
        "highest": max(ratios),
        "worst": min(presets, key=lambda variant: variant.formula_ratio),
        "num_presets": len(presets),
        "num_close": sum(is_close(variant.formula_ratio, 1) for variant in presets),
    }


def count_expansion_figures(figures: Figures) -> Figures:
    """Find the widths whose inner width is exactly 8/3 H, and what `expansion` saves over all widths."""
    exact = [H for H in EVEN_WIDTHS if 3 * get_inner_size(H) == 8 * H]
    assert exact == list(range(exact[0], EVEN_WIDTHS[-1] + 1, exact[0]))
    saved = [get_saved_share(H) for H in range(32, EVEN_WIDTHS[-1] + 1, 32)]
    return {
        "step": exact[0],
        "worst": max(figures["widths"].values(), key=lambda variant: variant.block),
        "saved": saved,
        "least": min(saved),
        "most": max(saved),
        "num_quarter": saved.count(0.25),
        "num_widths": len(saved),
        "last_without_effect": max(H for H in EVEN_WIDTHS if count_expansions(H) == 1),
    }


def count_depth_and_width_figures(figures: Figures) -> Figures:
    """Compare what another layer costs, and by how much the parameters grow when the width doubles."""
    base, (one_L, one_H, _), two_L = count_model(), figures["added"].values(), count_model(L_layers=6)
    L_flops, H_flops = (one.counts.flops_per_step - base.flops_per_step for one in (one_L, one_H))
    params = [count_model(hidden_size=H).params for H in (64, 128, 256, 512, 1024, 2048)]
    doubled = [wide / narrow for narrow, wide in pairwise(params)]
    return {
        "next_added": two_L.params - one_L.counts.params,
        "H_added": one_H.added_params,
        "L_flops": L_flops,
        "H_flops": H_flops,
        "flops_ratio": L_flops / H_flops,
        "doubled": doubled,
        "least": min(doubled),
        "most": max(doubled),
    }


def count_cycle_figures(figures: Figures) -> Figures:
    """Find how far the guide's law is off, with its cycles read as the product and as the sum."""
    cycles = figures["cycles"].values()
    return {
        "product_error": max(abs(one.product / one.cycle_factor - 1) for one in cycles),
        "sum_error": max(abs(one.sum / one.cycle_factor - 1) for one in cycles),
    }


def count_law_figures(figures: Figures) -> Figures:
    """Compare the growth that the guide claims for each doubled factor with the exact one; bold where it is off."""
    compared: Figures = {"params": [], "activation_bytes": [], "flops_per_step": []}
    for label, variant in figures["doubled"].items():
        variant.claimed, variant.exact = {}, {}
        for name, growth in compared.items():
            claim, ratio = figures["claimed_growth"][label].get(name), getattr(variant.ratio, name)
            is_off = claim is not None and not is_close(ratio, claim)
            growth += [] if claim is None else [ratio / claim]
            variant.claimed[name] = "" if claim is None else FORMATS["factor"](claim)
            variant.exact[name] = f"**{FORMATS['factor'](ratio)}**" if is_off else FORMATS["factor"](ratio)
    return {f"{name}_growth": growth for name, growth in compared.items()}


def count_command_figures(figures: Figures) -> Figures:
    """Find the preset that each example is, or is but for its cycles."""
    for example in figures["examples"].values():
        cycles: Figures = {"H_cycles": example.model.H_cycles, "L_cycles": example.model.L_cycles}
        models = {name: variant.model for name, variant in figures["presets"].items()}
        same = [name for name, model in models.items() if model == example.model]
        like = [name for name, model in models.items() if replace(model, **cycles) == example.model]
        example.match = f"`{same[0]}`" if same else f"`{like[0]}` except for its cycles"
    return {}


def count_constraint_figures(figures: Figures) -> Figures:
    """Find the numbers of heads that width 128 allows, with RoPE and with learned positions."""

    def is_valid(heads: int, **fields: Any) -> bool:
        try:
            build_model(hidden_size=128, num_heads=heads, **fields)
        except ConfigError:
            return False
        return True

    divisors = [heads for heads in range(1, 129) if 128 % heads == 0]
    refused = [heads for heads in divisors if not is_valid(heads)]
    return {
        "valid": [heads not in refused for heads in divisors],
        "num_divisors": len(divisors),
        "num_refused": len(refused),
        "refused": ", ".join(map(str, refused)),
        "num_refused_learned": sum(not is_valid(heads, pos_encodings="learned") for heads in divisors),
    }


SECTION_FIGURES: dict[str, Callable[[Figures], Figures]] = {
    "Estimator": count_estimator_figures,
    "Expansion": count_expansion_figures,
    "Depth and width": count_depth_and_width_figures,
    "Cycles": count_cycle_figures,
    "Scaling laws": count_law_figures,
    "Commands": count_command_figures,
    "Constraints": count_constraint_figures,
}


def is_close(value: float, claimed: float) -> bool:
    """Tell whether an approximate claim holds."""
    return abs(value / claimed - 1) <= TOLERANCE


COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {"=": eq, "<": lt, ">": gt, "~": is_close}


class FigureFormatter(string.Formatter):
    """Formats text like `str.format`, with the formats of `FORMATS` as well: `{ratio:factor}` gives ×2.75."""

    def format_field(self, value: Any, format_spec: str) -> str:
        if format_spec in FORMATS:
            return FORMATS[format_spec](value)
        return str(super().format_field(value, format_spec))

    def fill(self, text: str, figures: Figures) -> str:
        """Return a text with its figures filled in."""
        return self.vformat(text, (), figures)

    def find(self, path: str, figures: Figures) -> list[Any]:
        """Return the figure at a path such as `moves[wider].ratio.params`; with `[*]` those of all elements."""
        path, star, rest = path.partition("[*]")
        found = self.get_field(path, (), figures)[0]
        elements = found.values() if isinstance(found, dict) else found if star else [found]
        return [self.get_field(f"element{rest}", (), {"element": element})[0] for element in elements]


FORMATTER = FigureFormatter()


def judge(conditions: Iterable[str], figures: Figures) -> str:
    """Return yes if all conditions are met, no if none is, else partly; a condition reads `figure = other`."""
    outcomes: list[bool] = []
    for condition in conditions:
        path, symbol, limit = condition.rsplit(" ", 2)
        other = FORMATTER.find(limit, figures)[0] if limit[0].isalpha() else float(limit)
        outcomes += [COMPARISONS[symbol](value, other) for value in FORMATTER.find(path, figures)]
    return YES if all(outcomes) else PARTLY if any(outcomes) else NO


def write_table(columns: Iterable[tuple[str, str]], rows: Iterable[Figures], left: int = 1) -> str:
    """Return a Markdown table from columns of heading and cell, the first `left` of them flush left."""
    headings, cells = zip(*columns)
    filled = [[FORMATTER.fill(cell, row) for cell in cells] for row in rows]
    return format_markdown_table([headings, *filled], left)


def write_section(section: Figures, presets: dict[str, Variant]) -> tuple[str, list[Figures]]:
    """Return a section of the document, and its claims with what is exact and whether they hold."""
    title = section["title"]
    claimed = {name: variant for name, variant in presets.items() if variant.claim}
    figures = section | {"presets": presets, "claimed": claimed, "none": {"": None}}
    figures |= {"tolerance": TOLERANCE, "last_width": EVEN_WIDTHS[-1]}
    for group, models in section.get("models", {}).items():
        figures[group] = {label: describe_variant(label, change) for label, change in models.items()}
    figures |= SECTION_FIGURES[title](figures) if title in SECTION_FIGURES else {}
    claims = []
    for claim in section["claims"]:
        for preset in figures[claim.get("for_each", "none")].values():
            own = figures | {"preset": preset, "anchor": title.lower().replace(" ", "-")}
            written = {name: FORMATTER.fill(claim[name], own) for name in ("says", "exact")}
            claims.append(own | written | {"holds": judge(claim["holds_if"], own)})
    figures["table"] = {
        name: write_table(table["columns"], map(vars, figures[name].values()), table.get("left", 1))
        for name, table in section["tables"].items()
    }
    return f"## {title}\n\n{FORMATTER.fill(section['text'], figures)}", claims


def write_document() -> str:
    """Return the whole document, every figure counted again."""
    text = read_yaml(TEXT)
    variants = [describe_variant(name, {"preset": name}) for name in list_presets("puzzle")]
    presets = {one.label: one for one in sorted(variants, key=lambda one: one.counts.params)}
    sections = [write_section(section, presets) for section in text["sections"]]
    claims = [claim for _, own in sections for claim in own]
    figures = {
        "num_claims": len(claims),
        "num": {word: sum(claim["holds"] == word for claim in claims) for word in (YES, PARTLY, NO)},
        "table": write_table(text["summary"], claims, left=4),
        "tolerance": TOLERANCE,
        "batch_size": BATCH_SIZE,
    }
    return "\n".join([FORMATTER.fill(text["introduction"], figures), *(body for body, _ in sections)])


def main(arguments: list[str]) -> int:
    """Print the document, or write it to the path given; return 0.

    Raises:
        ConfigError: there is more than one path, or it cannot be written.
    """
    if not arguments:
        print(write_document(), end="")
    elif asks_for_help(arguments):
        print(
            "usage: python benchmarks/size_guide.py [PATH]   checks the size guide; "
            "prints the document or writes PATH"
        )
    elif len(arguments) > 1:
        raise ConfigError("command line", " ".join(arguments), "must be one path or none")
    else:
        try:
            Path(arguments[0]).write_text(write_document(), encoding="utf-8")
        except OSError as error:
            raise ConfigError("path", arguments[0], f"cannot be written: {error.strerror}") from None
    return 0


if __name__ == "__main__":
    sys.exit(run_cli(main))
