// The WebSocket transport: the microphone's frames go up as messages, speech comes down as messages and is played here.

import { keys, socketAddress } from '../api.js';
import { decode, encode } from '../audio/pcm.js';
import { Playback } from '../audio/playback.js';
import { TransportFailure } from './failure.js';

const KEY_PREFIX = 'openai-insecure-api-key.';
const OPEN_WITHIN_MS = 20000;
/** Bytes that may wait to be sent. Above that the network cannot carry the audio, and what is said now is left out. */
const MAX_UNSENT = 256 * 1024;
/** Close codes of a connection that was cut off, or whose gateway goes away. */
const LOST = new Set([1001, 1006, 1012, 1013]);

export class WebSocketTransport {
  /**
   * @param {{context: AudioContext, microphone: Microphone | null, output: AudioNode, listener: Object}} parts
   * `listener` has onEvent(event), onSent(event), onClose({code, reason, lost}), onPlayed({kind, item, ms}) and
   * onProblem(text); `lost`: nobody wanted that, so the call may be there still
   */
  constructor({ context, microphone, output, listener }) {
    this.name = 'WebSocket';
    this.tailMs = 120;
    this.microphone = microphone;
    this.listener = listener;
    this.playback = new Playback(context);
    this.playback.onPlayed = (played) => listener.onPlayed(played);
    this.playback.onDropped = () => listener.onProblem('An answer of more than ten minutes is not played to its end.');
    this.output = output;
    this.cut = new Set();
    this.gate = true;
    this.behind = false;
  }

  /** @param {{model?: string, resume?: string}} wanted */
  async open(wanted) {
    await this.playback.start(this.output);
    const key = keys.get();
    const protocols = key ? ['realtime', KEY_PREFIX + key] : ['realtime'];
    this.socket = new WebSocket(socketAddress('v1/realtime', wanted), protocols);
    await this.opened();
    this.socket.onmessage = ({ data }) => this.receive(JSON.parse(data));
    this.socket.onclose = ({ code, reason }) => this.listener.onClose({ code, reason, lost: LOST.has(code) });
    if (this.microphone) this.microphone.onFrame = (frame) => this.sendAudio(frame);
  }

  opened() {
    return new Promise((resolve, reject) => {
      const refuse = () => reject(new TransportFailure('The gateway did not open the call.'));
      const timer = setTimeout(() => {
        this.socket.close();
        refuse();
      }, OPEN_WITHIN_MS);
      this.socket.onopen = () => {
        clearTimeout(timer);
        resolve();
      };
      this.socket.onclose = () => {
        clearTimeout(timer);
        refuse();
      };
    });
  }

  receive(event) {
    if (event.type === 'response.output_audio.delta' && !this.cut.has(event.item_id)) {
      const samples = decode(event.delta);
      if (samples.length) this.playback.play(event.item_id, samples);
    }
    this.listener.onEvent(event);
  }

  send(event) {
    if (this.socket?.readyState !== WebSocket.OPEN) return;
    this.socket.send(JSON.stringify(event));
    this.listener.onSent(event);
  }

  sendAudio(frame) {
    if (!this.gate || this.socket.readyState !== WebSocket.OPEN) return;
    const behind = this.socket.bufferedAmount > MAX_UNSENT;
    if (behind && !this.behind) this.listener.onProblem('The network is too slow: some of what you say is left out.');
    this.behind = behind;
    if (!behind) this.send({ type: 'input_audio_buffer.append', audio: encode(frame) });
  }

  /** Whether the microphone's audio is sent at all. @param {boolean} open */
  setGate(open) {
    this.gate = open;
  }

  /** Whether speech of the assistant sounds, or waits to. */
  get speaking() {
    return this.playback.item !== null;
  }

  /** The user speaks: what still sounds here is not for them. */
  userSpeaks() {
    return this.interrupt();
  }

  /** Be quiet, and say how much was heard. */
  async interrupt() {
    for (const cut of await this.hush()) this.send(cut);
  }

  /** Be quiet. @returns {Promise<Object[]>} the events that tell the gateway how much was heard */
  async hush() {
    if (!this.speaking) return [];
    const { item, ms, waiting } = await this.playback.clear();
    const cuts = item === null ? [] : [[item, Math.floor(ms)]];
    for (const name of waiting) cuts.push([name, 0]);
    return cuts.map(([name, heard]) => {
      this.cut.add(name);
      return { type: 'conversation.item.truncate', item_id: name, content_index: 0, audio_end_ms: heard };
    });
  }

  /** The connection is of no use any more; the call may be. @returns {Promise<Object[]>} as `hush` */
  async abandon() {
    this.deafen();
    const cuts = await this.hush();
    this.playback.stop();
    return cuts;
  }

  close() {
    this.deafen();
    this.playback.stop();
    this.socket?.close(1000);
  }

  deafen() {
    if (this.microphone) this.microphone.onFrame = () => {};
    // Whatever comes next has the microphone.
    this.microphone = null;
    if (this.socket) this.socket.onmessage = this.socket.onclose = null;
  }
}
