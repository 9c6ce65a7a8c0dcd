// The microphone's side of the audio thread: frames of 20 ms at the wire's rate, and how loud each was.

import { Resampler } from './resampler.js';

const WIRE_RATE = 24000;
const FRAME = 480;

class Capture extends AudioWorkletProcessor {
  constructor() {
    super();
    this.resampler = new Resampler(sampleRate, WIRE_RATE);
    this.frame = new Int16Array(FRAME);
    this.filled = 0;
    this.energy = 0;
  }

  process([input]) {
    if (!input.length) return true;
    for (const sample of this.resampler.process(mono(input))) {
      const value = Math.max(-1, Math.min(1, sample));
      this.energy += value * value;
      this.frame[this.filled] = Math.round(value * 32767);
      this.filled += 1;
      if (this.filled === FRAME) this.send();
    }
    return true;
  }

  send() {
    const frame = this.frame;
    this.port.postMessage({ frame, rms: Math.sqrt(this.energy / FRAME) }, [frame.buffer]);
    this.frame = new Int16Array(FRAME);
    this.filled = 0;
    this.energy = 0;
  }
}

function mono(channels) {
  if (channels.length === 1) return channels[0];
  const mixed = new Float32Array(channels[0].length);
  for (const channel of channels) {
    for (let at = 0; at < mixed.length; at += 1) mixed[at] += channel[at] / channels.length;
  }
  return mixed;
}

registerProcessor('voxengine-capture', Capture);
