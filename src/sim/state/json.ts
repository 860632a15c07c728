import { lacksBytes } from '../../netlink/text-encoding.js';

/**
 * Parses JSON with strings for netlink. A byte-order mark is skipped.
 * @throws SyntaxError if it is not JSON, or contains a string that cannot be encoded
 */
export function parseJson(text: string): unknown {
  const value: unknown = JSON.parse(text.replace(/^\ufeff/, ''));
  // A lone surrogate is nearly always an escape: searching for escapes is enough.
  if (text.includes('\\u') || lacksBytes(text)) checkStrings(value);
  return value;
}

function checkStrings(value: unknown): void {
  if (typeof value === 'string') {
    if (lacksBytes(value)) throw new SyntaxError('a string contains a lone surrogate');
  } else if (typeof value === 'object' && value !== null) {
    for (const entry of Object.entries(value)) entry.forEach(checkStrings);
  }
}
