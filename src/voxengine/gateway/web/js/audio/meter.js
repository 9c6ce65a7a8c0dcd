// How loud something is, by an AnalyserNode.

export class Meter {
  /** @param {AudioContext} context */
  constructor(context) {
    this.node = context.createAnalyser();
    this.node.fftSize = 2048;
    this.samples = new Float32Array(this.node.fftSize);
    /** The loudest that it has been, 0..1. */
    this.loudest = 0;
  }

  /** The root mean square of the last 40 ms or so, 0..1. */
  read() {
    this.node.getFloatTimeDomainData(this.samples);
    let energy = 0;
    for (const sample of this.samples) energy += sample * sample;
    const rms = Math.sqrt(energy / this.samples.length);
    this.loudest = Math.max(this.loudest, rms);
    return rms;
  }
}

/** A level between 0 and 1 for the eye: -60 dBFS is 0, full scale is 1. */
export function shown(rms) {
  return rms <= 0.001 ? 0 : Math.min(1, 1 + (20 * Math.log10(rms)) / 60);
}
