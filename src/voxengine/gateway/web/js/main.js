// Puts the page together.

import { ApiError, models } from './api.js';
import { Call } from './call.js';
import { expose } from './hook.js';
import { Settings } from './settings.js';
import { Composer } from './ui/composer.js';
import { byId } from './ui/dom.js';
import { Events } from './ui/events.js';
import { Graph } from './ui/graph.js';
import { askForKey } from './ui/keydialog.js';
import { Latency } from './ui/latency.js';
import { banner, notify } from './ui/notices.js';
import { Setup } from './ui/setup.js';
import { Shortcuts } from './ui/shortcuts.js';
import { Snippet } from './ui/snippet.js';
import { Tabs } from './ui/tabs.js';
import { Theme } from './ui/theme.js';
import { TopBar } from './ui/topbar.js';
import { Transcript } from './ui/transcript.js';

const settings = new Settings();
const theme = new Theme(settings);
const call = new Call(settings);
const tabs = new Tabs();
const topBar = new TopBar(call, settings);
new Transcript(call);
new Events(call.log);
new Latency(call);
new Graph(call);
new Composer(call, settings, notify);
new Setup(call, settings);
new Snippet(settings);
new Shortcuts({ call, settings, tabs, theme, topBar });
expose({ call, settings });

/** Ask the gateway what there is to talk to; and for a key, as long as it wants another. */
async function load() {
  for (;;) {
    try {
      topBar.offer(await models());
      banner('');
      return;
    } catch (failure) {
      if (!(failure instanceof ApiError)) throw failure;
      const wanted = failure.status === 401;
      if (wanted && (await askForKey(failure.message))) continue;
      banner(wanted ? 'This gateway wants a key.' : failure.message);
      return;
    }
  }
}

call.on('failed', async (failure) => {
  banner(explain(failure));
  if (failure instanceof ApiError && failure.status === 401) await load();
});
call.on('lost', (why) => banner(`The call ended: ${why.replace(/\.$/u, '')}.`));
call.on('deaf', (failure) => notify('bad', explainSilence(failure)));
call.on('problem', (text) => notify('bad', text));
call.on('refused', ({ error }) => notify('bad', error.message));
call.on('state', (state) => state !== 'idle' && banner(''));
// A socket that was open while the network was away is of no use, but nobody says so.
addEventListener('online', () => call.state === 'live' && call.transport.name === 'WebSocket' && call.goBack());
byId('banner-again').addEventListener('click', async () => {
  await load();
  if (byId('banner').hidden) await call.start();
});

function explain(failure) {
  if (!(failure instanceof ApiError) || !failure.retryAfter) return failure.message;
  return `${failure.message} Try again in ${failure.retryAfter} s.`;
}

function explainSilence(failure) {
  const why = {
    NotAllowedError: 'The browser does not let this page use the microphone',
    NotFoundError: 'There is no microphone',
    OverconstrainedError: 'The chosen microphone is not there',
    NotReadableError: 'The microphone is in use by another program',
  };
  const secure = globalThis.isSecureContext ? '' : ' (browsers want https for it, or localhost)';
  return `${why[failure.name] ?? 'The microphone cannot be used'}${secure}. You can type.`;
}

await load();
