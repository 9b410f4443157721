// The state of the page in its address: a link restores the page, and so do Back and Forward.

const GESTURE_MS = 2000; // changes by the same control within this time share one history entry
const WRITE_DELAY_MS = 100; // browsers limit how often an address may change, and sliders are faster

const restorers = [];
let state = new URLSearchParams(location.search);
let last = { gesture: null, at: 0 };
let timer = null;

/** Returns the value of a field in the address, or null. */
export const recall = (field) => state.get(field);

/** Returns all values of a field in the address. */
export const recallAll = (field) => state.getAll(field);

/** Returns the address that restores the page as it is now. */
export const link = () => `${location.pathname}?${state}`;

/** Registers a function that restores a section from the address after Back or Forward. */
export const onRestore = (restore) => restorers.push(restore);

/**
 * Replaces fields in the address by [field, value] pairs. `gesture` names the control that the
 * visitor uses. A new gesture adds a history entry; the same gesture or none replaces the last entry.
 */
export function remember(fields, pairs, gesture = null) {
  const before = link();
  for (const field of fields) state.delete(field);
  for (const [field, value] of pairs) state.append(field, value);
  if (link() === before) return;
  const isNew = gesture && (gesture !== last.gesture || performance.now() - last.at > GESTURE_MS);
  if (gesture) last = { gesture, at: performance.now() };
  if (isNew) {
    if (timer !== null) write("replaceState", before);
    write("pushState", link());
  } else {
    timer ??= setTimeout(() => write("replaceState", link()), WRITE_DELAY_MS);
  }
}

function write(method, address) {
  clearTimeout(timer);
  timer = null;
  try {
    history[method](null, "", address);
  } catch {
    // Safari throws after about 100 changes within seconds; other browsers ignore them.
  }
}

addEventListener("popstate", () => {
  clearTimeout(timer);
  [timer, last.gesture] = [null, null];
  if (`?${state}` === location.search) return; // a link to a section of the page
  state = new URLSearchParams(location.search);
  for (const restore of restorers) restore();
});
