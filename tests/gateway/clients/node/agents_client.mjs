// A whole conversation with `@openai/agents-realtime`, by its WebSocket transport.
// Arguments: the URL of the WebSocket, the model, and recordings of a command and of an interruption.
import { OpenAIRealtimeWebSocket, RealtimeAgent, RealtimeSession, tool } from "@openai/agents-realtime";
import { EventEmitter, once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { fail, play, tell } from "./speech.mjs";

const [url, model, command, interruption] = process.argv.slice(2);
const moves = [];
const move = tool({
  name: "move",
  description: "moves the vehicle",
  parameters: z.object({ direction: z.string(), distance: z.number(), unit: z.string() }),
  execute: async ({ direction, distance }) => {
    moves.push([direction, distance]);
    return "arrived";
  },
});
const agent = new RealtimeAgent({ name: "guide", instructions: "Be kind.", tools: [move] });
const transport = new OpenAIRealtimeWebSocket({ url });
const session = new RealtimeSession(agent, {
  transport,
  model,
  config: { audio: { input: { turnDetection: { type: "server_vad" } } } },
});
const told = new EventEmitter();
let audio = [];
session.on("error", (event) => fail(event.error));
session.on("audio", (event) => {
  audio.push(Buffer.from(event.data));
  told.emit("audio");
});
session.on("audio_interrupted", () => told.emit("interrupted"));
transport.on("turn_done", (event) => told.emit("done", event.response));
const say = (path, silenceMs) =>
  play(path, silenceMs, (piece) =>
    session.sendAudio(piece.buffer.slice(piece.byteOffset, piece.byteOffset + piece.length)),
  );

await session.connect({ apiKey: "anything", url });

// A spoken command: the call of the function, then the answer.
let done = once(told, "done");
const speaking = say(command, 1500);
await done;
await once(told, "done");
await speaking;
const answer = Buffer.concat(audio).toString("base64");

// An answer that is interrupted.
audio = [];
session.sendMessage("tell me a story");
await once(told, "audio");
await sleep(1000);
const interrupted = once(told, "interrupted");
done = once(told, "done");
const interrupting = say(interruption, 1500);
await interrupted;
await done;
await once(told, "done");
await interrupting;

const history = session.history.map((item) =>
  item.type === "message"
    ? [item.role, item.content.map((part) => part.transcript ?? part.text ?? "").join("")]
    : ["tool", `${item.name} ${item.output}`],
);
session.close();
tell({ moves, answer, history });
