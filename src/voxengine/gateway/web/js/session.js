// The session that this page asks for, in the form of the wire.

import { WIRE_RATE } from './audio/pcm.js';
import { NAMES, TOOLS } from './tools.js';

const TRANSCRIPTION = 'gpt-4o-mini-transcribe';
const FORMAT = { type: 'audio/pcm', rate: WIRE_RATE };

export function turnDetection(kind) {
  if (kind === 'off') return null;
  return { type: kind, create_response: true, interrupt_response: true };
}

/**
 * What to ask for when the call begins. What the user left open is left to the route.
 * @param {Settings} settings @param {Object} given the session as the gateway made it
 * @param {boolean} media whether audio goes beside the messages, in a format of its own
 */
export function firstUpdate(settings, given, media) {
  const input = { turn_detection: turnDetection(settings.get('turns')) };
  const output = {};
  if (!media) {
    input.format = FORMAT;
    output.format = FORMAT;
  }
  if (!given.audio?.input?.transcription) input.transcription = { model: TRANSCRIPTION };
  if (settings.get('voice')) output.voice = settings.get('voice');
  const session = { type: 'realtime', audio: { input } };
  if (Object.keys(output).length) session.audio.output = output;
  if (settings.get('instructions').trim()) session.instructions = settings.get('instructions').trim();
  if (settings.get('tools')) session.tools = toolsOf(given, true);
  return session;
}

/** What a WebSocket asks for that goes on with a session: the connection before may have carried audio otherwise. */
export function resumedUpdate() {
  return { type: 'realtime', audio: { input: { format: FORMAT }, output: { format: FORMAT } } };
}

/** The update after one setting was changed in the middle of a call; null where it can wait for the next call. */
export function laterUpdate(name, settings, given) {
  const value = settings.get(name);
  const session = { type: 'realtime' };
  if (name === 'model') return { ...session, model: value };
  if (name === 'turns') return { ...session, audio: { input: { turn_detection: turnDetection(value) } } };
  if (name === 'voice' && value) return { ...session, audio: { output: { voice: value } } };
  if (name === 'instructions') return { ...session, instructions: value.trim() };
  if (name === 'tools') return { ...session, tools: toolsOf(given, value) };
  return null;
}

/** The session's own tools, and the page's if they are wanted. */
function toolsOf(given, wanted) {
  const own = (given.tools ?? []).filter(({ name }) => !NAMES.has(name));
  return wanted ? [...own, ...TOOLS] : own;
}
