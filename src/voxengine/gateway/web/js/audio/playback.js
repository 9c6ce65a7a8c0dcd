// The loudspeaker of the WebSocket transport: plays what arrives, and knows what was heard of it.

import { worklet } from './worklets.js';

export class Playback {
  /** @param {AudioContext} context */
  constructor(context) {
    this.context = context;
    this.node = null;
    this.waiting = new Map();
    this.nextClear = 0;
    /** Called with {item, ms, kind}: `ms` of the item were heard; `kind` is played, finished or dry. */
    this.onPlayed = () => {};
    this.onDropped = () => {};
    /** The item that sounds now, or waits to. */
    this.item = null;
  }

  async start(destination) {
    await worklet(this.context, 'playback');
    this.node = new AudioWorkletNode(this.context, 'voxengine-playback', {
      numberOfInputs: 0,
      outputChannelCount: [1],
    });
    this.node.port.onmessage = ({ data }) => this.told(data);
    this.node.connect(destination);
  }

  /** @param {string} item @param {Int16Array} samples */
  play(item, samples) {
    this.item ??= item;
    this.node.port.postMessage({ kind: 'audio', item, samples }, [samples.buffer]);
  }

  /**
   * Throw away what was not played yet.
   * @returns {Promise<{item: string | null, ms: number, waiting: string[]}>} the item that was cut, what was heard of
   * it, and the items behind it of which nothing was.
   */
  clear() {
    this.nextClear += 1;
    const id = this.nextClear;
    return new Promise((resolve) => {
      this.waiting.set(id, resolve);
      this.node.port.postMessage({ kind: 'clear', id });
    });
  }

  told(data) {
    if (data.kind === 'dropped') {
      this.onDropped(data);
    } else if (data.kind === 'cleared') {
      this.item = null;
      this.waiting.get(data.id)?.({ ...data, ms: this.audible(data.ms) });
      this.waiting.delete(data.id);
    } else {
      this.item = data.kind === 'dry' ? null : data.item;
      this.onPlayed({ kind: data.kind, item: data.item, ms: data.kind === 'played' ? this.audible(data.ms) : data.ms });
    }
  }

  /** What has left the worklet is heard only after the device's own delay. */
  audible(ms) {
    return Math.max(0, ms - (this.context.outputLatency || 0) * 1000);
  }

  stop() {
    if (!this.node) return;
    this.node.port.onmessage = null;
    this.node.disconnect();
  }
}
