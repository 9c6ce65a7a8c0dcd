// A streaming resampler: each output sample is a windowed sinc over the input around it. Runs inside the worklets.

const HALF = 16; // zero crossings on each side
const STEPS = 256; // points of the kernel's table per zero crossing
const ROLL_OFF = 0.92;

/** Blackman-windowed sinc, by its distance in zero crossings. */
const KERNEL = (() => {
  const table = new Float32Array(HALF * STEPS + 2);
  for (let at = 0; at < table.length; at += 1) {
    const x = at / STEPS;
    if (x >= HALF) continue;
    const phase = (Math.PI * x) / HALF;
    const window = 0.42 + 0.5 * Math.cos(phase) + 0.08 * Math.cos(2 * phase);
    table[at] = window * (x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x));
  }
  return table;
})();

export class Resampler {
  /** @param {number} from Hz @param {number} to Hz */
  constructor(from, to) {
    this.step = from / to;
    this.scale = Math.min(1, to / from) * ROLL_OFF;
    this.reach = Math.ceil(HALF / this.scale);
    this.same = from === to;
    this.reset();
  }

  /** Forget what came before. */
  reset() {
    // Silence in front, so that the first sample has neighbours.
    this.input = new Float32Array(this.reach);
    this.position = this.reach;
  }

  /** @param {Float32Array} samples @returns {Float32Array} what can be said by now; the rest comes with what follows. */
  process(samples) {
    if (this.same) return samples;
    const input = new Float32Array(this.input.length + samples.length);
    input.set(this.input);
    input.set(samples, this.input.length);
    const count = Math.max(0, Math.ceil((input.length - this.reach - this.position) / this.step));
    const output = new Float32Array(count);
    for (let at = 0; at < count; at += 1) {
      output[at] = this.at(input, this.position);
      this.position += this.step;
    }
    const spent = Math.max(0, Math.floor(this.position) - this.reach);
    this.input = input.slice(spent);
    this.position -= spent;
    return output;
  }

  at(input, position) {
    const first = Math.max(0, Math.ceil(position - this.reach));
    const last = Math.min(input.length - 1, Math.floor(position + this.reach));
    let sum = 0;
    for (let at = first; at <= last; at += 1) {
      const place = Math.abs(at - position) * this.scale * STEPS;
      const whole = Math.floor(place);
      if (whole >= HALF * STEPS) continue;
      const part = place - whole;
      sum += input[at] * (KERNEL[whole] * (1 - part) + KERNEL[whole + 1] * part);
    }
    return sum * this.scale;
  }
}
