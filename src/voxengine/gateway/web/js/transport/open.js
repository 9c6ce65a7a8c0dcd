// Which transport carries a call: the one that was chosen, or the best that both sides have.

import { json } from '../api.js';
import { TransportFailure } from './failure.js';
import { WebRTCTransport } from './webrtc.js';
import { WebSocketTransport } from './websocket.js';

/**
 * @param {Settings} settings
 * @param {Object} parts of the transport, see WebSocketTransport
 * @param {string} [resume] the session to go on with
 * @throws {ApiError | TransportFailure} there is no way
 */
export async function openTransport(settings, parts, resume) {
  const wanted = resume ? { resume } : { model: settings.get('model') };
  const wish = settings.get('transport');
  if (wish !== 'websocket') {
    try {
      return await opened(new WebRTCTransport(parts), wanted);
    } catch (failure) {
      if (wish === 'webrtc' || !(failure instanceof TransportFailure && failure.missing)) throw failure;
    }
  }
  try {
    return await opened(new WebSocketTransport(parts), wanted);
  } catch (failure) {
    // A browser does not tell why a WebSocket was refused. Plain HTTP does, if it is for the key.
    await json('v1/models');
    throw failure;
  }
}

async function opened(transport, wanted) {
  try {
    await transport.open(wanted);
    return transport;
  } catch (failure) {
    transport.close();
    throw failure;
  }
}
