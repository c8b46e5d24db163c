"""The page in a real browser: it stands alone, draws everything, and answers to mouse and keyboard."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

from sweeps.analysis.sweep_folder import SweepFolder
from sweeps.report.files import write_report
from sweeps.report.page import render_page
from sweeps.report.sections import build_report
from sweeps.report.sections.verdict import describe_verdict
from tests.sweeps.browser import NO_BROWSER, Browser, find_browser
from tests.sweeps.synthetic_sweep import multiply, run_sweep

needs_browser = pytest.mark.skipif(find_browser() is None, reason=NO_BROWSER)


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = run_sweep(tmp_path_factory.mktemp("sweep"))
    write_report(folder, SweepFolder.read(folder))
    return folder


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = find_browser()
    assert program is not None
    with Browser(program) as opened:
        yield opened


def test_the_page_needs_nothing_beside_it(out: Path) -> None:
    page = (out / "report.html").read_text()
    assert not re.search(r"""(?:src|href)=["'](?!#|data:)""", page)
    assert "@import" not in page and "fetch(" not in page
    addresses = set(re.findall(r"https?://[^\s\"'<)]+", page))
    assert addresses <= {"http://www.w3.org/2000/svg"}, "a name of XML, asked of nobody"


def test_the_conclusion_comes_first(out: Path) -> None:
    page = (out / "report.html").read_text()
    lead = describe_verdict(SweepFolder.read(out))[0]
    first = re.search(r"<h2[^>]*>(.*?)</h2>\s*<p>(.*?)</p>", page, re.DOTALL)
    assert first and first[1] == "Verdict"
    assert re.sub(r"<.*?>", "", first[2]).replace("&amp;", "&") == lead


@needs_browser
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_it_draws_everything_without_complaint(out: Path, browser: Browser, width: int, dark: bool) -> None:
    browser.open(out / "report.html", width, 900, dark)
    assert browser.complaints() == []
    assert browser.requests() == [(out / "report.html").resolve().as_uri()]
    assert browser.evaluate("document.documentElement.scrollWidth") <= width, "nothing sticks out"
    sideways = (
        "[...document.querySelectorAll('.scroll')].filter(e => e.scrollWidth > e.clientWidth + 1).length"
    )
    assert browser.evaluate(sideways) == 0, "every table is read without moving it"
    empty = "[...document.querySelectorAll('figure')].filter(f => !f.querySelector('svg, table')).length"
    assert browser.evaluate("document.querySelectorAll('figure').length") >= 10
    assert browser.evaluate(empty) == 0
    image = matplotlib.image.imread(io.BytesIO(browser.screenshot(whole=False)))
    assert image.shape[:2] == (900, width)
    assert (np.median(image[..., :3]) < 0.3) == dark
    assert image[..., :3].std() > 0.05, "something is written on it"


@needs_browser
def test_charts_fit_the_window_again_when_it_changes(out: Path, browser: Browser) -> None:
    width = "document.querySelector('figure svg').viewBox.baseVal.width"
    browser.open(out / "report.html", 1280)
    wide = browser.evaluate(width)
    browser.resize(390, 900)
    browser.evaluate("new Promise(done => setTimeout(done, 200))")
    assert browser.evaluate(width) < wide
    assert browser.evaluate("document.documentElement.scrollWidth") <= 390
    assert browser.complaints() == []


@needs_browser
def test_the_keyboard_goes_from_mark_to_mark(out: Path, browser: Browser) -> None:
    browser.open(out / "report.html")
    browser.evaluate("document.querySelector('[data-name=shape] .plot').focus()")
    browser.press("ArrowRight")
    told = browser.evaluate("document.querySelector('[data-name=shape] .bubble').textContent")
    best = SweepFolder.read(out)
    assert told.startswith(best.rank(best.select("search"))[0]["arm"])
    browser.press("Escape")
    assert browser.evaluate("document.querySelector('[data-name=shape] .bubble').hidden")
    browser.open(out / "report.html")
    browser.press("Tab")
    assert browser.evaluate("document.activeElement.textContent") == "Skip to the report"


def brushed(browser: Browser) -> tuple[int, int]:
    """Trials that the parallel coordinates say are selected, and lines that are not greyed."""
    said = browser.evaluate("document.querySelector('[data-name=parallel] .status').textContent")
    lines = browser.evaluate("document.querySelectorAll('path.trial:not(.out)').length")
    return int(said.split(" ")[0]), lines


