// A whole conversation with the `openai` package.
// Arguments: the API's base URL, the model, and recordings of a command and of an interruption.
import { setTimeout as sleep } from "node:timers/promises";
import OpenAI from "openai";
import { OpenAIRealtimeWS } from "openai/realtime/ws";
import { fail, play, tell } from "./speech.mjs";

const [baseURL, model, command, interruption] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey: "anything" });
const realtime = new OpenAIRealtimeWS({ model }, client);
const seen = [];
const waiting = [];

realtime.on("event", (event) => {
  seen.push(event);
  for (const waiter of waiting.splice(0)) waiter();
});
realtime.on("error", fail);

let from = 0;
// The next event of this type; those before it are passed over.
async function next(type) {
  for (;;) {
    for (; from < seen.length; from++) {
      if (seen[from].type === type) return seen[from++];
    }
    await new Promise((resolve) => waiting.push(resolve));
  }
}

const say = (path, silenceMs) =>
  play(path, silenceMs, (piece) =>
    realtime.send({ type: "input_audio_buffer.append", audio: piece.toString("base64") }),
  );
const type = (text) =>
  realtime.send({
    type: "conversation.item.create",
    item: { type: "message", role: "user", content: [{ type: "input_text", text }] },
  });
const sound = (id) =>
  Buffer.concat(
    seen
      .filter((event) => event.type === "response.output_audio.delta" && event.response_id === id)
      .map((event) => Buffer.from(event.delta, "base64")),
  ).toString("base64");

await next("session.created");
realtime.send({
  type: "session.update",
  session: {
    type: "realtime",
    audio: { input: { transcription: { model: "gpt-4o-transcribe" } } },
    tools: [
      {
        type: "function",
        name: "move",
        description: "moves the vehicle",
        parameters: {
          type: "object",
          properties: {
            direction: { type: "string" },
            distance: { type: "number" },
            unit: { type: "string" },
          },
        },
      },
    ],
  },
});
await next("session.updated");

// A spoken command.
const speaking = say(command, 1500);
const call = await next("response.function_call_arguments.done");
await next("response.done");
await speaking;
realtime.send({
  type: "conversation.item.create",
  item: { type: "function_call_output", call_id: call.call_id, output: '{"ok":true}' },
});
await next("conversation.item.done");
realtime.send({ type: "response.create" });
const moved = (await next("response.done")).response;

// In writing.
type("good morning");
await next("conversation.item.done");
realtime.send({ type: "response.create", response: { output_modalities: ["text"] } });
const written = await next("response.output_text.done");
await next("response.done");

// An answer that is interrupted.
type("tell me a story");
await next("conversation.item.done");
realtime.send({ type: "response.create" });
const begun = await next("response.output_audio.delta");
await sleep(1000);
const interrupting = say(interruption, 1500);
await next("input_audio_buffer.speech_started");
const cut = (await next("response.done")).response;
realtime.send({
  type: "conversation.item.truncate",
  item_id: begun.item_id,
  content_index: 0,
  audio_end_ms: 1400,
});
const truncated = await next("conversation.item.truncated");
realtime.send({ type: "conversation.item.retrieve", item_id: begun.item_id });
const retrieved = (await next("conversation.item.retrieved")).item;
await next("response.done");
await interrupting;

const transcripts = seen
  .filter((event) => event.type === "conversation.item.input_audio_transcription.completed")
  .map((event) => event.transcript);
realtime.close();
tell({
  call: { name: call.name, arguments: JSON.parse(call.arguments) },
  moved: { audio: sound(moved.id), said: moved.output[0].content[0].transcript },
  written: written.text,
  cut: { status: cut.status, details: cut.status_details },
  truncated: truncated.audio_end_ms,
  heard: retrieved.content[0].transcript,
  transcripts,
});
