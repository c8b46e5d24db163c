"""Count what the code weighs and how it speaks: lines, modules, function names, docstrings.

    python benchmarks/code_metrics.py [FOLDER ...]

Lines of code hold a token other than a comment; docstrings (also those under a field) do not count. A name starts
with a verb if its first word is in `VERBS`; properties and dunders are not counted. A docstring is imperative if its
first word is in `VERBS`.
"""

from __future__ import annotations

import ast
import io
import statistics
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

_WORDS = """
accept add adjust advance align allocate answer append apply ask assert assign attach augment average back
begin bind block bound break bring broadcast build cache calculate call cap carry cast change check choose
clamp clean clear clip close collect combine compare compile complete compose compress compute concatenate
conclude configure confirm connect consume continue convert copy correct count cover create crop cut decide
decode decrease deduplicate define delete derive describe deserialize detach detect determine discard display
divide do download draw drop dump embed enable encode end ensure enter enumerate estimate evaluate exclude
execute expand explain export express extend extract fail fetch fill filter finalize find finish fit fix
flatten flip flush follow forget fork format forward freeze gather generate get give go group grow guard guess
halt hand handle has hash hold identify ignore import include increase index infer init initialize inject
insert inspect install integrate interpolate interrupt is iterate join judge keep kill label launch lay leave
lend let limit link list listen load locate lock log look lose lower make map mark mask match measure merge
mix modify move multiply must name need normalize note notify observe open optimize order override pack pad
parse partition pass pause permute pick pin place plan plot poll pop populate position predict prefer prepare
print process produce project propose protect prove provide prune publish pull push put query queue quit quote
raise randomize rank read rebuild recall receive recommend reconcile record recover reduce refer refresh
refuse register reject release reload remember remove rename render repeat replace replay report represent
request require resample rescale reserve reset reshape resize resolve respond restart restore restrict resume
retrieve return reverse revert rewrite roll rotate round run sample satisfy save say scale scan schedule score
search see seed select send separate serialize set shape share shift show shuffle shut sign simulate skip
sleep slice smooth solve sort spawn split spread squeeze stack start stay step stop store stream strip submit
subtract suggest sum summarize supply suppress swap switch sync synchronize take tell terminate test throw tie
time tokenize total touch track train transform translate transpose trim truncate try turn undo unpack unwrap
update upload use validate verify view visit wait walk warm warn watch weigh wrap write yield zero zip
"""
VERBS = frozenset(_WORDS.split())
LIBRARY_METHODS = frozenset({"forward", "setup", "prune", "main", "cli"})


def count_code_lines(path: Path) -> int:
    """Return the lines of a file that hold code."""
    source = path.read_text(encoding="utf-8")
    docstrings = {
        line
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    silent = {
        tokenize.COMMENT,
        tokenize.NL,
        tokenize.NEWLINE,
        tokenize.INDENT,
        tokenize.DEDENT,
        tokenize.ENDMARKER,
    }
    lines = {
        line
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type not in silent
        for line in range(token.start[0], token.end[0] + 1)
    }
    return len(lines - docstrings)


def list_functions(tree: ast.AST) -> Iterator[ast.FunctionDef]:
    """Yield the functions and methods whose name is ours to choose."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and not (
            node.name.startswith("__") or any("property" in ast.unparse(one) for one in node.decorator_list)
        ):
            yield node


def starts_with_verb(name: str) -> bool:
    """Return whether a function's name starts with a verb.

    >>> starts_with_verb("_read_yaml"), starts_with_verb("as_text"), starts_with_verb("curves")
    (True, False, False)
    """
    return name in LIBRARY_METHODS or name.strip("_").split("_")[0].lower() in VERBS


def is_imperative(docstring: str) -> bool:
    """Return whether a docstring starts with an imperative."""
    return docstring.split(maxsplit=1)[0].strip(".,:").lower() in VERBS


def main(folders: list[str]) -> None:
    """Print the counts of some folders, `hrm` and `sweeps` unless told otherwise."""
    paths = sorted(path for folder in folders or ["hrm", "sweeps"] for path in Path(folder).rglob("*.py"))
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in paths]
    code = {path: count_code_lines(path) for path in paths}
    functions = [function for tree in trees for function in list_functions(tree)]
    documented = [text for function in functions if (text := ast.get_docstring(function))]
    lengths = sorted((node.end_lineno or 0) - node.lineno + 1 for node in functions)
    verbs = [starts_with_verb(function.name) for function in functions]
    imperative = [is_imperative(text) for text in documented]
    longest = max(code, key=code.__getitem__)
    print(f"modules                      {len(paths)}")
    print(f"lines of code                {sum(code.values()):,}, most in {longest}: {code[longest]}")
    print(f"lines, everything            {sum(len(path.read_text().splitlines()) for path in paths):,}")
    print(f"functions                    {len(functions):,}")
    print(f"names that start with a verb {statistics.mean(verbs):.1%}")
    print(f"docstrings not imperative    {1 - statistics.mean(imperative):.1%} of {len(documented):,}")
    print(f"function length, 90th, most  {lengths[int(0.9 * len(lengths))]}, {lengths[-1]} lines")


if __name__ == "__main__":
    main(sys.argv[1:])
