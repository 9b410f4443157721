// The state of the page, all of it in its address: a link shows what it showed, and so do the
// browser's Back and Forward.

const GESTURE = 2000; // milliseconds: quicker changes of the same thing make one entry of the history
const PAUSE = 100; // milliseconds: browsers limit how often an address changes, and a slider is faster

const restorers = [];
let state = new URLSearchParams(location.search);
let last = { gesture: null, at: 0 };
let timer = null;

/** The value of a field in the address, or null. */
export const recall = (field) => state.get(field);

/** All values of a field. */
export const recallAll = (field) => state.getAll(field);

/** The address that shows what the page shows. */
export const link = () => `${location.pathname}?${state}`;

/** Calls a function after Back or Forward, to show what the address says. */
export const onRestore = (restore) => restorers.push(restore);

/**
 * Replaces fields in the address by pairs of a field and a value. A new gesture of the visitor adds
 * an entry to the history. A gesture that continues, or a change without one, edits the last entry.
 */
export function remember(fields, pairs, gesture = null) {
  const before = link();
  for (const field of fields) state.delete(field);
  for (const [field, value] of pairs) state.append(field, value);
  if (link() === before) return;
  const isNew = gesture && (gesture !== last.gesture || performance.now() - last.at > GESTURE);
  if (gesture) last = { gesture, at: performance.now() };
  if (isNew) {
    if (timer !== null) write("replaceState", before);
    write("pushState", link());
  } else {
    timer ??= setTimeout(() => write("replaceState", link()), PAUSE);
  }
}

function write(how, address) {
  clearTimeout(timer);
  timer = null;
  try {
    history[how](null, "", address);
  } catch {
    // Safari throws where other browsers ignore: more than 100 changes in some seconds.
  }
}

addEventListener("popstate", () => {
  clearTimeout(timer);
  [timer, last.gesture] = [null, null];
  if (`?${state}` === location.search) return; // a link within the page
  state = new URLSearchParams(location.search);
  for (const restore of restorers) restore();
});
