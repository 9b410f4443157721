// Lists of names as people keep them: one a line, columns of a spreadsheet, or JSON.

const SEPARATORS = ["\t", ";", ","];
const MOST = 0.8; // of the lines have a separator where there are columns
const HEADING = /^((first|given|last|family|full|baby)[ _-]?)?names?$/i;

/** The text of a file: UTF-8, UTF-16 with a byte order mark, or else Windows-1252. */
export function decode(bytes) {
  const mark = [...new Uint8Array(bytes.slice(0, 2))].join();
  const encoding = { "255,254": "utf-16le", "254,255": "utf-16be" }[mark] ?? "utf-8";
  try {
    return new TextDecoder(encoding, { fatal: true }).decode(bytes);
  } catch {
    return new TextDecoder("windows-1252").decode(bytes);
  }
}

/** The rows of a text, each an array of cells; a plain list has one cell in each. */
export function readRows(text) {
  const clean = text.replace(/^\uFEFF/, "").replace(/\r\n?/g, "\n");
  return (readJson(clean) ?? readLines(clean)).filter((row) => row.some(Boolean));
}

function readLines(text) {
  const lines = text.split("\n").map((line) => line.trim()).filter(Boolean);
  const separator = SEPARATORS.find((one) =>
    lines.filter((line) => line.includes(one)).length >= MOST * Math.max(1, lines.length));
  if (!separator) return lines.map((line) => [line.replace(/^"([^"]*)"$/, "$1")]);
  const rows = separated(text, separator) ?? lines.map((line) => line.split(separator));
  return lines.length === 1 ? rows.flat().map((cell) => [cell]) : rows; // all names on one line
}

/** The column that probably has the names: the first of those with the most cells with letters. */
export function columnOfNames(rows) {
  const letters = (rows[0] ?? [""]).map((_, column) => rows.filter((row) => /\p{L}/u.test(row[column] ?? "")).length);
  return letters.indexOf(Math.max(...letters));
}

/** Whether the first row looks like headings: one says so, or stands above numbers. */
export function hasHeadings([first = [], ...rows]) {
  return first.some((cell, column) => HEADING.test(cell)
    || (/\p{L}/u.test(cell) && rows.length && rows.every((row) => /^[\d.,% -]*$/.test(row[column] ?? ""))));
}

/** The rows of JSON: an array of strings or objects, alone in an object or not, or JSON Lines. */
function readJson(text) {
  const read = parsed(text) ?? parsed(`[${text.trim().split(/\n+/).join(",")}]`);
  const list = Array.isArray(read) ? read : Object.values(read ?? {}).find(Array.isArray);
  if (!list) return null;
  const columns = Object.keys(Object(list[0]) === list[0] ? list[0] : {});
  return list.map((one) => (Object(one) === one ? columns.map((key) => String(one[key] ?? "")) : [String(one)]));
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/**
 * The rows of separated values (RFC 4180). A cell in double quotes may have separators and line
 * breaks within. Null if a quote is never closed.
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
