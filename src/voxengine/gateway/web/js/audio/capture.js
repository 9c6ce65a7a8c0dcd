// The microphone: permission, level, and frames of 20 ms for the wire.

import { worklet } from './worklets.js';

export class Microphone {
  /**
   * @param {AudioContext} context
   * @param {MediaStream} stream
   */
  constructor(context, stream) {
    this.context = context;
    this.stream = stream;
    /** Whether it is heard. What a muted one sends is silence. */
    this.open = true;
    /** Called with (Int16Array frame, rms 0..1 of what it hears, muted or not). */
    this.onFrame = () => {};
    this.rms = 0;
  }

  /**
   * @param {AudioContext} context
   * @param {{deviceId: string, processing: boolean}} options `processing`: echo cancellation, noise suppression, gain
   */
  static async request(context, { deviceId, processing }) {
    const stream = await navigator.mediaDevices.getUserMedia({
      audio: {
        echoCancellation: processing,
        noiseSuppression: processing,
        autoGainControl: processing,
        channelCount: 1,
        ...(deviceId ? { deviceId: { exact: deviceId } } : {}),
      },
    });
    const microphone = new Microphone(context, stream);
    await microphone.start();
    return microphone;
  }

  async start() {
    await worklet(this.context, 'capture');
    this.source = this.context.createMediaStreamSource(this.stream);
    this.node = new AudioWorkletNode(this.context, 'voxengine-capture', { numberOfOutputs: 0 });
    this.node.port.onmessage = ({ data: { frame, rms } }) => {
      this.rms = this.open ? rms : 0;
      if (!this.open) frame.fill(0);
      this.onFrame(frame, this.rms);
    };
    this.source.connect(this.node);
  }

  /** @param {boolean} open */
  setOpen(open) {
    this.open = open;
    for (const track of this.stream.getAudioTracks()) track.enabled = open;
    if (!open) this.rms = 0;
  }

  stop() {
    this.source.disconnect();
    this.node.port.onmessage = null;
    for (const track of this.stream.getTracks()) track.stop();
  }
}
