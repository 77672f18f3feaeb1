"""The website, built once from the stored lessons and looked at as files and in a browser without a network."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import nbformat
import pytest
from browser import ACTING_TEXTS, assert_no_script_ran, open_browser
from conftest import code, text
from filelock import FileLock
from test_publishing import recipes

from bertft_helpers.errors import UserError
from bertft_helpers.series.catalogue import find_lessons
from bertft_helpers.series.notebook import read_notebook
from bertft_helpers.series.published import Repository, repository_of
from bertft_helpers.series.site.build import build_site
from bertft_helpers.series.site.glossary import glossary_page, hover_definitions
from bertft_helpers.series.site.landing import page_name
from bertft_helpers.series.site.lesson_page import graduates, page_of
from bertft_helpers.series.site.links import rewrite_links

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

NOTEBOOKS = Path(__file__).parents[3] / "notebooks"
PAGES = {"notebooks/20_clip.ipynb": "lessons/20_clip.ipynb", "README.md": "project.md"}
PUBLISHED = Repository("owner/repo", "v1")


@pytest.mark.parametrize(
    ("link", "repository", "shown"),
    [
        ("[20](20_clip.ipynb)", None, "[20](20_clip.ipynb)"),
        ("[start](../README.md#two-commands)", None, "[start](../project.md#two-commands)"),
        ("[`lock`](../requirements.lock)", None, "`lock`"),
        ("[lock](../requirements.lock)", PUBLISHED, "[lock](https://github.com/owner/repo/blob/v1/requirements.lock)"),
        ("`[20](20_clip.ipynb)` in code", PUBLISHED, "`[20](20_clip.ipynb)` in code"),
        ("[paper](https://arxiv.org/abs/1)", None, "[paper](https://arxiv.org/abs/1)"),
    ],
)
def test_links_lead_to_the_site_the_repository_or_nowhere(link: str, repository: Repository | None, shown: str) -> None:
    assert rewrite_links(link, "notebooks/19_x.ipynb", "lessons/19_x.ipynb", PAGES, repository) == shown


def test_only_a_stamp_of_github_gives_launch_links() -> None:
    assert repository_of("not stamped") is None
    assert repository_of("git+file:///tmp/x@v1") is None
    assert repository_of("git+https://github.com/owner/repo@v1") == PUBLISHED
    colab = "https://colab.research.google.com/github/owner/repo/blob/v1/notebooks/19_x.ipynb"
    assert PUBLISHED.launchers("notebooks/19_x.ipynb")["Colab"] == colab


def test_everyday_words_do_not_hover_and_a_short_form_does() -> None:
    glossary = "# Glossary\n\n- **draw** ([28](a.ipynb)): Texts.\n- **calibration error (ECE)** ([23](b.ipynb)): *Gap*."
    assert hover_definitions(glossary) == dict.fromkeys(
        ("calibration error", "ECE"), ("calibration error (ECE)", "Gap.")
    )
    assert "draw\n  Texts. ([28](a.ipynb))" in glossary_page(glossary)


def test_a_page_keeps_figures_and_tables_of_an_output_and_no_other_markup() -> None:
    lesson = nbformat.v4.new_notebook(cells=[text("# Q5 · ?\n\nColab · Next: [6](06_x.ipynb)"), code("x", "solution")])
    lesson.cells[1].outputs = [
        nbformat.v4.new_output("display_data", data={"text/html": f"<table><tr><td>{hostile}</td></tr></table>"})
        for hostile in ACTING_TEXTS
    ]
    lesson.cells[1].outputs.append(nbformat.v4.new_output("stream", text="plain\n✓ <b> holds\n"))
    first, cell = page_of(lesson, "ROW", None).cells
    assert first.source == "# Q5 · ?\n\nROW\n"
    assert "hide-input" in cell.metadata.tags
    tables = [output.data["text/html"] for output in cell.outputs[: len(ACTING_TEXTS)]]
    assert not [
        table for table in tables if re.search(r"<(?:script|img|svg|iframe|style|details)|<[^>]* on\w+=", table)
    ]
    assert cell.outputs[-2].text == "plain\n"
    assert cell.outputs[-1].data["text/html"] == '<ul class="checks"><li>✓ &lt;b&gt; holds</li></ul>'


def test_lessons_write_formulas_in_words_since_their_pages_have_no_script_that_draws_them() -> None:
    drawn = [
        (lesson.number, formula)
        for lesson in find_lessons(NOTEBOOKS)
        for cell in read_notebook(lesson.path).cells
        if cell.cell_type == "markdown"
        for formula in re.findall(r"\$\S[^$\n]*\$", re.sub("`[^`]*`", "", cell.source))
    ]
    assert drawn == []


def test_a_folder_with_something_else_is_not_replaced(tmp_path: Path) -> None:
    pytest.importorskip("myst_nb")
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(UserError, match="holds something that is no site"):
        build_site(NOTEBOOKS, tmp_path)
    assert (tmp_path / "thesis.txt").exists()


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """The whole site, built once for all workers of a parallel run."""
    own = tmp_path_factory.getbasetemp()
    place = (own if worker_id == "master" else own.parent) / "site"
    with FileLock(f"{place}.lock"):
        if not (place / "html" / "index.html").exists():
            build_site(NOTEBOOKS, place / "html")
    return place / "html"


class Addresses(HTMLParser):
    """What a page loads by itself, what it links to, its anchors, and its figures without alt text."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.loaded, self.links, self.anchors, self.silent = [], [], {""}, []
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.anchors |= {values.get("id"), values.get("name")}
        if tag == "a":
            self.links.append(values.get("href") or "")
        elif tag != "meta":
            self.loaded += [
                v for k, v in attrs if v and (k in ("src", "srcset", "poster") or (tag, k) == ("link", "href"))
            ]
        if tag == "img" and not (values.get("alt") or "").strip():
            self.silent.append(values.get("src"))


