// The same call from a program, with this gateway's address and what is chosen in the menu.

import { address, keys } from '../api.js';
import { byId } from './dom.js';

export class Snippet {
  /** @param {Settings} settings */
  constructor(settings) {
    this.settings = settings;
    settings.on('model', () => this.render());
    byId('snippet-copy').addEventListener('click', async ({ currentTarget: button }) => {
      await navigator.clipboard?.writeText(byId('snippet').textContent);
      button.textContent = 'Copied';
      setTimeout(() => {
        button.textContent = 'Copy';
      }, 1500);
    });
    this.render();
  }

  render() {
    const base = String(address('v1'));
    const key = keys.get() ? 'YOUR_KEY' : 'none';
    byId('snippet').textContent = `from openai import AsyncOpenAI

client = AsyncOpenAI(base_url="${base}", api_key="${key}")
async with client.realtime.connect(model="${this.settings.get('model')}") as call:
    await call.response.create()
    async for event in call:
        print(event.type)`;
  }
}
