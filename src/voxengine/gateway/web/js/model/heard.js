// Which words of an answer were heard, by how much of its audio was played.

/** How long a character of speech lasts, until the length of the audio is known. */
const MS_PER_CHARACTER = 62;
/** What a mark of punctuation adds, as characters. */
const PAUSES = { ',': 4, ';': 5, ':': 5, '.': 8, '!': 8, '?': 8 };

/** Words with the spaces behind them, and the share of the text's time by which each has ended. */
export function timeline(text) {
  const words = text.match(/\s*\S+\s*/gu) ?? [];
  let sum = 0;
  const ends = words.map((word) => {
    const bare = word.trim();
    sum += bare.length + 1 + (PAUSES[bare.at(-1)] ?? 0);
    return sum;
  });
  return words.map((word, at) => ({ word, end: ends[at] / sum }));
}

/**
 * The text in two: what was heard, and what was not.
 * @param {{text: string, audioMs: number, complete: boolean, heardMs: number | null}} item `audioMs`: of all its audio
 * so far; `complete`: no more will come; `heardMs` null: it has no audio, or all of it was played.
 * @returns {[string, string]}
 */
export function split({ text, audioMs, complete, heardMs }) {
  if (heardMs === null) return [text, ''];
  const whole = complete && audioMs ? audioMs : Math.max(audioMs, text.length * MS_PER_CHARACTER);
  const heard = timeline(text).filter(({ end }) => end * whole <= heardMs + 1);
  const length = heard.reduce((sum, { word }) => sum + word.length, 0);
  return [text.slice(0, length), text.slice(length)];
}
