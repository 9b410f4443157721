// The service asked over HTTP, as anybody can.

import { find } from "./elements.js";

/** Why the service does not do what was asked; the message is its own. */
export class Problem extends Error {
  constructor(problem) {
    super(problem.detail);
    this.fields = (problem.errors ?? []).map((error) => error.field);
  }
}

const PATIENCE = 30_000; // milliseconds for a reply
const LONGEST_PAUSE = 5; // seconds before another try

let turn = Promise.resolve();

/**
 * The reply to a query or, if there is a body, to that. Throws a Problem.
 * One request at a time is under way: a page shall not crowd out others, nor itself.
 */
export function ask(...asked) {
  const reply = turn.then(() => send(...asked));
  turn = reply.catch(() => null);
  return reply;
}

async function send(path, query = {}, body = undefined, tries = 5) {
  const address = `${path}?${new URLSearchParams(query)}`.replace(/\?$/, "");
  const headers = { ...authorization(), "Content-Type": "application/json" };
  const sent = body ? { method: "POST", body: JSON.stringify(body) } : {};
  const signal = AbortSignal.timeout(PATIENCE);
  const reply = await fetch(address, { ...sent, headers, signal }).catch(() => {
    throw new Problem({ detail: "The service does not answer." });
  });
  const other = reply.status === 401 && prompt("This service wants a key:");
  if (other) sessionStorage.setItem("key", other.replace(/[^!-~]/g, "")); // of which keys are made
  const isLater = tries && reply.headers.has("Retry-After");
  const pause = Math.min(LONGEST_PAUSE, Number(reply.headers.get("Retry-After")) || 1);
  if (isLater) await new Promise((resume) => setTimeout(resume, 1000 * pause));
  if (isLater || other) return send(path, query, body, tries - 1);
  const read = await reply.json().catch(() => ({ detail: `The service answers with status ${reply.status}.` }));
  if (!reply.ok || !read) throw new Problem(read);
  return read;
}

/** The header that bears the key of this visit, if there is one. */
export function authorization() {
  const key = sessionStorage.getItem("key");
  return key ? { Authorization: `Bearer ${key}` } : {};
}

/**
 * Work that is done one at a time: of all that is asked for meanwhile only the last is done.
 * The work is told whether something newer waits, so that it can give up between two requests.
 */
export function lastWins(work, tell) {
  let last = null;
  let turn = Promise.resolve();
  return (...asked) => {
    last = asked;
    const isStale = () => last !== asked;
    const attempt = async () => {
      const problem = isStale() || (await work(isStale, ...asked).then(() => null, (error) => error));
      if (!isStale()) tell(problem);
    };
    return (turn = turn.then(attempt));
  };
}

/** What tells a problem in a part of the page, which fades: what it shows is of before. */
export const teller = (part) => (problem) => {
  find(`${part}-problem`).textContent = problem?.message ?? "";
  find(part).classList.toggle("stale", Boolean(problem));
  if (problem && !(problem instanceof Problem)) console.error(problem);
};
