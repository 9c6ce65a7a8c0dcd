// The WebRTC transport: audio both ways as media, events on a data channel. The gateway knows itself what was heard.

import { ApiError, request } from '../api.js';
import { TransportFailure } from './failure.js';

const CONNECT_WITHIN_MS = 8000;
const GATHER_WITHIN_MS = 1500;
/** A connection that is silent for so long is given up. Browsers themselves wait half a minute. */
const SILENT_MS = 2500;

export class WebRTCTransport {
  /** The same parts as the WebSocket's. */
  constructor({ context, microphone, output, listener }) {
    this.name = 'WebRTC';
    /** The network keeps some of what is said for a moment, in both directions. */
    this.tailMs = 300;
    this.context = context;
    this.microphone = microphone;
    this.output = output;
    this.listener = listener;
    this.speaking = false;
    /** The item of each response that has audio. */
    this.items = new Map();
    this.response = null;
    this.began = 0;
    this.timer = null;
  }

  /** @param {{model?: string, resume?: string}} wanted */
  async open(wanted) {
    if (!globalThis.RTCPeerConnection) throw new TransportFailure('This browser has no WebRTC.', true);
    const peer = new RTCPeerConnection();
    this.peer = peer;
    peer.ontrack = ({ track }) => this.hear(new MediaStream([track]));
    if (this.microphone) {
      for (const track of this.microphone.stream.getAudioTracks()) peer.addTrack(track, this.microphone.stream);
    } else {
      peer.addTransceiver('audio', { direction: 'recvonly' });
    }
    this.channel = peer.createDataChannel('oai-events');
    await peer.setLocalDescription(await peer.createOffer());
    await gathered(peer);
    const answer = await this.negotiate(wanted, peer.localDescription.sdp);
    await peer.setRemoteDescription({ type: 'answer', sdp: answer });
    this.channel.onmessage = ({ data }) => this.receive(JSON.parse(data));
    await this.connected();
    // A gateway that hangs up closes the channel, and so does one that goes away: whether the call is over is to be asked.
    this.channel.onclose = () => this.lose();
    peer.onconnectionstatechange = () => this.changed(peer.connectionState);
  }

  changed(state) {
    clearTimeout(this.silence);
    if (state === 'failed') this.lose();
    else if (state === 'disconnected') this.silence = setTimeout(() => this.lose(), SILENT_MS);
  }

  lose() {
    this.listener.onClose({ code: 1006, reason: '', lost: true });
  }

  async negotiate({ model, resume }, sdp) {
    const form = new FormData();
    form.set('sdp', sdp);
    if (model) form.set('session', JSON.stringify({ type: 'realtime', model }));
    try {
      const answer = await request('v1/realtime/calls', { method: 'POST', body: form, query: { resume } });
      return await answer.text();
    } catch (failure) {
      const missing = failure instanceof ApiError && [404, 405, 501].includes(failure.status);
      if (missing && !NOT_ABOUT_WEBRTC.has(failure.code)) {
        throw new TransportFailure('This gateway takes no calls by WebRTC.', true);
      }
      throw failure;
    }
  }

  connected() {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new TransportFailure('WebRTC found no way through the network.', true)),
        CONNECT_WITHIN_MS,
      );
      this.channel.onopen = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  hear(stream) {
    // The element plays; the analyser looks on. Without an element some browsers feed the analyser nothing.
    this.element = new Audio();
    this.element.srcObject = stream;
    this.element.play().catch(() => this.listener.onProblem('The browser does not play the answer: click on the page.'));
    this.source = this.context.createMediaStreamSource(stream);
    this.source.connect(this.output);
  }

  receive(event) {
    if (event.type === 'output_audio_buffer.started') this.started(event);
    else if (event.type === 'output_audio_buffer.stopped') this.ending = setTimeout(() => this.stopped('dry'), this.tailMs);
    else if (event.type === 'output_audio_buffer.cleared') this.stopped('cleared');
    else if (event.type === 'response.content_part.added') this.items.set(event.response_id, event.item_id);
    this.listener.onEvent(event);
  }

  started(event) {
    this.stopped('dry');
    this.speaking = true;
    this.began = performance.now();
    this.response = event.response_id;
    this.timer = setInterval(() => this.tell('played'), 50);
    this.tell('played');
  }

  stopped(kind) {
    clearInterval(this.timer);
    clearTimeout(this.ending);
    if (this.speaking && kind === 'dry') this.tell('dry');
    this.speaking = false;
  }

  tell(kind) {
    const item = this.items.get(this.response);
    if (item) this.listener.onPlayed({ kind, item, ms: performance.now() - this.began });
  }

  send(event) {
    if (this.channel?.readyState !== 'open') return;
    this.channel.send(JSON.stringify(event));
    this.listener.onSent(event);
  }

  /** Whether the microphone is heard. The track goes on, as silence. @param {boolean} open */
  setGate(open) {
    this.gate = open;
    this.microphone?.setOpen(open);
  }

  /** The user speaks. The gateway hears that, and cuts the answer itself. */
  userSpeaks() {}

  /** Ask the gateway to be quiet. It cuts the item itself. */
  async interrupt() {
    if (this.speaking) this.send({ type: 'output_audio_buffer.clear' });
  }

  /**
   * The connection is of no use any more; the call may be. It is not closed yet: that would be to hang up.
   * @param {number} soundedAt when the answer was last to be heard: the gateway has spoken on, into the void
   * @returns {Promise<Object[]>} the events that tell the gateway how much was heard
   */
  async abandon(soundedAt) {
    const item = this.speaking && this.items.get(this.response);
    const heard = Math.max(0, Math.floor(soundedAt - this.began));
    clearInterval(this.timer);
    clearTimeout(this.ending);
    clearTimeout(this.silence);
    if (this.channel) this.channel.onclose = this.channel.onmessage = null;
    if (this.peer) this.peer.onconnectionstatechange = null;
    this.source?.disconnect();
    if (this.element) this.element.srcObject = null;
    this.speaking = false;
    if (!item) return [];
    return [{ type: 'conversation.item.truncate', item_id: item, content_index: 0, audio_end_ms: heard }];
  }

  close() {
    this.abandon(0);
    this.peer?.close();
  }
}

/** What a 404 may be about otherwise. */
const NOT_ABOUT_WEBRTC = new Set(['model_not_found', 'session_not_found']);

/** Until all candidates are in the offer, or for long enough. */
function gathered(peer) {
  if (peer.iceGatheringState === 'complete') return Promise.resolve();
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, GATHER_WITHIN_MS);
    peer.onicegatheringstatechange = () => {
      if (peer.iceGatheringState !== 'complete') return;
      clearTimeout(timer);
      resolve();
    };
  });
}
