// Tables as CSV (RFC 4180), and their download.

import { element } from "./elements.js";

const MARK = "\uFEFF"; // without a byte order mark, Excel does not read a file as UTF-8

/** Offers rows of cells as a file. */
export function download(file, rows) {
  const blob = new Blob([MARK, rows.map((row) => `${row.map(cell).join(",")}\r\n`).join("")], { type: "text/csv" });
  const address = URL.createObjectURL(blob);
  element("a", { href: address, download: file }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000); // when the browser has surely read it
}

/** A cell; null is empty. */
function cell(value) {
  const text = String(value ?? "");
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
