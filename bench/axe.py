"""Axe: what axe-core (Deque, MPL-2.0, shipped by axe-playwright-python) finds on a page.

Rules: WCAG 2.0 to 2.2, A and AA, and axe's own good practice. On a gradient axe cannot tell a contrast, so it gets the
page on flat paper; the contrast of each text to the gradient behind it is then measured on a picture of the page
without its letters, at the worst of some points.

Not here: which pages are looked at (``figures/page_axe``, ``tests/process/test_page_access.py``).
"""

import base64
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import Any

from playwright.sync_api import Page

TAGS = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22a", "wcag22aa", "best-practice")
_TEXTS = """() => {
  document.adoptedStyleSheets = [];
  const root = document.querySelector('dialog:modal') ?? document.body;
  // The picture of a dialog is one of the window, not of the whole page.
  const [x, y] = root === document.body ? [scrollX, scrollY] : [0, 0];
  const walk = document.createTreeWalker(root, NodeFilter.SHOW_TEXT), found = [];
  while (walk.nextNode()) {
    const node = walk.currentNode, parent = node.parentElement;
    if (!node.textContent.trim() || parent.closest('.unseen, .badge, script, noscript, svg')) continue;
    if (!parent.checkVisibility({visibilityProperty: true})) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    const style = getComputedStyle(parent), size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    let seen = parent;
    while (seen && !['auto', 'scroll'].includes(getComputedStyle(seen).overflowX)) seen = seen.parentElement;
    const { left, right } = seen?.getBoundingClientRect() ?? { left: -Infinity, right: Infinity };
    for (const box of range.getClientRects()) {
      // What a box of its own scrolls away stands on no paper that a picture could show.
      if (box.left < left || box.right > right) continue;
      found.push({
        name: parent.id ? `#${parent.id}` : `${parent.localName}.${parent.className}`, colour: style.color,
        least: large ? 3 : 4.5, box: [box.left + x, box.top + y, box.width, box.height],
      });
    }
  }
  // What is written is known now; what it stands on is for the picture.
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(`
    * { color: transparent !important; text-decoration-color: transparent !important; }
    .badge { display: none; }`);
  document.adoptedStyleSheets = [sheet];
  return {texts: found, whole: root === document.body};
}"""
_CONTRASTS = """async ({png, texts}) => {
  const bytes = Uint8Array.from(atob(png), (c) => c.charCodeAt(0));
  const picture = await createImageBitmap(new Blob([bytes], {type: 'image/png'}));
  const canvas = new OffscreenCanvas(picture.width, picture.height);
  const context = canvas.getContext('2d', {willReadFrequently: true});
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const pixel = (x, y) =>
    context.getImageData(Math.min(x, picture.width - 1), Math.min(y, picture.height - 1), 1, 1).data;
  const pen = (colour) => {
    context.fillStyle = colour;
    context.fillRect(0, 0, 1, 1);
    return light(pixel(0, 0));
  };
  const pens = Object.fromEntries([...new Set(texts.map((one) => one.colour))].map((colour) => [colour, pen(colour)]));
  context.drawImage(picture, 0, 0);
  const wrong = [];
  for (const {name, colour, least, box: [left, top, width, height]} of texts) {
    let worst = 21;
    for (let column = 0; column <= 8; column += 1) for (const row of [0.1, 0.5, 0.9]) {
      const behind = light(pixel(Math.floor(left + (width - 1) * column / 8), Math.floor(top + height * row)));
      const [low, high] = [pens[colour], behind].sort((a, b) => a - b);
      worst = Math.min(worst, (high + 0.05) / (low + 0.05));
    }
    if (worst < least) wrong.push(`color-contrast: ${name}: ${worst.toFixed(2)}, must be ${least} (in the light)`);
  }
  document.adoptedStyleSheets = [];
  return [...new Set(wrong)];
}"""
_HAS_AXE = "() => typeof window.axe?.run === 'function'"
_RUN = """async (values) => {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync('body { background-image: none !important; }');
  document.adoptedStyleSheets = [sheet];
  // Of what is right nothing is told: all of it would have to be written down and read again.
  const found = await axe.run(document, {runOnly: {type: 'tag', values}, resultTypes: ['violations']});
  return {violations: found.violations, incomplete: found.incomplete.map(({id}) => id)};
}"""
_WITHOUT_SCRIPTS = """() => {
  for (const node of document.querySelectorAll('.live')) node.remove();
  for (const node of document.querySelectorAll('noscript')) {
    const shown = document.createElement('div');
    shown.innerHTML = node.textContent;
    node.replaceWith(...shown.childNodes);
  }
}"""


@cache
def script() -> str:
    """Return axe-core."""
    return files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8")


def version() -> str:
    """Return axe-core's version."""
    return script()[:40].partition("axe v")[2].split()[0]


def show_without_scripts(page: Page) -> None:
    """Turn a shell whose script was kept away into what a browser without scripts shows.

    In such a browser axe could not run.
    """
    page.evaluate(_WITHOUT_SCRIPTS)


def violations(page: Page) -> list[str]:
    """Return what axe objects to, one line for each rule and element."""
    return [*_lines(_run(page)), *too_pale(page)]


def too_pale(page: Page) -> list[str]:
    """Return the texts whose contrast to what really is behind them is too small (WCAG 1.4.3)."""
    seen = page.evaluate(_TEXTS)
    # A dialog stands in the middle of what is seen, not of the whole page.
    picture = page.screenshot(full_page=seen["whole"], scale="css", animations="disabled", caret="hide")
    pale: list[str] = page.evaluate(
        _CONTRASTS, {"png": base64.b64encode(picture).decode(), "texts": seen["texts"]}
    )
    return pale


def undecided(page: Page) -> list[str]:
    """Return the rules that axe leaves to a person."""
    return sorted(set(_run(page)["incomplete"]))


def _run(page: Page) -> dict[str, Any]:
    if not page.evaluate(_HAS_AXE):
        page.evaluate(script())
    answer: dict[str, Any] = page.evaluate(_RUN, list(TAGS))
    return answer


def _lines(answer: dict[str, Any]) -> Iterator[str]:
    for rule in answer["violations"]:
        for node in rule["nodes"]:
            checks = [*node["any"], *node["all"], *node["none"]]
            why = checks[0]["message"] if checks else rule["help"]
            yield f"{rule['id']}: {' '.join(map(str, node['target']))}: {why}"