def pages_of(site: Path) -> Iterator[tuple[Path, Addresses]]:
    for page in site.rglob("*.html"):
        yield page, Addresses(page)


@pytest.mark.slow
def test_the_built_pages_load_nothing_foreign_lead_nowhere_dead_and_describe_their_figures(site: Path) -> None:
    pages = {page.resolve(): found for page, found in pages_of(site)}
    assert len(pages) > len(find_lessons(NOTEBOOKS))
    assert (site / "applications" / "A2_tag_words.html").exists()
    assert {page.name: foreign for page, x in pages.items() if (foreign := _outside(x.loaded))} == {}
    assert {page.name: x.silent for page, x in pages.items() if x.silent} == {}
    dead = [(page.name, link) for page, x in pages.items() for link in x.links if _is_dead(page, link, pages)]
    assert dead == []
    assert unlinked_functions(site, pages) == []
    for style in site.rglob("*.css"):
        assert re.findall(r"url\([\"']?(?:https?:)?//|@import [\"'](?:https?:)?//", style.read_text("utf-8")) == [], (
            style
        )


def unlinked_functions(site: Path, pages: dict[Path, Addresses]) -> list[str]:
    """Functions that a lesson wrote out, but whose place in the reference and whose lesson don't link each other."""
    wanted = []
    for lesson in find_lessons(NOTEBOOKS):
        page = site / f"{page_name(lesson)}.html"
        for name in (name for cell in read_notebook(lesson.path).cells for name in graduates(cell)):
            described = site / "api" / f"bertft_helpers.{name.rpartition('.')[0]}.html"
            there = f"../api/{described.name}#bertft_helpers.{name}"
            back = f"../{page_name(lesson)}.html"
            if there not in pages[page.resolve()].links or back not in pages[described.resolve()].links:
                wanted.append(name)
    return wanted


def _outside(addresses: list[str]) -> list[str]:
    return [address for address in addresses if urlsplit(address).netloc]


def _is_dead(page: Path, link: str, pages: dict[Path, Addresses]) -> bool:
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        return False
    target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
    return not target.exists() or (target in pages and unquote(parts.fragment) not in pages[target].anchors)


@pytest.mark.slow
def test_a_reader_finds_their_way_in_a_browser_without_a_network(site: Path) -> None:
    with open_browser() as browser:
        page = browser.new_page()
        refused: list[str] = []
        page.route(re.compile("^https?:"), lambda route: (refused.append(route.request.url), route.abort()))
        assert_search_finds(page, site, "gradient clipping", "How do I clip gradients")
        assert_in_dark_mode_figures_alone_are_light(page, site)
        assert_no_sideways_scrolling_on_a_phone(page, site)
        assert_a_term_explains_itself_to_the_keyboard(page, site)
        assert_the_keyboard_reaches_content_before_navigation(page, site)
        assert_the_switch_changes_the_theme_and_it_stays(page, site)
        assert_everybody_can_read(browser, site)
        assert refused == []


def assert_search_finds(page: Page, site: Path, words: str, title: str) -> None:
    page.goto(f"{(site / 'search.html').as_uri()}?q={words.replace(' ', '+')}")
    page.locator("#search-results li", has_text=title).first.wait_for(timeout=20_000)


def assert_in_dark_mode_figures_alone_are_light(page: Page, site: Path) -> None:
    page.emulate_media(color_scheme="dark")
    page.goto((site / "lessons" / "20_clip_gradients.html").as_uri())
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    ground = page.locator(".cell_output img").first.evaluate("image => getComputedStyle(image).backgroundColor")
    assert min(int(channel) for channel in re.findall(r"\d+", ground)[:3]) >= 200, ground
    checks = page.locator(".cell_output .text_html", has=page.locator("ul.checks")).first
    assert checks.evaluate("box => getComputedStyle(box).backgroundColor") == "rgba(0, 0, 0, 0)"


