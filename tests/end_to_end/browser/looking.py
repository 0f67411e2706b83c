"""What every page must keep to: it fits, is light, axe finds nothing, the keyboard gets everywhere.

`look_at` opens a page once and pictures it at both widths, light and dark, in artifacts/pages/: look at them.
"""

import gzip
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from axe_playwright_python.sync_playwright import Axe
from django.contrib.staticfiles import finders
from playwright.sync_api import Page, Response

PICTURES = Path(__file__).parents[3] / "artifacts" / "pages"
WIDTHS = (390, 1440)  # CSS pixels: a phone, a desktop
SCHEMES = ("light", "dark")
HEIGHT = 900
MOST_BYTES = 100_000
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
MOST_STOPS = 150  # of the Tab key on one page; a list has fewer links
# Whether all that can be focused was, and what shows no ring there: one step per Tab.
STEP = """() => {
  const here = document.activeElement;
  if (here === document.body || here === null) return null;
  const words = (here.getAttribute("aria-label") || here.textContent || here.name || "").trim().slice(0, 40);
  const name = here.tagName.toLowerCase() + " " + words;
  const style = getComputedStyle(here), box = here.getBoundingClientRect();
  let ring = parseFloat(style.outlineWidth) >= 2 && style.outlineStyle !== "none";
  for (let up = here.parentElement; up && !ring; up = up.parentElement)
    ring = up.matches(":has(a:focus-visible)") && parseFloat(getComputedStyle(up).outlineWidth) >= 2
      && getComputedStyle(up).outlineStyle !== "none";
  const seen = here.wsSeen === true;
  here.wsSeen = true;
  return { name, ring, seen, hidden: box.width === 0 || box.height === 0 };
}"""
MISSED = """() => {
  const all = document.querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex='0']");
  const counts = (one) => !one.disabled && !one.wsSeen && one.type !== "radio" && one.type !== "hidden";
  const missed = [...all].filter((one) => one.checkVisibility() && counts(one));
  return missed.map((one) => one.outerHTML.slice(0, 80));
}"""
# The admin's theme looks at the system's scheme only while it loads.
SET_DARK = "is_dark => document.documentElement.classList.toggle('dark', is_dark)"
AXE = "rules => axe.run({runOnly: rules, resultTypes: ['violations']}).then(found => found.violations)"


def look_at(browser, name: str, path: str, *, status: int = 200, keyboard: bool = False) -> Page:
    """Open a page, picture it four times, and check all that every page must keep to. Returns: the page.

    Args: browser: a Visit; name: of the pictures; status: what the page answers with; keyboard: also walk it
        through by Tab (some seconds).
    """
    page = browser.page
    bodies: list[Response] = []

    def keep(response: Response) -> None:
        bodies.append(response)

    page.on("response", keep)
    try:
        answer = page.goto(browser.site + path)
        page.wait_for_load_state("load")
    finally:
        page.remove_listener("response", keep)
    assert answer is not None and answer.status == status, f"{name} answers {answer and answer.status}"
    weight = sum(weight_of(body) for body in bodies)
    assert weight < MOST_BYTES, f"{name} weighs {weight} bytes"
    picture(page, name)
    if keyboard:
        walk_by_keyboard(page, name)
    return page


def picture(page: Page, name: str) -> None:
    """Picture the page as it stands, both widths, light and dark; it fits, has one heading, passes axe."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    assert page.locator("h1").count() == 1, f"{name} needs one heading"
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": HEIGHT})
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, f"{name} at {width} px scrolls sideways by {wide} px"
        for scheme in SCHEMES:
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # nothing half faded
            page.screenshot(path=PICTURES / f"{name}-{width}-{scheme}.png", full_page=True)
            if (width, scheme) in ((390, "dark"), (1440, "light")):  # each width and each scheme once
                check_with_axe(page, f"{name} at {width} px, {scheme}")


def picture_admin(page: Page, name: str) -> None:
    """Picture a page of the admin four times, as it is; it fits each width."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": HEIGHT})
        wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert wide <= 0, f"{name} at {width} px scrolls sideways by {wide} px"
        for scheme in SCHEMES:
            page.evaluate(SET_DARK, scheme == "dark")
            page.screenshot(path=PICTURES / f"admin-{name}-{width}-{scheme}.png", full_page=True)


def check_with_axe(page: Page, name: str) -> None:
    """Fail with what axe finds: the rule, what to do, and where."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(Axe().axe_script)
    found: list[dict[str, Any]] = page.evaluate(AXE, RULES)
    words = [f"{one['id']}: {one['help']}: {[node['html'][:120] for node in one['nodes']]}" for one in found]
    assert not words, f"axe on {name}:\n" + "\n".join(words)


def walk_by_keyboard(page: Page, name: str) -> None:
    """Walk a page by Tab alone: every control is reached, is seen, and shows that it has the focus."""
    page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
    page.emulate_media(color_scheme="light")
    for _ in range(MOST_STOPS):
        page.keyboard.press("Tab")
        stop = page.evaluate(STEP)
        if stop is None:
            continue  # past the last one, before the first: where autofocus began was in between
        if stop["seen"]:
            break
        assert not stop["hidden"], f"{name}: {stop['name']} has the focus but cannot be seen"
        assert stop["ring"], f"{name}: {stop['name']} does not show that it has the focus"
    missed = page.evaluate(MISSED)
    assert not missed, f"{name}: not reached by Tab: {missed}"


def weight_of(response: Response) -> int:
    """Return its bytes on the wire: static files are sent compressed (WhiteNoise), pages are not."""
    if response.status in (204, 304) or 300 <= response.status < 400:
        return 0
    # Not by bodies that the browser holds: it forgets them as soon as it goes on to another page.
    _, is_static, name = urlsplit(response.url).path.partition("/static/")
    found = finders.find(name) if is_static else None
    if found is not None:
        return len(gzip.compress(Path(found).read_bytes(), 9))
    return int(response.headers.get("content-length", 0))
