// Numbers, letters and models in words.

const ORDINALS = new Intl.PluralRules("en", { type: "ordinal" });
const ENDINGS = { one: "st", two: "nd", few: "rd", other: "th" };
const VISIBLE = /[\p{L}\p{N}\p{P}\p{S}]/u;

/** 32,469 */
export const grouped = (number) => number.toLocaleString("en");

/** 1 name, 2 names */
export const counted = (number, noun) => `${grouped(number)} ${noun}${number === 1 ? "" : "s"}`;

/** A probability: 12 %, 0.3 %, 1 in 40,000. */
export function percent(share) {
  if (share > 0 && share < 1e-6) return "under 1 in a million";
  if (share > 0 && share < 0.001) return `1 in ${grouped(Math.round(1 / share))}`;
  const isNearAnEnd = (share > 0 && share < 0.0995) || (share >= 0.9945 && share < 1);
  return isNearAnEnd ? `${Math.min(99.9, 100 * share).toFixed(1)} %` : `${(100 * share).toFixed(0)} %`;
}

/** How often something happens: never, once in 40,000 times, 12 % of the time. */
export function howOften(share) {
  if (share === 0) return "never";
  return percent(share).endsWith("%") ? `${percent(share)} of the time` : `${percent(share)} times`;
}

/** 1st, 2nd, 3rd, 4th, ... */
export const ordinal = (number) => `${number}${ENDINGS[ORDINALS.select(number)]}`;

/** A character, or its name or number if it cannot be seen. */
export const visible = (character) => VISIBLE.test(character)
  ? character
  : character === " " ? "space" : `U+${character.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`;

/** A letter as people speak of it: an a, a b. */
export const withArticle = (letter) =>
  `${/^[aefhilmnorsx8]/i.test(letter.normalize("NFD")) ? "an" : "a"} ${visible(letter)}`;

/** Whether a model does not know the position. */
export const isBlind = ({ features }) => !features.some(({ position }) => position);

/** What a model sees. */
export function sight(model) {
  const last = Math.max(...model.features.map((feature) => feature.last));
  const letters = `${model.name} sees the last ${last > 1 ? `${last} letters` : "letter"}`;
  return `${letters}${isBlind(model) ? ", but not the position" : " and the position"}`;
}

/**
 * What comes after a letter (null: the start of the name) at a position, in one sentence.
 * The shares are pairs of a model and its probability, of models that do not know the position
 * but for the first.
 */
export function continuation(position, before, after, [[model, share], ...others]) {
  if (share === undefined) {
    const letter = before === null ? "the start of a name" : withArticle(before);
    return `In names of ${model}, ${letter} is never the ${ordinal(position)} letter.`;
  }
  const place = before === null ? "" : `After ${withArticle(before)} as ${ordinal(position)} letter, `;
  const next = after === null ? "" : withArticle(after);
  const action = before === null
    ? (next ? `begins the name with ${next}` : "ends the name before it begins")
    : (next ? `continues with ${next}` : "ends the name");
  const compared = others.map(([other, often]) => `; ${other}, which does not know the position, ${percent(often)}`);
  return `${place}${model} ${action} ${howOften(share)}${compared.join("")}.`;
}
