// The service, asked over HTTP as anybody can ask it.

import { authorization, replaceKey } from "./key.js";

/** Why the service does not answer as asked; the message is the service's own. */
export class Problem extends Error {
  constructor({ detail, errors = [], status }) {
    super(detail);
    this.fields = errors.map(({ field }) => field);
    this.isTemporary = status === undefined || status >= 500 || TEMPORARY.includes(status);
  }
}

const TEMPORARY = [401, 408, 429]; // another key or another time may do
const TIMEOUT = 30_000; // milliseconds for a reply
const TRIES = 4; // requests in all, while the service is busy
const LONGEST_PAUSE = 10; // seconds, before jitter: a page that pauses longer looks dead

/**
 * Sends a query, or a body as JSON, and returns the reply. Tries again when the service is busy,
 * and asks the visitor for a key when it needs one. Throws a Problem, or the signal's reason.
 */
export async function ask(path, { query = {}, body = null, signal }) {
  for (let tries = 1; ;) {
    const headers = authorization();
    const [reply, read] = await send(path, query, body, headers, signal);
    if (reply.ok && read) return read;
    if (reply.status === 401 && await replaceKey(headers)) continue;
    const pause = reply.headers.has("Retry-After") && (Math.max(0, Number(reply.headers.get("Retry-After"))) || 1);
    if (!pause || pause > LONGEST_PAUSE || tries >= TRIES) {
      const detail = reply.status === 401
        ? "This service needs a key."
        : read?.detail ?? `The service answers with status ${reply.status}.`;
      throw new Problem({ ...read, detail, status: reply.status });
    }
    tries += 1;
    // Not all pages that were refused at the same time come back at the same time.
    await sleep(pause * (1 + Math.random()), signal);
  }
}

/** The reply and its JSON, or null if it has none. */
async function send(path, query, body, headers, signal) {
  const address = `${path}?${new URLSearchParams(query)}`.replace(/\?$/, "");
  const sent = body && { method: "POST", body: JSON.stringify(body) };
  if (body) headers = { ...headers, "Content-Type": "application/json" };
  const either = AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT)]);
  try {
    const reply = await fetch(address, { ...sent, headers, signal: either });
    const text = await reply.text();
    return [reply, parsed(text)];
  } catch {
    signal.throwIfAborted();
    throw new Problem({ detail: "The service does not answer." });
  }
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null; // a proxy answers with HTML
  }
}

const sleep = (seconds, signal) => new Promise((resume, stop) => {
  const timer = setTimeout(resume, 1000 * seconds);
  signal.addEventListener("abort", () => {
    clearTimeout(timer);
    stop(signal.reason);
  }, { once: true });
});
