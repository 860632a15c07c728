/** Text in XML. */

const entities: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };

/** For text and quoted values. XML 1.0 permits control characters of neither range, not even escaped. */
export function escapeXml(text: string): string {
  return text
    .replaceAll(/[&<>"]/g, (character) => entities[character] ?? '')
    .replaceAll(/[^\t\n\r\x20-\ud7ff\ue000-\ufffd]/g, '?');
}
