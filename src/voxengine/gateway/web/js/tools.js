// Two tools that this page has to offer, so that a tool call can be watched from end to end.

export const TOOLS = [
  {
    type: 'function',
    name: 'get_local_time',
    description: "The date and the time at the user's place.",
    parameters: { type: 'object', properties: {}, additionalProperties: false },
  },
  {
    type: 'function',
    name: 'set_page_theme',
    description: 'Makes the page that the user looks at light or dark.',
    parameters: {
      type: 'object',
      properties: { theme: { type: 'string', enum: ['light', 'dark'] } },
      required: ['theme'],
      additionalProperties: false,
    },
  },
];

export const NAMES = new Set(TOOLS.map(({ name }) => name));

/** @returns {string} the result as JSON */
export function run(name, args, settings) {
  try {
    const given = JSON.parse(args || '{}');
    if (name === 'get_local_time') {
      const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
      return JSON.stringify({ time: new Date().toString(), zone });
    }
    if (!['light', 'dark'].includes(given.theme)) return JSON.stringify({ error: 'theme is light or dark' });
    settings.set('theme', given.theme);
    return JSON.stringify({ theme: given.theme });
  } catch (failure) {
    return JSON.stringify({ error: failure.message });
  }
}
