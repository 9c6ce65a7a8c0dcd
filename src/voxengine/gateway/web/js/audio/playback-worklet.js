// The loudspeaker's side of the audio thread. Speech waits in a queue of pieces, each with the item that it belongs to,
// because it comes faster than it is played. What was played is counted per item, in samples of the wire.

import { Resampler } from './resampler.js';

const WIRE_RATE = 24000;
const BLOCK = 240; // samples taken from the queue at a time: 10 ms
const REPORT_EVERY = 0.05; // seconds
const FADE = 240; // samples of the context, so that a cut makes no click
const MAX_QUEUED = WIRE_RATE * 600; // ten minutes; more of one answer is not played, and that is reported

class Playback extends AudioWorkletProcessor {
  constructor() {
    super();
    this.resampler = new Resampler(WIRE_RATE, sampleRate);
    this.queue = [];
    this.queued = 0;
    this.ready = new Float32Array(0);
    this.readyItem = null;
    this.played = 0;
    this.fading = null;
    this.reported = 0;
    this.port.onmessage = ({ data }) => this.take(data);
  }

  take({ kind, item, samples, id }) {
    if (kind === 'audio') {
      if (this.queued + samples.length > MAX_QUEUED) {
        this.port.postMessage({ kind: 'dropped', item, samples: samples.length });
        return;
      }
      this.queue.push({ item, samples, at: 0 });
      this.queued += samples.length;
    } else if (kind === 'clear') {
      const cut = { kind: 'cleared', id, item: this.readyItem, ms: this.heard() };
      cut.waiting = [...new Set(this.queue.map((piece) => piece.item))].filter((name) => name !== cut.item);
      this.port.postMessage(cut);
      this.fading = this.ready.slice(0, FADE);
      this.queue = [];
      this.queued = 0;
      this.ready = new Float32Array(0);
      this.readyItem = null;
      this.played = 0;
      this.resampler.reset();
    }
  }

  /** Milliseconds of the current item that have left for the loudspeaker. */
  heard() {
    const waiting = (this.ready.length * WIRE_RATE) / sampleRate;
    return Math.max(0, ((this.played - waiting) / WIRE_RATE) * 1000);
  }

  process(_, [[output]]) {
    const before = this.readyItem;
    let filled = this.fadeOut(output);
    while (filled < output.length) {
      if (!this.ready.length && !this.refill()) break;
      const count = Math.min(this.ready.length, output.length - filled);
      output.set(this.ready.subarray(0, count), filled);
      this.ready = this.ready.subarray(count);
      filled += count;
    }
    if (this.readyItem === null) return true;
    if (before !== this.readyItem || currentTime - this.reported > REPORT_EVERY) this.report('played');
    if (!this.ready.length && !this.queue.length) {
      this.report('dry');
      this.idleItem();
    }
    return true;
  }

  fadeOut(output) {
    if (!this.fading) return 0;
    const count = Math.min(this.fading.length, output.length);
    for (let at = 0; at < count; at += 1) output[at] = this.fading[at] * (1 - at / count);
    this.fading = null;
    return count;
  }

  /** Take the next 10 ms of the queue. */
  refill() {
    while (!this.ready.length && this.queue.length) {
      const piece = this.queue[0];
      if (piece.item !== this.readyItem) {
        if (this.readyItem !== null) this.report('finished');
        this.played = this.spoken?.item === piece.item ? this.spoken.samples : 0;
        this.readyItem = piece.item;
      }
      const block = piece.samples.subarray(piece.at, piece.at + BLOCK);
      piece.at += block.length;
      this.queued -= block.length;
      this.played += block.length;
      if (piece.at >= piece.samples.length) this.queue.shift();
      const float = Float32Array.from(block, (value) => value / 32768);
      this.ready = this.resampler.process(float).slice();
    }
    return this.ready.length > 0;
  }

  /** Nothing is left to play. The item may go on: then its count does, too. */
  idleItem() {
    this.spoken = { item: this.readyItem, samples: this.played };
    this.readyItem = null;
    this.played = 0;
  }

  report(kind) {
    this.reported = currentTime;
    this.port.postMessage({ kind, item: this.readyItem, ms: this.heard() });
  }
}

registerProcessor('voxengine-playback', Playback);
