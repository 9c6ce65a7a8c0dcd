// Every event that went over the wire, newest last. Runs of audio are one entry.

import { decodedLength, durationMs } from '../audio/pcm.js';
import { Emitter } from './emitter.js';

const MAX_ENTRIES = 3000;
const AUDIO = new Set(['input_audio_buffer.append', 'response.output_audio.delta']);
/** Base64 of which no more is kept than this. */
const KEPT = 48;

export class EventLog extends Emitter {
  constructor() {
    super();
    this.clear();
  }

  clear() {
    this.entries = [];
    /** Of all, also of those that are no longer kept. */
    this.count = 0;
    this.last = { sent: null, received: null };
    this.emit('cleared');
  }

  /** @param {'sent' | 'received'} way @param {Object} event @param {number} at seconds of the call */
  add(way, event, at) {
    this.count += 1;
    const audio = AUDIO.has(event.type);
    const last = this.last[way];
    if (audio && last?.event.type === event.type && last.event.item_id === event.item_id) {
      this.grow(last, event);
      return;
    }
    const entry = { number: this.count, way, at, event: audio ? shortened(event) : event, audio, times: 1, ms: 0 };
    if (audio) entry.ms = audioMs(event);
    this.last[way] = entry;
    this.entries.push(entry);
    if (this.entries.length > MAX_ENTRIES) this.entries.shift();
    this.emit('added', entry);
  }

  grow(entry, event) {
    entry.times += 1;
    entry.ms += audioMs(event);
    this.emit('grown', entry);
  }

  /** One JSON object a line. */
  lines() {
    return this.entries
      .map(({ way, at, event, times }) => JSON.stringify({ at: Number(at.toFixed(3)), way, times, event }))
      .join('\n');
  }
}

function audioMs(event) {
  return durationMs(decodedLength(event.audio ?? event.delta ?? ''));
}

function shortened(event) {
  const field = event.type === 'input_audio_buffer.append' ? 'audio' : 'delta';
  const text = event[field] ?? '';
  return { ...event, [field]: text.length > KEPT ? `${text.slice(0, KEPT)}… (${decodedLength(text)} bytes)` : text };
}
