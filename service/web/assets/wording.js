// Wording of numbers, letters and models.

const ORDINALS = new Intl.PluralRules("en", { type: "ordinal" });
const ENDINGS = { one: "st", two: "nd", few: "rd", other: "th" };
const VISIBLE = /[\p{L}\p{N}\p{P}\p{S}]/u;

/** 32,469: digits in groups. */
export const grouped = (number) => number.toLocaleString("en");

/** 1 name, 2 names: a number with its noun. */
export const counted = (number, noun) => `${grouped(number)} ${noun}${number === 1 ? "" : "s"}`;

/** A proportion: 12 %, 0.3 %, 1 in 40,000. */
export function proportion(share) {
  if (share > 0 && share < 1e-6) return "under 1 in a million";
  if (share > 0 && share < 0.001) return `1 in ${grouped(Math.round(1 / share))}`;
  const needsDecimal = (share > 0 && share < 0.0995) || (share >= 0.9945 && share < 1);
  return needsDecimal ? `${Math.min(99.9, 100 * share).toFixed(1)} %` : `${(100 * share).toFixed(0)} %`;
}

/** A frequency: never, 1 in 40,000 times, 12 % of the time. */
export function howOften(share) {
  if (share === 0) return "never";
  return proportion(share).endsWith("%") ? `${proportion(share)} of the time` : `${proportion(share)} times`;
}

/** An ordinal number: 1st, 2nd, 3rd, 4th, ... */
export const ordinal = (number) => `${number}${ENDINGS[ORDINALS.select(number)]}`;

/** A character, or its name or code point if it is invisible. */
export const visible = (character) => VISIBLE.test(character)
  ? character
  : character === " " ? "space" : `U+${character.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`;

/** A letter with its article: an a, a b. */
export const withArticle = (letter) =>
  `${/^[aefhilmnorsx8]/i.test(letter.normalize("NFD")) ? "an" : "a"} ${visible(letter)}`;

/** Returns whether no feature of a model depends on the position. */
export const isBlind = ({ features }) => !features.some(({ position }) => position);

/** Describes the context that a model sees. */
export function describeContext(model) {
  const last = Math.max(...model.features.map((feature) => feature.last));
  const letters = `${model.name} sees the last ${last > 1 ? `${last} letters` : "letter"}`;
  return `${letters}${isBlind(model) ? ", but not the position" : " and the position"}`;
}

/**
 * Describes in one sentence the probability that a letter (null: the end of the name) follows
 * another (null: the start) at a position. `shares` are pairs of a model and its probability; all
 * models but the first do not see the position.
 */
export function describeTransition(position, before, after, [[model, share], ...others]) {
  if (share === undefined) {
    const letter = before === null ? "the start of a name" : withArticle(before);
    return `In names of ${model}, ${letter} is never the ${ordinal(position)} letter.`;
  }
  const context = before === null ? "" : `After ${withArticle(before)} as ${ordinal(position)} letter, `;
  const next = after === null ? "" : withArticle(after);
  const action = before === null
    ? (next ? `begins the name with ${next}` : "ends the name before it begins")
    : (next ? `continues with ${next}` : "ends the name");
  const comparisons = others.map(([other, probability]) =>
    `; ${other}, which does not know the position, ${proportion(probability)}`);
  return `${context}${model} ${action} ${howOften(share)}${comparisons.join("")}.`;
}
