"""What the tests in a real browser share: Debian's Chromium without its own requests, and what is written in a page.

They need the package `playwright` and a program `chromium`; without one of them they are skipped.
"""

import shutil
from contextlib import contextmanager
from xml.etree import ElementTree as ET

import pytest

sync_api = pytest.importorskip("playwright.sync_api", reason="the browser tests need playwright")
_PROGRAM = shutil.which("chromium")
NEEDED = pytest.mark.skipif(_PROGRAM is None, reason="the browser tests need Debian's chromium")
SPACE = "{http://www.w3.org/2000/svg}"


@contextmanager
def chromium(profile, height=800):
    """A browser with a profile of its own in a folder."""
    with sync_api.sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            profile,
            executable_path=_PROGRAM,
            headless=True,
            args=[
                *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
                *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
            ],
            viewport={"width": 1280, "height": height},
            locale="en-US",
        )
        yield context
        context.close()


def labels(page, kind):
    """The texts of one kind in the viewer's picture."""
    return page.locator(f"svg.picture text.{kind}").all_text_contents()


def written(page, picture="svg.picture"):
    """The texts of a picture that stands in the page with their places; of the viewer's, if no other is named.

    The viewer moves whole boxes, an SVG has every place as it is.
    """
    found = page.locator(f"{picture} text").evaluate_all(
        """all => all.map(t => {
            const box = t.closest('.place');
            const { e, f } = box ? box.transform.baseVal[0].matrix : { e: 0, f: 0 };
            return [e + Number(t.getAttribute('x')), f + Number(t.getAttribute('y')), t.textContent];
        })"""
    )
    return sorted(map(tuple, found))


def drawn(picture):
    """The texts of an SVG with their places."""
    found = ET.fromstring(picture).iter(f"{SPACE}text")
    return sorted((float(t.get("x")), float(t.get("y")), t.text) for t in found)