def assert_no_sideways_scrolling_on_a_phone(page: Page, site: Path) -> None:
    page.set_viewport_size({"width": 390, "height": 800})
    lessons = [*(site / "lessons").glob("*.html"), *(site / "applications").glob("*.html")]
    described = [
        site / "api" / f"bertft_helpers.{name}.html" for name in ("evaluation", "own_texts.several.conclusion")
    ]
    others = [site / f"{name}.html" for name in ("index", "map", "glossary", "benchmarks", "api/index")]
    for path in [*lessons, *described, *others]:
        page.goto(path.as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, path.name


def assert_a_term_explains_itself_to_the_keyboard(page: Page, site: Path) -> None:
    page.goto((site / "lessons" / "20_clip_gradients.html").as_uri())
    page.locator("a.term").first.focus()
    assert page.locator(".exercise").count() >= 2
    assert page.locator(".exercise").first.evaluate("box => parseFloat(getComputedStyle(box).paddingLeft)") > 8
    assert len(page.locator("#term-hint").inner_text()) > 20
    page.keyboard.press("Escape")
    assert page.locator("#term-hint").is_hidden()


def assert_the_keyboard_reaches_content_before_navigation(page: Page, site: Path) -> None:
    page.goto((site / "lessons" / "20_clip_gradients.html").as_uri())
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent").strip() == "Skip to main content"
    page.keyboard.press("Enter")
    assert page.evaluate("location.hash") == "#main-content"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('#main-content') !== null")


def assert_the_switch_changes_the_theme_and_it_stays(page: Page, site: Path) -> None:
    page.set_viewport_size({"width": 1200, "height": 800})
    page.emulate_media(color_scheme="dark")
    for chosen in ("light", "dark"):
        page.goto((site / "index.html").as_uri())
        page.locator("button.theme-switch-button").first.click()
        page.get_by_role("button", name=chosen.capitalize(), exact=True).first.click()
        page.goto((site / "glossary.html").as_uri())
        assert page.evaluate("document.documentElement.dataset.theme") == chosen


def assert_everybody_can_read(browser: Browser, site: Path) -> None:
    """Nothing that axe-core calls serious, contrast included, in light and dark."""
    from axe_playwright_python.sync_playwright import Axe

    found = {}
    for scheme in ("light", "dark"):
        page = browser.new_page(color_scheme=scheme)
        names = ("index", "lessons/06_inspect_bert", "applications/A2_tag_words", "glossary", "api/index")
        for name in (*names, "api/bertft_helpers.training", "_modules/bertft_helpers/training"):
            page.goto((site / f"{name}.html").as_uri())
            page.add_style_tag(content="* { transition: none !important }")  # colours half-way are nobody's choice
            assert page.evaluate("document.documentElement.dataset.theme") == scheme
            for wrong in Axe().run(page).response["violations"]:
                if wrong["impact"] in ("serious", "critical"):
                    found[scheme, name, wrong["id"]] = wrong["nodes"][0]["html"]
    assert found == {}


@pytest.mark.slow
def test_a_hostile_data_sets_texts_stay_texts_and_the_book_is_offered(tmp_path: Path) -> None:
    # one test, because each build of a site takes its while
    pytest.importorskip("myst_nb")
    lesson = nbformat.v4.new_notebook(cells=[text("# Q5 · ?"), code("texts"), code("print(texts)"), code("table")])
    lesson.metadata.language_info = {"name": "python", "pygments_lexer": "ipython3"}
    everything = "\n".join(ACTING_TEXTS)
    lesson.cells[1].outputs = [nbformat.v4.new_output("display_data", data={"text/plain": everything})]
    lesson.cells[2].outputs = [nbformat.v4.new_output("stream", text=f"{everything}\n✓ {ACTING_TEXTS[0]}\n")]
    lesson.cells[3].outputs = [nbformat.v4.new_output("display_data", data={"text/html": everything})]
    (tmp_path / "notebooks").mkdir()
    nbformat.write(lesson, tmp_path / "notebooks" / "05_show_texts.ipynb")
    (tmp_path / "build/book").mkdir(parents=True)
    (tmp_path / "build/book/lessons.epub").write_bytes(b"a book")
    (command,) = recipes("web")
    subprocess.run(command.split(), cwd=tmp_path, check=True)
    site = tmp_path / "build/web"
    assert "book/lessons.epub" in Addresses(site / "index.html").links
    assert (site / "book/lessons.epub").read_bytes() == b"a book"
    with open_browser() as browser:
        assert_no_script_ran(browser, site / "lessons/05_show_texts.html", shows=("<script>window.__pwned",))
