// The gateway's HTTP side: models, the caller's own call, and its stream of engine events.

const STORED = 'voxengine.key';

/** The key, if one was asked for. It lives as long as the tab does. */
export const keys = {
  get: () => sessionStorage.getItem(STORED) ?? '',
  set: (key) => (key ? sessionStorage.setItem(STORED, key) : sessionStorage.removeItem(STORED)),
};

export class ApiError extends Error {
  /** @param {number} status 0: the gateway did not answer */
  constructor(status, message, code = '', retryAfter = null) {
    super(message);
    this.status = status;
    this.code = code;
    this.retryAfter = retryAfter;
  }
}

/** An address of the gateway, also where it is served below a path. */
export function address(path, query = {}) {
  const url = new URL(path, new URL('.', document.baseURI));
  for (const [name, value] of Object.entries(query)) if (value) url.searchParams.set(name, value);
  return url;
}

export function socketAddress(path, query) {
  const url = address(path, query);
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  return url;
}

/**
 * @param {string} path
 * @param {RequestInit & {query?: Object}} options
 * @returns {Promise<Response>} one that is fine
 */
export async function request(path, { query, headers, ...options } = {}) {
  const key = keys.get();
  const own = key ? { Authorization: `Bearer ${key}` } : {};
  let answer;
  try {
    answer = await fetch(address(path, query), { ...options, headers: { ...own, ...headers }, cache: 'no-store' });
  } catch (failure) {
    if (failure.name === 'AbortError') throw failure;
    throw new ApiError(0, 'The gateway does not answer.');
  }
  if (answer.ok) return answer;
  const { error } = await answer.json().catch(() => ({}));
  const wait = Number(answer.headers.get('retry-after')) || null;
  throw new ApiError(answer.status, error?.message ?? `The gateway answered ${answer.status}.`, error?.code ?? '', wait);
}

export async function json(path, options) {
  return (await request(path, options)).json();
}

export function post(path, body) {
  return json(path, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(body),
  });
}

/** Routes and providers: [{id, owned_by}]. */
export async function models() {
  return (await json('v1/models')).data;
}

/** The operators' view of the call with this session, or null where the key is not for that. */
export async function findCall(session, signal) {
  const found = await json('v1/calls', { query: { session }, signal });
  return found.data[0] ?? null;
}

/** The engine's events of a call, as they happen. */
export async function* callEvents(id, signal) {
  const answer = await request(`v1/calls/${encodeURIComponent(id)}/events`, {
    headers: { Accept: 'text/event-stream' },
    signal,
  });
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    text += value.replaceAll('\r', '');
    const blocks = text.split('\n\n');
    text = blocks.pop();
    for (const block of blocks) {
      const event = parseBlock(block);
      if (event) yield event;
    }
  }
}

function parseBlock(block) {
  const lines = block.split('\n');
  const data = lines.filter((line) => line.startsWith('data:')).map((line) => line.slice(5).trimStart());
  if (!data.length) return null;
  const name = lines.find((line) => line.startsWith('event:'))?.slice(6).trim();
  try {
    const event = JSON.parse(data.join('\n'));
    return { ...event, ...event.data, type: event.type ?? name };
  } catch {
    return null;
  }
}
