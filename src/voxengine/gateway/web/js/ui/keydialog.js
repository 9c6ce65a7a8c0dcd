// Asks for the key, where the gateway wants one.

import { keys } from '../api.js';
import { byId } from './dom.js';

/** @param {string} reason why it is asked for @returns {Promise<boolean>} whether one was given */
export function askForKey(reason) {
  const dialog = byId('key-dialog');
  const field = byId('key');
  byId('key-reason').textContent = reason;
  field.value = '';
  dialog.returnValue = '';
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener(
      'close',
      () => {
        const given = dialog.returnValue === 'use' && field.value.trim() !== '';
        if (given) keys.set(field.value.trim());
        field.value = '';
        resolve(given);
      },
      { once: true },
    );
  });
}