@needs_browser
@pytest.mark.parametrize("width", [1280, 390])
def test_the_brush_selects_trials(out: Path, browser: Browser, width: int) -> None:
    folder = SweepFolder.read(out)
    values = {
        row["arm"]: row["p.H_layers"] for row in folder.select("search") if row["objective"] is not None
    }
    browser.open(out / "report.html", width)
    assert brushed(browser) == (len(values), len(values))
    browser.evaluate(
        "document.querySelector('.parallel').scrollIntoView({block: 'center', behavior: 'instant'})"
    )
    box = browser.evaluate(
        "(r => [r.x, r.y, r.width, r.height])(document.querySelector('.catch').getBoundingClientRect())"
    )
    x, middle, top = box[0] + box[2] / 2, box[1] + box[3] / 2, box[1] + 1
    browser.drag((x, middle), (x, top))
    names = browser.evaluate(
        "[...document.querySelectorAll('[data-name=parallel] tbody th')].map(c => c.textContent)"
    )
    center = (min(values.values()) + max(values.values())) / 2
    kept = {arm for arm, value in values.items() if value > center}
    assert 0 < len(kept) < len(values)
    assert brushed(browser) == (len(kept), len(kept))
    assert set(names) <= kept and len(names) == min(10, len(kept))
    browser.evaluate("document.querySelector('[data-name=parallel] button').click()")
    assert brushed(browser) == (len(values), len(values))
    assert browser.complaints() == []


@needs_browser
def test_the_brush_moves_by_keys(out: Path, browser: Browser) -> None:
    browser.open(out / "report.html")
    everything, _ = brushed(browser)
    browser.evaluate("document.querySelector('.handle').focus()")
    for _ in range(20):
        browser.press("ArrowDown")
    assert brushed(browser)[0] < everything
    browser.press("Escape")
    assert brushed(browser)[0] == everything


@needs_browser
def test_puzzles_are_stepped_through(out: Path, browser: Browser) -> None:
    browser.open(out / "report.html")
    figure = "document.querySelector('[data-name=puzzle]')"
    open_cells = (
        f"{figure}.querySelectorAll('.board:first-child td.right, .board:first-child td.wrong').length"
    )
    assert browser.evaluate(f"{figure}.querySelectorAll('.board').length") == 2
    assert browser.evaluate(open_cells) == 18
    right = f"{figure}.querySelectorAll('.board:first-child td.right').length"
    last = browser.evaluate(right)
    press = f"[...{figure}.querySelectorAll('button')].find(b => b.textContent === 'Back').click()"
    browser.evaluate(press)
    assert browser.evaluate(right) < last, "each segment solves more"
    for _ in range(8):
        browser.evaluate(press)
    assert browser.evaluate(open_cells) == 0, "the puzzle as given"
    assert browser.evaluate(f"{figure}.querySelector('[role=status]').textContent") == "The puzzle as given."
    assert browser.complaints() == []


@pytest.fixture(scope="module")
def thousand(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = run_sweep(tmp_path_factory.mktemp("thousand"))
    multiply(folder, 1000)
    page = render_page(build_report(SweepFolder.read(folder)))
    (folder / "report.html").write_text(page, encoding="utf-8")
    return folder


@pytest.mark.slow
def test_a_page_of_a_thousand_trials_is_light(thousand: Path) -> None:
    assert len(SweepFolder.read(thousand).select("search")) == 1000
    assert (thousand / "report.html").stat().st_size < 8e6


@pytest.mark.slow
@needs_browser
def test_a_thousand_trials_are_drawn_and_brushed(thousand: Path, browser: Browser) -> None:
    browser.open(thousand / "report.html")
    assert brushed(browser) == (1000, 1000)
    browser.evaluate("document.querySelector('.handle').focus()")
    for _ in range(20):
        browser.press("ArrowDown")
    assert 0 < brushed(browser)[0] < 1000
    assert browser.complaints() == []


@needs_browser
def test_it_prints(out: Path, browser: Browser) -> None:
    browser.open(out / "report.html", dark=True)
    assert browser.print().startswith(b"%PDF-")
    assert browser.complaints() == []
