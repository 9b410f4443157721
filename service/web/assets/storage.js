// Storage until the tab is closed. Browsers that block cookies also block it.

/** Returns a stored value, or an empty string. */
export function read(name) {
  try {
    return sessionStorage.getItem(name) ?? "";
  } catch {
    return "";
  }
}

/** Stores a value in place of the last one. A value that cannot be stored is lost on a reload. */
export function write(name, value) {
  try {
    sessionStorage.removeItem(name);
    sessionStorage.setItem(name, value);
  } catch {
    // The value is too long, or the storage is blocked.
  }
}
