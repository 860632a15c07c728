import { lacksBytes } from '../../netlink/text-encoding.js';

/**
 * Parses JSON whose strings are to become netlink's text. A byte-order mark before it is skipped.
 * @throws SyntaxError where it is not JSON, or a string in it stands for no bytes
 */
export function parseJson(text: string): unknown {
  const value: unknown = JSON.parse(text.replace(/^\ufeff/, ''));
  // A lone surrogate is nearly always written as an escape: nothing else is to be searched.
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
