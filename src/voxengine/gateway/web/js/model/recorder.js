// The course of the call: levels ten times a second, who spoke when, and what happened.

/** Seconds between two levels, and how many are kept: two hours. */
export const STEP = 0.1;
const MAX_SAMPLES = 72000;

export class Recorder {
  constructor() {
    this.clear();
  }

  clear() {
    this.began = null;
    this.ended = null;
    this.input = [];
    this.output = [];
    /** {who: 'you' | 'assistant', from, to, cut}: in seconds; `to` null: still going on. */
    this.spans = [];
    /** {at, kind: 'cut' | 'switch' | 'tool' | 'note' | 'link' | 'error', text} */
    this.marks = [];
  }

  begin(now) {
    this.clear();
    this.began = now;
  }

  end(now) {
    if (this.began === null || this.ended !== null) return;
    for (const who of ['you', 'assistant']) this.quiet(who, now);
    this.ended = now;
  }

  /** Seconds since the call began. */
  seconds(now) {
    if (this.began === null) return 0;
    return ((this.ended ?? now) - this.began) / 1000;
  }

  /** The levels of now, 0..1 for the eye. Gaps, where the tab slept, are filled with silence. */
  sample(now, input, output) {
    const place = Math.floor(this.seconds(now) / STEP);
    if (place >= MAX_SAMPLES || this.began === null || this.ended !== null) return;
    while (this.input.length < place) {
      this.input.push(0);
      this.output.push(0);
    }
    this.input[place] = Math.max(input, this.input[place] ?? 0);
    this.output[place] = Math.max(output, this.output[place] ?? 0);
  }

  speaking(who) {
    return this.spans.findLast((span) => span.who === who && span.to === null) ?? null;
  }

  speak(who, now) {
    if (this.began !== null && !this.speaking(who)) {
      this.spans.push({ who, from: this.seconds(now), to: null, cut: false });
    }
  }

  quiet(who, now, cut = false) {
    const span = this.speaking(who);
    if (span) Object.assign(span, { to: this.seconds(now), cut });
  }

  mark(now, kind, text) {
    this.marks.push({ at: this.seconds(now), kind, text });
  }

  /** Seconds that each has spoken. */
  talked(now) {
    const sums = { you: 0, assistant: 0 };
    for (const { who, from, to } of this.spans) sums[who] += (to ?? this.seconds(now)) - from;
    return sums;
  }
}
