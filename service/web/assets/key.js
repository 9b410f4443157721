// The API key, for a service that needs one: kept for this visit, asked for in a dialog.

import { find } from "./elements.js";

const STORED = "key";
const FOREIGN = /[^!-~]/g; // characters that no key has

let key = read();
let entry = null; // while the dialog is open: whether a key will have been entered

/** The header that authenticates a request; empty without a key. */
export const authorization = () => (key ? { Authorization: `Bearer ${key}` } : {});

/**
 * Asks the visitor for a key in place of the one in rejected headers. Resolves to whether there
 * is another one, which there may be already: requests are rejected several at a time.
 */
export async function replaceKey({ Authorization: rejected }) {
  if (authorization().Authorization !== rejected) return true;
  entry ??= enter(Boolean(rejected)).finally(() => (entry = null));
  return entry;
}

function enter(isRejected) {
  const [dialog, form, input] = ["key-dialog", "key-form", "key"].map(find);
  find("key-reason").textContent = isRejected
    ? "The service rejected this key. Enter another one."
    : "This service needs an API key.";
  input.value = "";
  return new Promise((resolve) => {
    form.onsubmit = (event) => {
      event.preventDefault();
      key = input.value.replace(FOREIGN, "");
      write(key);
      dialog.onclose = null;
      dialog.close();
      resolve(true);
    };
    dialog.onclose = () => resolve(false); // by Escape or the Cancel button
    find("key-cancel").onclick = () => dialog.close();
    dialog.showModal();
  });
}

// A browser that blocks cookies has no storage either; the key then lasts as long as the page.

function read() {
  try {
    return sessionStorage.getItem(STORED) ?? "";
  } catch {
    return "";
  }
}

function write(value) {
  try {
    sessionStorage.setItem(STORED, value);
  } catch {
    // see above
  }
}
