// A section of the page: runs its latest task, shows progress and failures.

import { button, find } from "../elements.js";
import { Problem } from "../service.js";

/**
 * Sections are independent of each other. Within a section a new task aborts the previous one, so
 * that its requests stop and the section always shows the result of the latest input.
 */
export class Section {
  #root;
  #problem;
  #running = new AbortController();

  constructor(id) {
    [this.#root, this.#problem] = [find(id), find(`${id}-problem`)];
  }

  /** Runs a task, which gets an AbortSignal for its requests. Shows a failure with a retry button. */
  async run(task) {
    this.#running.abort();
    const { signal } = (this.#running = new AbortController());
    this.#show({ isBusy: true });
    const error = await task(signal).then(() => null, (reason) => reason);
    if (!signal.aborted) this.#report(error, () => this.run(task));
  }

  /** Shows an error and fades the previous result, or clears both for null. */
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
