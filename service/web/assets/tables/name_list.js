// Reads lists of names: one name per line, separated columns, or JSON.

const SEPARATORS = ["\t", ";", ","];
const SEPARATED_SHARE = 0.8; // minimum share of lines with a separator in a list with columns
const HEADING = /^((first|given|last|family|full|baby)[ _-]?)?names?$/i;

/** Decodes a file: UTF-8, UTF-16 with a byte order mark, otherwise Windows-1252. */
export function decode(bytes) {
  const bom = [...new Uint8Array(bytes.slice(0, 2))].join();
  const encoding = { "255,254": "utf-16le", "254,255": "utf-16be" }[bom] ?? "utf-8";
  try {
    return new TextDecoder(encoding, { fatal: true }).decode(bytes);
  } catch {
    return new TextDecoder("windows-1252").decode(bytes);
  }
}

/** Returns the rows of a text as arrays of cells; rows of a plain list have one cell. */
export function readRows(text) {
  const clean = text.replace(/^\uFEFF/, "").replace(/\r\n?/g, "\n");
  return (readJson(clean) ?? readLines(clean)).filter((row) => row.some(Boolean));
}

function readLines(text) {
  const lines = text.split("\n").map((line) => line.trim()).filter(Boolean);
  const separator = SEPARATORS.find((candidate) =>
    lines.filter((line) => line.includes(candidate)).length >= SEPARATED_SHARE * Math.max(1, lines.length));
  if (!separator) return lines.map((line) => [line.replace(/^"([^"]*)"$/, "$1")]);
  const rows = separated(text, separator) ?? lines.map((line) => line.split(separator));
  return lines.length === 1 ? rows.flat().map((cell) => [cell]) : rows; // all names are on one line
}

/** Guesses the column of the names: the first one with the most cells that contain letters. */
export function guessNameColumn(rows) {
  const letters = (rows[0] ?? [""]).map((_, column) => rows.filter((row) => /\p{L}/u.test(row[column] ?? "")).length);
  return letters.indexOf(Math.max(...letters));
}

/** Guesses whether the first row is a heading: a cell reads "name", or is above numbers only. */
export function hasHeadings([first = [], ...rows]) {
  return first.some((cell, column) => HEADING.test(cell)
    || (/\p{L}/u.test(cell) && rows.length && rows.every((row) => /^[\d.,% -]*$/.test(row[column] ?? ""))));
}

/** Returns the rows of JSON: an array of strings or objects, an object with such an array, or JSON Lines. */
function readJson(text) {
  const value = parsed(text) ?? parsed(`[${text.trim().split(/\n+/).join(",")}]`);
  const list = Array.isArray(value) ? value : Object.values(value ?? {}).find(Array.isArray);
  if (!list) return null;
  const columns = Object.keys(Object(list[0]) === list[0] ? list[0] : {});
  return list.map((item) =>
    (Object(item) === item ? columns.map((key) => String(item[key] ?? "")) : [String(item)]));
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/**
 * Returns the rows of separated values (RFC 4180). Quoted cells may contain separators and line
 * breaks. Returns null if a quote is never closed.
 */
function separated(text, separator) {
  const rows = [[""]];
  let isQuoted = false;
  for (const [token] of text.matchAll(new RegExp(`""|"|\\n|${separator}|[^"\\n${separator}]+`, "g"))) {
    const row = rows.at(-1);
    const last = row.length - 1;
    if (token === '"' && (isQuoted || !row[last].trim())) isQuoted = !isQuoted;
    else if (token === '""') row[last] += isQuoted ? '"' : "";
    else if (token === "\n" && !isQuoted) rows.push([""]);
    else if (token === separator && !isQuoted) row.push("");
    else row[last] += token;
  }
  return isQuoted ? null : rows.map((row) => row.map((cell) => cell.trim()));
}
