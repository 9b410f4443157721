// A section of the page: its latest work, whether it is loading, and what went wrong.

import { button, find } from "./elements.js";
import { Problem } from "./service.js";

/**
 * Sections work independently of each other. Within one, new work aborts the work before it, so
 * that its requests do not delay anybody, and what is shown always belongs to the latest input.
 */
export class Section {
  #root;
  #problem;
  #running = new AbortController();

  constructor(id) {
    [this.#root, this.#problem] = [find(id), find(`${id}-problem`)];
  }

  /** Does work, which gets a signal for its requests. A failure is reported, with a way to retry. */
  async run(work) {
    this.#running.abort();
    const { signal } = (this.#running = new AbortController());
    this.#show({ isBusy: true });
    const error = await work(signal).then(() => null, (reason) => reason);
    if (!signal.aborted) this.#report(error, () => this.run(work));
  }

  /** Shows a problem, or none; what was shown before it fades. */
  #report(error, retry) {
    if (error && !(error instanceof Problem)) console.error(error);
    this.#problem.replaceChildren(...(error ? [error.message, " "] : []));
    if (error?.isTemporary) this.#problem.append(button(retry, {}, "Try again"));
    this.#show({ isBusy: false, isStale: Boolean(error) });
  }

  #show({ isBusy, isStale = this.#root.classList.contains("stale") }) {
    this.#root.setAttribute("aria-busy", isBusy);
    this.#root.classList.toggle("stale", isStale);
  }
}
