// Download of tables as CSV (RFC 4180).

import { element } from "../elements.js";

const BOM = "\uFEFF"; // Excel reads a file as UTF-8 only with a byte order mark

/** Downloads rows of cells as a file. */
export function download(file, rows) {
  const blob = new Blob([BOM, rows.map((row) => `${row.map(cell).join(",")}\r\n`).join("")], { type: "text/csv" });
  const address = URL.createObjectURL(blob);
  element("a", { href: address, download: file }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000); // after the browser has read it
}

/** Quotes a cell if needed; null becomes empty. */
function cell(value) {
  const text = String(value ?? "");
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
