"""Reading: what the tests of access ask of a page: the focus, what can be pressed, what is cut, what moves.

Not here: what must hold (``test_page_access``), axe (``bench.axe``).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from playwright.sync_api import Browser, Page

from bench.scripted_room import PREFIX
from tests.process.looking import state
from waitroom.view import STATES

ROOM = f"{PREFIX}r/main"
LANGUAGES = ("en", "de", "ar")
PHONE = {"width": 412, "height": 823}
SMALL = {"width": 320, "height": 512}
"""As large letters make a page: 1,280 pixels at 400 %."""

FOCUSED = """() => {
  const node = document.activeElement;
  const box = node.getBoundingClientRect();
  const style = getComputedStyle(node);
  return {
    name: node === document.body ? '' : node.id || node.textContent.trim(),
    outline: style.outlineStyle === 'none' ? 0 : parseFloat(style.outlineWidth),
    seen: box.width > 0 && box.bottom > 0 && box.top < innerHeight,
  };
}"""
ACTIONS = """() => [...document.querySelectorAll('a[href], button, summary, input:not([type=hidden])')]
  .filter((node) => node.checkVisibility({visibilityProperty: true}) && !node.closest('.unseen'))
  .map((node) => node.id || node.textContent.trim())"""
CUT = """() => [...document.querySelectorAll('body *')]
  .filter((node) => node.checkVisibility() && !node.closest('.unseen, svg') && node.clientWidth)
  .filter((node) => {
    const style = getComputedStyle(node), box = node.getBoundingClientRect();
    const clips = style.overflowX !== 'visible' || style.overflowY !== 'visible' || style.textOverflow === 'ellipsis';
    const holdsText = [...node.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim());
    const out = box.left < -1 || box.right > innerWidth + 1;
    const overflowing = node.scrollWidth > node.clientWidth + 1 || node.scrollHeight > node.clientHeight + 1;
    return (holdsText && out) || (clips && overflowing && node.localName !== 'input' && node.localName !== 'dialog');
  })
  .map((node) => `${node.localName}#${node.id}.${node.className}`)"""
OVERLAPS = """() => {
  const boxes = [...document.querySelectorAll('p, h1, h2, dt, dd, button, a.button')]
    .filter((node) => node.checkVisibility() && !node.closest('.unseen, .badge') && node.textContent.trim())
    .map((node) => ({node, box: node.getBoundingClientRect()}));
  const found = [];
  for (const [at, one] of boxes.entries()) for (const other of boxes.slice(at + 1)) {
    if (one.node.contains(other.node) || other.node.contains(one.node)) continue;
    const wide = Math.min(one.box.right, other.box.right) - Math.max(one.box.left, other.box.left);
    const high = Math.min(one.box.bottom, other.box.bottom) - Math.max(one.box.top, other.box.top);
    if (wide > 2 && high > 2) found.push([one, other].map(({node}) => node.id || node.className || node.localName));
  }
  return found;
}"""
HEARD = """
window.heard = [];
addEventListener('DOMContentLoaded', () => {
  for (const id of ['said', 'alarm', 'aid']) {
    new MutationObserver(() => {
      const text = document.getElementById(id).textContent;
      if (text) window.heard.push([id, text]);
    }).observe(document.getElementById(id), {childList: true, characterData: true, subtree: true});
  }
});
"""
WIDE = "document.documentElement.scrollWidth"
SIZES = """() => [...document.querySelectorAll('a[href], button, summary')]
  .filter((node) => node.checkVisibility({visibilityProperty: true}))
  .map((node) => [node.id || node.textContent.trim(), node.matches('p:not([class]) a'),
                  node.getBoundingClientRect().width, node.getBoundingClientRect().height])"""
MOVING = """document.getAnimations()
  .filter((one) => one.playState === 'running' && one.effect.getComputedTiming().duration > 0).length"""
MOVED = """
window.moved = 0;
for (const kind of ['animationstart', 'transitionrun']) addEventListener(kind, () => { window.moved += 1; }, true);
"""
"""Counts what begins to move: on a slow machine it may be over before anybody looks."""
LONGEST = """document.getAnimations()
  .filter((one) => one.effect.getComputedTiming().duration > 0 && one.effect.getComputedTiming().endTime > 5000)
  .map((one) => `${one.animationName ?? one.transitionProperty} of ${one.effect.target.className}`)"""
EDGES = """() => {
  const context = new OffscreenCanvas(1, 1).getContext('2d', {willReadFrequently: true});
  const light = (colour) => {
    context.fillStyle = colour;
    context.fillRect(0, 0, 1, 1);
    const [x, y, z] = [...context.getImageData(0, 0, 1, 1).data]
      .map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const of = (selector, name) => light(getComputedStyle(document.querySelector(selector))[name]);
  const paper = of('html', 'backgroundColor');
  const ratio = (other) => (Math.max(paper, other) + 0.05) / (Math.min(paper, other) + 0.05);
  document.querySelector('#carry').focus({focusVisible: true});
  return {
    button: ratio(of('.button', 'backgroundColor')), quiet: ratio(of('#carry', 'borderTopColor')),
    ring: ratio(of('#carry', 'outlineColor')), way: ratio(of('.track .gone', 'backgroundColor')),
    mark: ratio(of('.track .you', 'backgroundColor')), connection: ratio(of('.link', 'color')),
  };
}"""
SPACED = """() => {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(`
    * { line-height: 1.5 !important; letter-spacing: .12em !important; word-spacing: .16em !important; }
    p { margin-bottom: 2em !important; }`);
  document.adoptedStyleSheets = [sheet];
}"""
"""The reader's own spacing of WCAG 1.4.12, as a user style sheet would set it."""


def preview(page: Page, address: str, name: str, language: str = "en", more: str = "") -> None:
    """Show a state."""
    page.goto(f"{address}{ROOM}/preview/{name}?lang={language}{more}")
    state(page, name)


def tab_through(page: Page, most: int = 40) -> list[dict[str, Any]]:
    """Press Tab until the focus has gone round, and note each stop."""
    stops: list[dict[str, Any]] = []
    for _ in range(most):
        page.keyboard.press("Tab")
        stop = page.evaluate(FOCUSED)
        if not stop["name"] or stop["name"] in [one["name"] for one in stops]:
            break
        stops.append(stop)
    return stops


@dataclass(frozen=True, slots=True)
class Visit:
    """What one look at one state shows to who reads it 320 pixels wide."""

    wide: int
    cut: list[str]
    overlapping: list[list[str]]
    cut_when_spaced: list[str]
    wide_when_spaced: int
    sizes: list[tuple[str, bool, float, float]]
    moving: int
    actions: list[str]
    stops: list[dict[str, Any]]


def looks(browser: Browser, address: str, language: str) -> Iterator[tuple[str, Visit]]:
    """Look at every state in a language, once; Tab is pressed in English alone."""
    context = browser.new_context(viewport=SMALL, locale="en-GB", reduced_motion="reduce")  # type: ignore[arg-type]
    page = context.new_page()
    for name in STATES:
        preview(page, address, name, language)
        sizes, actions = page.evaluate(SIZES), page.evaluate(ACTIONS)
        stops = tab_through(page) if language == "en" else []
        seen = page.evaluate(WIDE), page.evaluate(CUT), page.evaluate(OVERLAPS)
        moving = page.evaluate(MOVING)
        page.evaluate(SPACED)
        spaced = [*page.evaluate(CUT), *page.evaluate(OVERLAPS)], page.evaluate(WIDE)
        yield name, Visit(*seen, *spaced, sizes, moving, actions, stops)
    context.close()
