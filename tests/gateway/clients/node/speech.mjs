// What both conversations need: recordings as pcm16 at 24 kHz, sent in pieces, and what came of it as one line of JSON.
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

const PIECE_MS = 100;
// How many times faster than it was spoken.
const PACE = 4;
const BYTES_PER_MS = 48;

export async function play(path, silenceMs, send) {
  const audio = Buffer.concat([readFileSync(path), Buffer.alloc(silenceMs * BYTES_PER_MS)]);
  const size = PIECE_MS * BYTES_PER_MS;
  for (let start = 0; start < audio.length; start += size) {
    send(audio.subarray(start, start + size));
    await sleep(PIECE_MS / PACE);
  }
}

export function tell(result) {
  process.stdout.write(JSON.stringify(result) + "\n");
}

export function fail(error) {
  console.error(error);
  process.exit(1);
}
