"""python -m benchmarks.keystrokes: how soon after a keystroke the page has the new colours.

A name is typed and deleted in a real browser, a letter at a time. The clock is the page's own:
from the event of the key to the frame after the letters of a model have been coloured.
"""

import statistics
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import Page

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from browser import chromium
from server import Server
from training.__main__ import main as train

TYPED = "alexandria"
ROUNDS = 5
MODELS = ["fivegram", "bigram", "positional"]  # in the order that they are asked in
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
    """Type, and print the times of each model in milliseconds."""
    with TemporaryDirectory() as folder:
        assert train(["--out", folder]) == 0
        with Server(MONIKER_CHECKPOINTS=folder) as server, chromium() as browser:
            page = browser.new_page()
            page.goto(server.url)
            times = measured(page)
    print(f"\n{'milliseconds from a keystroke to its colours':<46}{'median':>8}{'longest':>9}")
    for model in MODELS:
        found = [one[model] for one in times if model in one]
        print(f"{model:<46}{statistics.median(found):>8.1f}{max(found):>9.1f}")


def measured(page: Page) -> list[dict[str, float]]:
    """For each keystroke the time of each model."""
    page.locator("#lengths polyline").first.wait_for()  # what the page asks by itself is done
    page.locator("#name").fill("")
    page.wait_for_timeout(500)
    page.evaluate(f"() => {{ {CLOCK} }}")
    for _ in range(ROUNDS):
        for key in [*TYPED, *["Backspace"] * (len(TYPED) - 1)]:
            page.locator("#name").press(key)
            page.wait_for_timeout(150)
        page.locator("#name").press("Backspace")
        page.wait_for_timeout(150)
    times: list[dict[str, float]] = page.evaluate("window.times")
    return times


if __name__ == "__main__":
    main()
