// Below the talk: what is typed, notes that nobody says, push to talk, and the meters.

import { shown } from '../audio/meter.js';
import { byId } from './dom.js';

const OUTCOMES = {
  queued: 'The note waits for its moment',
  applied: 'The assistant has the note',
  degraded: 'The assistant has the note in another way',
  expired: 'The note came too late',
  rejected: 'The note was not taken',
  replaced: 'A later note has replaced it',
  cancelled: 'The note was called off',
};

export class Composer {
  /** @param {Call} call @param {Settings} settings @param {(kind: string, text: string) => void} tell */
  constructor(call, settings, tell) {
    this.call = call;
    this.settings = settings;
    this.tell = tell;
    this.text = byId('text');
    this.form = byId('composer');
    this.form.addEventListener('submit', (event) => {
      event.preventDefault();
      this.send();
    });
    this.text.addEventListener('keydown', (event) => {
      if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.send();
    });
    this.text.addEventListener('input', () => this.grow());
    for (const id of ['mode-message', 'mode-note']) byId(id).addEventListener('change', () => this.render());
    this.button();
    this.first = false;
    for (const name of ['state', 'pushed']) call.on(name, () => this.render());
    call.on('state', (state) => {
      if (state === 'live' && this.first) this.send();
      else if (state === 'idle') this.first = false;
    });
    settings.on('turns', () => this.render());
    /** Notes of this page that have yet to go in. */
    this.waiting = new Set();
    call.watch.on('context_injected', (note) => this.waiting.delete(note.injection_id) && this.outcome(note));
    this.levels();
    this.render();
  }

  get note() {
    return byId('mode-note').checked;
  }

  button() {
    const button = byId('push');
    button.addEventListener('pointerdown', (event) => {
      button.setPointerCapture(event.pointerId);
      this.call.push();
    });
    for (const name of ['pointerup', 'pointercancel', 'lostpointercapture']) {
      button.addEventListener(name, () => this.call.letGo());
    }
    button.addEventListener('contextmenu', (event) => event.preventDefault());
  }

  async send() {
    const text = this.text.value.trim();
    if (!text) return;
    if (this.call.state === 'idle' && !this.note) {
      // What is typed before there is a call begins one, and is said when it is there.
      this.first = true;
      await this.call.start();
    }
    if (this.call.state !== 'live') return;
    this.first = false;
    this.text.value = '';
    this.grow();
    if (!this.note) {
      await this.call.say(text);
      return;
    }
    try {
      const result = await this.call.inject({ text, when: byId('note-when').value, speak: byId('note-speak').checked });
      if (result.status === 'queued') this.waiting.add(result.id);
      this.outcome(result);
    } catch (failure) {
      this.text.value = text;
      this.tell('bad', failure.message);
    }
  }

  /** What became of a note. */
  outcome({ status, degraded_to: instead, reason }) {
    const fine = ['applied', 'degraded', 'queued'].includes(status);
    this.tell(fine ? 'good' : 'bad', `${OUTCOMES[status] ?? status}${instead || reason ? `: ${instead || reason}` : ''}.`);
  }

  /** As high as what is in it, within limits that the style sets. */
  grow() {
    this.text.style.height = 'auto';
    this.text.style.height = `${this.text.scrollHeight + 2}px`;
  }

  render() {
    const live = this.call.state === 'live';
    this.form.classList.toggle('is-note', this.note);
    byId('note-options').hidden = !this.note;
    this.text.placeholder = this.note ? 'Something the assistant should know; nobody says it' : 'Type a message';
    const possible = live || (this.call.state === 'idle' && !this.note);
    this.text.disabled = !possible;
    byId('send').disabled = !possible;
    const push = byId('push');
    push.hidden = !this.call.pushToTalk;
    push.disabled = !live || !this.call.microphone;
    const held = this.call.pushed !== null;
    push.classList.toggle('held', held);
    push.querySelector('.label').textContent = held ? 'Listening: let go to send' : 'Hold to talk';
  }

  /** The meters follow the sound: up at once, down gently. */
  levels() {
    const bars = { input: byId('meter-input'), output: byId('meter-output') };
    const now = { input: 0, output: 0 };
    const step = () => {
      for (const [side, bar] of Object.entries(bars)) {
        const level = shown(this.call.course.levels[side]);
        now[side] = Math.max(level, now[side] * 0.88);
        const percent = Math.round(now[side] * 100);
        if (bar.percent === percent) continue;
        bar.percent = percent;
        bar.firstElementChild.style.transform = `scaleX(${now[side].toFixed(3)})`;
        bar.setAttribute('aria-valuenow', String(percent));
      }
      requestAnimationFrame(step);
    };
    requestAnimationFrame(step);
  }
}
