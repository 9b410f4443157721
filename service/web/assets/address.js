// The state of the page, all of it in its address: a link shows what it showed.

const state = new URLSearchParams(location.search);
let later = null;

/** The value of a field in the address, or null. */
export const recall = (field) => state.get(field);

/** All values of a field. */
export const recallAll = (field) => state.getAll(field);

/** Puts pairs of a field and a value into the address, in the place of these fields. */
export function remember(fields, pairs) {
  for (const field of fields) state.delete(field);
  for (const [field, value] of pairs) state.append(field, value);
  // Browsers allow so many changes of the address a minute: a slider makes more.
  later ??= setTimeout(() => {
    later = null;
    history.replaceState(null, "", link());
  }, 300);
}

/** The address that shows what the page shows. */
export const link = () => `${location.pathname}?${state}`;
