// How long each answer took, as the user of this page felt it: milliseconds from the end of what was said.

/** The stages of an answer in their usual order, and what each is called. */
export const STAGES = [
  ['decided', 'Turn decided'],
  ['response', 'Response begun'],
  ['word', 'First word'],
  ['audio', 'First audio'],
  ['audible', 'Audible'],
];
/** How long before the decision the last loud moment may have been, at most. */
const LONGEST_PAUSE_MS = 4000;
const MAX_TURNS = 500;

export class Turns {
  constructor() {
    this.clear();
  }

  clear() {
    this.list = [];
    this.open = null;
    this.count = 0;
  }

  /**
   * The user has said something.
   * @param {'speech' | 'push' | 'text'} kind
   * @param {number} now when that was noticed @param {number} loudAt when the microphone was last loud
   */
  begin(kind, now, loudAt, item = null) {
    const spoke = kind === 'speech' && now - loudAt < LONGEST_PAUSE_MS;
    this.count += 1;
    this.open = { number: this.count, kind, item, end: spoke ? loudAt : now, stages: {}, response: null, status: '' };
    if (kind === 'speech') this.mark('decided', now);
    this.list.push(this.open);
    if (this.list.length > MAX_TURNS) this.list.shift();
    return this.open;
  }

  /** A stage was reached. Only the first time counts. */
  mark(stage, now) {
    const turn = this.open;
    if (!turn || turn.stages[stage] !== undefined) return false;
    turn.stages[stage] = Math.max(0, now - turn.end);
    return true;
  }

  /** @returns {boolean} whether a turn changed */
  apply(event, now, provider) {
    switch (event.type) {
      case 'response.created':
        if (!this.open || this.open.response) return false;
        Object.assign(this.open, { response: event.response.id, provider });
        return this.mark('response', now);
      case 'response.output_audio_transcript.delta':
      case 'response.output_text.delta':
        return this.belongs(event) && this.mark('word', now);
      case 'response.output_audio.delta':
        return this.belongs(event) && this.mark('audio', now);
      case 'conversation.item.input_audio_transcription.completed':
        return this.transcribed(event, now);
      case 'response.done':
        return this.done(event.response);
      default:
        return false;
    }
  }

  belongs(event) {
    return this.open?.response === event.response_id;
  }

  transcribed({ item_id: item }, now) {
    const turn = this.list.findLast((other) => other.item === item);
    if (!turn || turn.transcript !== undefined) return false;
    turn.transcript = Math.max(0, now - turn.end);
    return true;
  }

  done(response) {
    const turn = this.list.findLast((other) => other.response === response.id);
    if (!turn) return false;
    turn.status = response.status;
    turn.calls = (response.output ?? []).some((item) => item.type === 'function_call');
    // The answer to a tool's result is still the answer to this turn.
    if (turn.calls && !turn.stages.word) turn.response = null;
    return true;
  }

  /** The gateway's own figures of the turn that this response answers. @returns {boolean} whether there is one */
  measured(metrics, response) {
    const turn = this.list.findLast((other) => other.response !== null && other.response === response);
    if (turn) turn.gateway = metrics;
    return Boolean(turn);
  }

  /** The time until the user heard, or read, something; null where nothing came. */
  static felt(turn) {
    return turn.stages.audible ?? turn.stages.audio ?? turn.stages.word ?? null;
  }

  summary() {
    const felt = this.list.map(Turns.felt).filter((ms) => ms !== null).sort((a, b) => a - b);
    const at = (share) => felt[Math.min(felt.length - 1, Math.floor(share * felt.length))] ?? null;
    return { count: this.list.length, median: at(0.5), slowest: felt.at(-1) ?? null, best: felt[0] ?? null };
  }
}
