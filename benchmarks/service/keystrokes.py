"""python -m benchmarks.service.keystrokes: the time from a keystroke to the colours of its letters.

A name is typed and deleted in a real browser, alternately while the page is idle and while it
waits for a slow sample of `fivegram`. The page measures the time from the input event to the frame
after the letters of a model have been coloured.
"""

import statistics
from itertools import count
from tempfile import TemporaryDirectory

from playwright.sync_api import Page

from tests.support.http.browser import chromium
from tests.support.http.server import Server
from training.__main__ import main as train

TYPED = "alexandria"
ROUNDS = 5
KINDS = ["idle", "busy"]
MODELS = ["fivegram", "bigram", "positional"]  # in the order of their requests
CLOCK = """
const times = [];
const name = document.getElementById("name");
const read = (row) => row.querySelector(".tiles").textContent.slice(0, -"end".length);
name.addEventListener("input", () => {
  const began = performance.now();
  const seen = {};
  const see = (model) => requestAnimationFrame(() => (seen[model] ??= performance.now() - began));
  const watch = new MutationObserver(() => {
    for (const row of document.querySelectorAll("#rows .row")) {
      if (read(row) === name.value) see(row.dataset.row);
    }
  });
  watch.observe(document.getElementById("rows"), { childList: true, subtree: true });
  times.push(seen);
}, { capture: true });
window.times = times;
"""


def main() -> None:
    """Type a name, and print the times of each model in milliseconds."""
    with TemporaryDirectory() as folder:
        assert train(["--out", folder]) == 0
        with Server(MONIKER_CHECKPOINTS=folder) as server, chromium() as browser:
            page = browser.new_page()
            page.goto(server.url)
            times = measured(page)
    print(
        f"\n{'milliseconds from a keystroke to its colours':<46}{'idle':>8}{'busy':>8}{'ratio':>8}"
    )
    for model in MODELS:
        idle, busy = (
            statistics.median(keystroke[model] for keystroke in times[kind] if model in keystroke)
            for kind in KINDS
        )
        print(f"{model:<46}{idle:>8.1f}{busy:>8.1f}{busy / idle:>8.2f}")


def measured(page: Page) -> dict[str, list[dict[str, float]]]:
    """Return the times of each keystroke by model, for each kind of round."""
    page.locator("#lengths polyline").first.wait_for()  # the page has loaded its data
    page.locator("#name").fill("")
    page.wait_for_timeout(500)
    page.evaluate(f"() => {{ {CLOCK} }}")
    searches = count()
    times: dict[str, list[dict[str, float]]] = {kind: [] for kind in KINDS}
    for _ in range(ROUNDS):
        for kind in KINDS:
            page.evaluate("window.times.length = 0")
            for key in [*TYPED, *["Backspace"] * (len(TYPED) - 1)]:
                if kind == "busy" and not is_sampling(page):
                    search(page, next(searches))
                page.locator("#name").press(key)
                page.wait_for_timeout(150)
                if kind == "busy" and not is_sampling(page):
                    page.evaluate("window.times.pop()")  # the search ended too early
            page.locator("#name").press("Backspace")
            page.wait_for_timeout(150)
            times[kind] += page.evaluate("window.times.slice(0, -1)")
    return times


def is_sampling(page: Page) -> bool:
    """Return whether the page waits for a sample."""
    return page.locator("#make").get_attribute("aria-busy") == "true"


def search(page: Page, number: int) -> None:
    """Start a sample that takes a few seconds, with another pattern each time."""
    letters = [chr(ord("a") + (number // 26**digit) % 26) for digit in range(2)]
    with page.expect_request("**/sample?*"):
        page.get_by_label("Pattern").evaluate(
            """(input, pattern) => {
                input.value = pattern;
                input.dispatchEvent(new Event("input", { bubbles: true }));
            }""",
            f"*{letters[0]}*a*e*i*o*n*[!{letters[1]}]*",
        )
    page.wait_for_timeout(300)  # the page has sent the request and is idle


if __name__ == "__main__":
    main()
