// The bar at the top: whom to talk to and how, the state of the call, the cost.

import { byId, clock, el } from './dom.js';

const EVERY_MS = 250;

export class TopBar {
  /** @param {Call} call @param {Settings} settings */
  constructor(call, settings) {
    this.call = call;
    this.settings = settings;
    this.model = byId('model');
    this.bind('voice');
    this.bind('turns');
    this.model.addEventListener('change', () => settings.set('model', this.model.value));
    settings.on('model', () => this.choose(settings.get('model')));
    byId('connect').addEventListener('click', () => this.toggle());
    byId('start').addEventListener('click', () => call.start());
    byId('mute').addEventListener('click', () => call.setMuted(!call.muted));
    call.on('muted', (muted) => this.muted(muted));
    for (const name of ['state', 'session', 'asked', 'cost', 'refused']) call.on(name, () => this.render());
    call.on('refused', ({ asked }) => this.takeBack(asked));
    call.on('session', (session) => session.model && this.keep(session.model));
    setInterval(() => call.state === 'live' && this.time(), EVERY_MS);
    this.render();
  }

  bind(name) {
    const control = byId(name);
    control.value = this.settings.get(name);
    control.addEventListener('change', () => this.settings.set(name, control.value.trim()));
    this.settings.on(name, (value) => {
      control.value = value;
    });
  }

  toggle() {
    if (this.call.state === 'idle') this.call.start();
    else this.call.hangUp();
  }

  /** @param {{id: string, owned_by: string}[]} models */
  offer(models) {
    const groups = new Map();
    for (const { id, owned_by: owner } of models) {
      const label = owner === ROUTES_OWNER ? 'Routes' : 'Providers';
      if (!groups.has(label)) groups.set(label, []);
      groups.get(label).push(el('option', { value: id }, id));
    }
    const order = ['Routes', 'Providers'].filter((label) => groups.has(label));
    this.model.replaceChildren(...order.map((label) => el('optgroup', { label }, ...groups.get(label))));
    const wanted = this.settings.get('model');
    const known = models.some(({ id }) => id === wanted);
    this.settings.set('model', known ? wanted : (models[0]?.id ?? ''));
    this.choose(this.settings.get('model'));
  }

  choose(model) {
    if (model && ![...this.model.options].some(({ value }) => value === model)) {
      this.model.append(el('option', { value: model }, model));
    }
    this.model.value = model;
  }

  /** The gateway has said what it talks to now. A route's name stays what was chosen, also while its provider has another. */
  keep(model) {
    if ([...this.model.options].some(({ value }) => value === model) && !this.call.switching) {
      this.settings.set('model', model);
    }
  }

  /** A switch that was refused: the menu shows again who answers. */
  takeBack(asked) {
    if (asked?.name === 'model' && asked.before) this.settings.set('model', asked.before);
  }

  muted(muted) {
    const button = byId('mute');
    button.setAttribute('aria-pressed', String(muted));
    button.querySelector('use').setAttribute('href', muted ? '#i-mic-off' : '#i-mic');
    button.querySelector('.label').textContent = muted ? 'Unmute' : 'Mute';
  }

  render() {
    const { state, session, cost, tokens, transport, switching } = this.call;
    document.body.dataset.state = state;
    const connect = byId('connect');
    connect.querySelector('.label').textContent = state === 'idle' ? 'Connect' : state === 'live' ? 'Hang up' : 'Cancel';
    connect.querySelector('use').setAttribute('href', state === 'idle' ? '#i-phone' : '#i-hang-up');
    connect.classList.toggle('primary', state === 'idle');
    connect.classList.toggle('danger', state !== 'idle');
    byId('mute').disabled = state !== 'live' || !this.call.microphone;
    const by = state === 'live' && !switching ? el('span', { class: 'by' }, ` · ${transport?.name ?? ''}`) : '';
    byId('state').replaceChildren(this.stateText(), by);
    byId('cost').textContent = cost === null ? '—' : dollars(cost);
    byId('cost').parentElement.dataset.known = String(cost !== null);
    byId('cost').parentElement.title = cost === null ? 'The price of a call is told while it goes on' : costInWords(cost);
    byId('tokens').textContent = tokens.input + tokens.output ? `${short(tokens.input)} in · ${short(tokens.output)} out` : '';
    byId('answering').textContent = session?.model ?? '';
    this.time();
  }

  stateText() {
    const { state, switching } = this.call;
    if (switching) return `Switching to ${this.settings.get('model')} …`;
    return { idle: 'Not connected', connecting: 'Connecting …', live: 'Live', reconnecting: 'Reconnecting …' }[state];
  }

  time() {
    const { recorder } = this.call;
    byId('time').textContent = recorder.began === null ? '' : clock(recorder.seconds(performance.now()));
  }
}

/** Who owns a model that is a route of the gateway's own. */
const ROUTES_OWNER = 'voxengine';

/** A plus says that there is more to it. */
function dollars({ usd, unknown }) {
  return `$${usd.toFixed(usd < 1 ? 4 : 2)}${unknown.length ? '+' : ''}`;
}

function costInWords({ unknown }) {
  const without = unknown.length ? `, without ${unknown.join(', ')}, whose price is not known` : '';
  return `What the call has cost so far${without}`;
}

function short(count) {
  return count < 1000 ? String(count) : `${(count / 1000).toFixed(1)}k`;
}
