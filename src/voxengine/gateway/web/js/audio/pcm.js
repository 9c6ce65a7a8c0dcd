// 16-bit PCM as the wire carries it: little endian, mono, in base64.

/** The rate at which audio goes over the WebSocket, in Hz. */
export const WIRE_RATE = 24000;

/** @param {Int16Array} samples */
export function encode(samples) {
  const bytes = new Uint8Array(samples.buffer, samples.byteOffset, samples.byteLength);
  let text = '';
  // A call takes a limited number of arguments.
  for (let at = 0; at < bytes.length; at += 0x2000) {
    text += String.fromCharCode(...bytes.subarray(at, at + 0x2000));
  }
  return btoa(text);
}

/** @param {string} text @returns {Int16Array} */
export function decode(text) {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length & ~1);
  for (let at = 0; at < bytes.length; at += 1) bytes[at] = binary.charCodeAt(at);
  return new Int16Array(bytes.buffer);
}

/** The bytes that a base64 text stands for, without decoding it. */
export function decodedLength(text) {
  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0;
  return (text.length / 4) * 3 - padding;
}

/** Milliseconds of PCM at the wire's rate. */
export function durationMs(bytes) {
  return (bytes / 2 / WIRE_RATE) * 1000;
}
