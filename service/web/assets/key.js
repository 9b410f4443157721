// The API key of a service that requires one: entered in a dialog, kept until the tab is closed.

import { find } from "./elements.js";
import { read, write } from "./storage.js";

const STORAGE_KEY = "key";
const INVALID_CHARACTERS = /[^!-~]/g; // keys are printable ASCII without spaces

let key = read(STORAGE_KEY);
let entry = null; // promise of the open dialog: whether a key was entered

/** Returns the header that authenticates a request; empty without a key. */
export const authorization = () => (key ? { Authorization: `Bearer ${key}` } : {});

/**
 * Asks the visitor for a key to replace the one in rejected headers. Resolves to whether there is
 * another key. Concurrent requests share one dialog, or use the key that was entered meanwhile.
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
      key = input.value.replace(INVALID_CHARACTERS, "");
      write(STORAGE_KEY, key);
      dialog.onclose = null;
      dialog.close();
      resolve(true);
    };
    dialog.onclose = () => resolve(false); // closed by Escape or the Cancel button
    find("key-cancel").onclick = () => dialog.close();
    dialog.showModal();
  });
}
