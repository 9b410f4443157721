// Requests to the HTTP API of the service.

import { authorization, replaceKey } from "./key.js";

/** A failed request, with the message of the service and the fields at fault. */
export class Problem extends Error {
  constructor({ detail, errors = [], status }) {
    super(detail);
    this.fields = errors.map(({ field }) => field);
    this.isTemporary = status === undefined || status >= 500 || RETRYABLE.includes(status);
  }
}

const RETRYABLE = [401, 408, 429]; // statuses that another key or a later request may avoid
const TIMEOUT_MS = 30_000; // for a complete response
const MAX_ATTEMPTS = 4; // while the service is busy
const MAX_PAUSE = 10; // seconds, before jitter: a longer pause looks like a failure

/**
 * Sends a query, or a body as JSON, and returns the JSON of the response. Retries while the service
 * is busy, and asks the visitor for a key if it requires one. Throws a Problem, or the reason of
 * the aborted signal.
 */
export async function ask(path, { query = {}, body = null, signal }) {
  for (let attempt = 1; ;) {
    const headers = authorization();
    const [response, content] = await send(path, query, body, headers, signal);
    if (response.ok && content) return content;
    if (response.status === 401 && await replaceKey(headers)) continue;
    const pause = retryAfter(response);
    if (!pause || pause > MAX_PAUSE || attempt >= MAX_ATTEMPTS) {
      const detail = response.status === 401
        ? "This service needs an API key."
        : content?.detail ?? `The service answers with status ${response.status}.`;
      throw new Problem({ ...content, detail, status: response.status });
    }
    attempt += 1;
    // Jitter, so that pages rejected at the same time do not retry at the same time.
    await sleep(pause * (1 + Math.random()), signal);
  }
}

/** Returns the pause in seconds that a response requests, or null. */
function retryAfter({ headers }) {
  return headers.has("Retry-After") ? Math.max(0, Number(headers.get("Retry-After"))) || 1 : null;
}

/** Returns the response and its content as JSON, null if it is not JSON. */
async function send(path, query, body, headers, signal) {
  const address = `${path}?${new URLSearchParams(query)}`.replace(/\?$/, "");
  const post = body && { method: "POST", body: JSON.stringify(body) };
  if (body) headers = { ...headers, "Content-Type": "application/json" };
  const anySignal = AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]);
  try {
    const response = await fetch(address, { ...post, headers, signal: anySignal });
    const text = await response.text();
    return [response, parsed(text)];
  } catch {
    signal.throwIfAborted();
    throw new Problem({ detail: "The service does not answer." });
  }
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null; // for example HTML of a proxy
  }
}

const sleep = (seconds, signal) => new Promise((resume, stop) => {
  const timer = setTimeout(resume, 1000 * seconds);
  signal.addEventListener("abort", () => {
    clearTimeout(timer);
    stop(signal.reason);
  }, { once: true });
});
